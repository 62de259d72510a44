package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"goblip/checkpoints"
	"goblip/train/objective"
	"goblip/train/runlog"

	"github.com/gomlx/gomlx/core/tensors"
)

// ErrStopped is in Do's error when its context ended: the run is saved and can be resumed.
var ErrStopped = errors.New("stopped")

// Run is a training run in a folder:
//
//	config.json                  everything needed to repeat it
//	metrics.jsonl, events.*      one line a log step; TensorBoard
//	checkpoints/step-NNNNNNNN/   trained weights, what the objective carries over, optimizer state, step
//
// A step is a function of (weights, seed, step number) alone, so a run that was killed and resumed
// ends with the bytes of one that was not, on the same backend and device count.
type Run struct {
	Name     string
	Dir      string
	Config   any    // saved as config.json; resuming refuses another one
	Corpus   string // fingerprint of the data; resuming refuses another one; may be empty
	Trainer  *Trainer
	Terms    []objective.Term
	Schedule Schedule
	Steps    int
	Batch    int // pictures a micro-batch

	// Data gives micro-batch number i, a function of i alone.
	Data func(i int) ([]*tensors.Tensor, error)

	// HeldOut gives batch number i of HeldBatches held-out ones; their terms are logged every
	// EvalEvery steps and after the last.
	HeldOut     func(i int) ([]*tensors.Tensor, error)
	HeldBatches int

	LogEvery, EvalEvery, CheckpointEvery int // steps; 0: never (LogEvery 0: 10)
	Keep                                 int // checkpoints kept; 0: 2
	Resume                               bool
	Quiet                                bool
}

// Summary of a finished run.
type Summary struct {
	Dir              string             `json:"run"`
	Steps            int                `json:"steps"`
	Losses           map[string]float64 `json:"losses"` // of the last step
	Seconds          float64            `json:"seconds"`
	SamplesPerSecond float64            `json:"samples_per_second"`
	Stopped          bool               `json:"stopped,omitempty"` // before the last step

	DataWaitShare float64 `json:"data_wait_share"` // part of the time that steps waited for data, 0 to 1

	LeftOut int `json:"left_out,omitempty"` // shards, records and pictures that could not be read

	Compilations    int `json:"compilations"`     // of programs: kinds of step times lengths of padded texts
	LastCompilation int `json:"last_compilation"` // the step that needed a new one last
}

// runState is what a checkpoint holds beside tensors.
type runState struct {
	Config  json.RawMessage `json:"config"`
	Corpus  string          `json:"corpus,omitempty"`
	Devices int             `json:"devices,omitempty"`
	Losses  []float64       `json:"losses"`
}

// runConfig is config.json.
type runConfig struct {
	Recipe   string `json:"recipe"`
	Corpus   string `json:"corpus"`
	Devices  int    `json:"devices"`
	Settings any    `json:"settings"`
}

// Do trains to the last step. When ctx ends the step under way is finished, a checkpoint saved, and
// an error that wraps ErrStopped returned.
func (r *Run) Do(ctx context.Context) (Summary, error) {
	summary := Summary{Dir: r.Dir, Steps: r.Steps, Losses: map[string]float64{}}
	config, err := json.MarshalIndent(r.Config, "", "  ")
	if err != nil {
		return summary, err
	}
	start, losses, notes, err := r.begin(config)
	if err != nil {
		return summary, err
	}
	log, err := runlog.Open(r.Dir, runlog.Options{Name: r.Name, TotalSteps: r.Steps, ResumeStep: start, Quiet: r.Quiet})
	if err != nil {
		return summary, err
	}
	defer log.Close()
	for _, n := range notes {
		log.Note("%s  %s", r.Name, n)
	}
	ahead := r.prefetch(start)
	defer ahead.stop()
	began := time.Now()
	saved := start
	var waited, waitedInAll, logged time.Duration = 0, 0, 0 // for data; since the start, at the last line
	for step := start; step < r.Steps; step++ {
		if ctx.Err() != nil {
			if step > saved {
				if err := r.save(step, config, losses, log); err != nil {
					return summary, err
				}
			}
			summary.Steps, summary.Stopped = step, true
			return summary, fmt.Errorf("%s %w after step %d of %d", r.Name, ErrStopped, step, r.Steps)
		}
		t0 := time.Now()
		batches, err := ahead.next()
		if err != nil {
			return summary, err
		}
		wait := time.Since(t0)
		waited, waitedInAll = waited+wait, waitedInAll+wait
		lr := r.Schedule(step)
		result, err := r.Trainer.Step(step, lr, batches)
		if err != nil {
			return summary, fmt.Errorf("%s: %w; the last checkpoint is unharmed", r.Name, err)
		}
		losses = result.Terms
		done := step + 1
		// Which steps are logged must not depend on where a run was interrupted.
		if done == 1 || done%orDefault(r.LogEvery, 10) == 0 || done == r.Steps {
			line := runlog.Step{Step: done, Samples: done * r.Batch * r.Trainer.accum, LR: lr, GradNorm: result.GradNorm,
				StepSeconds: time.Since(t0).Seconds(), DataWaitSeconds: wait.Seconds(),
				DataWaitShare: waited.Seconds() / max((time.Since(began)-logged).Seconds(), 1e-9)}
			waited, logged = 0, time.Since(began)
			line.Terms = r.logTerms(losses)
			if err := log.Step(line); err != nil {
				return summary, err
			}
		}
		if r.HeldBatches > 0 && ((r.EvalEvery > 0 && done%r.EvalEvery == 0) || done == r.Steps) {
			if err := r.evaluate(done, log); err != nil {
				return summary, fmt.Errorf("%s: evaluation at step %d: %w", r.Name, done, err)
			}
		}
		if n := r.Trainer.Compilations(); n > summary.Compilations { // evaluation's too
			summary.Compilations, summary.LastCompilation = n, done
		}
		if done < r.Steps && r.CheckpointEvery > 0 && done%r.CheckpointEvery == 0 || done == r.Steps {
			if err := r.save(done, config, losses, log); err != nil {
				return summary, err
			}
			saved = done
		}
	}
	summary.Seconds = time.Since(began).Seconds()
	summary.DataWaitShare = waitedInAll.Seconds() / max(summary.Seconds, 1e-9)
	log.Note("%s  compiled %d program(s), the last one at step %d; waited for data %.1f %% of the time", r.Name, summary.Compilations, summary.LastCompilation, 100*summary.DataWaitShare)
	if summary.Seconds > 0 {
		summary.SamplesPerSecond = float64((r.Steps-start)*r.Batch*r.Trainer.accum) / summary.Seconds
	}
	for i, t := range r.Terms {
		if i < len(losses) {
			summary.Losses[t.Name] = losses[i]
		}
	}
	return summary, nil
}

func (r *Run) logTerms(values []float64) []runlog.Term {
	var out []runlog.Term
	for i, t := range r.Terms {
		out = append(out, runlog.Term{Name: t.Name, Value: values[i], Floor: t.Floor, FloorName: t.Label})
	}
	return out
}

func (r *Run) evaluate(step int, log *runlog.Log) error {
	values, err := r.Trainer.Evaluate(r.HeldBatches, r.HeldOut)
	if err != nil {
		return err
	}
	return log.Step(runlog.Step{Step: step, Samples: step * r.Batch * r.Trainer.accum, Terms: r.logTerms(values), Split: "eval"})
}

// begin prepares the folder and, when resuming, the weights; it returns the step to go on from and
// what a user should know about it.
func (r *Run) begin(config []byte) (start int, losses []float64, notes []string, err error) {
	fail := func(err error) (int, []float64, []string, error) { return 0, nil, nil, err }
	dir := filepath.Join(r.Dir, "checkpoints")
	step, path, damaged, err := checkpoints.LatestUsable(dir)
	switch {
	case errors.Is(err, checkpoints.ErrNoCheckpoint) && len(damaged) > 0:
		return fail(fmt.Errorf("no checkpoint of the run can be used (%w); remove %s to start again", damaged[0], dir))
	case errors.Is(err, checkpoints.ErrNoCheckpoint):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fail(err)
		}
		file, err := json.MarshalIndent(runConfig{r.Name, r.Corpus, r.Trainer.Devices(), r.Config}, "", "  ")
		if err != nil {
			return fail(err)
		}
		return 0, nil, nil, checkpoints.WriteFile(filepath.Join(r.Dir, "config.json"), file)
	case err != nil:
		return fail(err)
	case !r.Resume:
		return fail(fmt.Errorf("%s holds a run at step %d: --resume continues it, another --out starts a new one", r.Dir, step))
	}
	for _, problem := range damaged {
		notes = append(notes, fmt.Sprintf("warning: passed over a damaged checkpoint: %v", problem))
	}
	state, err := r.restore(path, config)
	if err != nil {
		return fail(err)
	}
	where := fmt.Sprintf("continues after step %d of %d", step, r.Steps)
	if now := r.Trainer.Devices(); state.Devices != 0 && state.Devices != now {
		where += fmt.Sprintf(", on %d device(s) instead of %d", now, state.Devices)
	}
	return step, state.Losses, append(notes, where), nil
}

// restore takes weights and optimizer state from a checkpoint of the same run.
func (r *Run) restore(path string, config []byte) (state runState, err error) {
	open, err := checkpoints.OpenStep(path)
	if err != nil {
		return state, err
	}
	defer open.Close()
	if err := open.State(&state); err != nil {
		return state, err
	}
	if field := difference(state.Config, config); field != "" {
		return state, fmt.Errorf("%s was started with another configuration (%s): --resume needs the same", r.Dir, field)
	}
	if state.Corpus != r.Corpus && state.Corpus != "" && r.Corpus != "" {
		return state, fmt.Errorf("%s was started with other data (other pictures, captions or questions): --resume needs the same", r.Dir)
	}
	for group, optimizer := range map[string]bool{checkpoints.ModelGroup: false, checkpoints.OptimizerGroup: true} {
		file, err := open.Group(group)
		if err != nil {
			return state, err
		}
		values := map[string]*tensors.Tensor{}
		for _, name := range file.Names() {
			if values[name], err = file.Tensor(name); err != nil {
				return state, err
			}
		}
		if err := r.Trainer.Restore(values, optimizer); err != nil {
			return state, fmt.Errorf("%s: %w", path, err)
		}
	}
	return state, nil
}

// difference names the first field in which two JSON objects differ, "" if none does.
func difference(a, b []byte) string {
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return "unreadable"
	}
	keys := map[string]bool{}
	for k := range x {
		keys[k] = true
	}
	for k := range y {
		keys[k] = true
	}
	var differing []string
	for k := range keys {
		p, _ := json.Marshal(x[k])
		q, _ := json.Marshal(y[k])
		if string(p) != string(q) {
			differing = append(differing, fmt.Sprintf("%s: %s, now %s", k, p, q))
		}
	}
	slices.Sort(differing)
	if len(differing) == 0 {
		return ""
	}
	return differing[0]
}

func (r *Run) save(step int, config []byte, losses []float64, log *runlog.Log) error {
	groups := map[string][]checkpoints.Named{}
	for group, optimizer := range map[string]bool{checkpoints.ModelGroup: false, checkpoints.OptimizerGroup: true} {
		values, err := r.Trainer.Trained(optimizer)
		if err != nil {
			return err
		}
		for name, value := range values {
			if !finite(value) {
				return fmt.Errorf("%s: tensor %s is not finite after step %d; the last checkpoint is unharmed", r.Name, name, step)
			}
			groups[group] = append(groups[group], checkpoints.Named{Name: name, Tensor: value})
		}
	}
	if err := log.Sync(); err != nil {
		return err
	}
	dir := filepath.Join(r.Dir, "checkpoints")
	if _, err := checkpoints.SaveStep(dir, step, groups, runState{Config: config, Corpus: r.Corpus, Devices: r.Trainer.Devices(), Losses: losses}); err != nil {
		return err
	}
	return checkpoints.Prune(dir, orDefault(r.Keep, 2))
}

// finite says whether a tensor holds neither NaN nor infinity.
func finite(t *tensors.Tensor) bool {
	if t.DType().IsInt() {
		return true
	}
	ok := true
	err := tensors.ConstFlatData(t, func(flat []float32) {
		for _, x := range flat {
			if x-x != 0 {
				ok = false
				return
			}
		}
	})
	return ok && err == nil
}

// prefetcher prepares the next step's micro-batches while a step runs.
type prefetcher struct {
	ready chan prefetched
	quit  chan struct{}
}

type prefetched struct {
	batches [][]*tensors.Tensor
	err     error
}

func (r *Run) prefetch(start int) *prefetcher {
	p := &prefetcher{ready: make(chan prefetched, 1), quit: make(chan struct{})}
	go func() {
		for step := start; step < r.Steps; step++ {
			var out prefetched
			for i := range r.Trainer.accum {
				batch, err := r.Data(step*r.Trainer.accum + i)
				if err != nil {
					out.err = err
					break
				}
				out.batches = append(out.batches, batch)
			}
			select {
			case p.ready <- out:
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

func (p *prefetcher) next() ([][]*tensors.Tensor, error) {
	out := <-p.ready
	return out.batches, out.err
}

func (p *prefetcher) stop() { close(p.quit) }

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
