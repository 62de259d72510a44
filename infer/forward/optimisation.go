package forward

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"goblip/checkpoints"
	"goblip/models/blip2"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// schedule is how a case trains stage 1 with AdamW, under LAVIS' learning rates.
type schedule struct {
	Epochs      int       `json:"epochs"`
	Steps       int       `json:"iters_per_epoch"`
	Warmup      int       `json:"warmup_steps"`
	Peak        float64   `json:"init_lr"`
	Min         float64   `json:"min_lr"`
	Start       float64   `json:"warmup_start_lr"`
	WeightDecay float64   `json:"weight_decay"`
	Betas       []float64 `json:"betas"`
	Eps         float64   `json:"eps"`
}

// unit is how a case steps AdamW alone, on given gradients.
type unit struct {
	LR          float64   `json:"lr"`
	Betas       []float64 `json:"betas"`
	Eps         float64   `json:"eps"`
	WeightDecay []float64 `json:"weight_decay"` // of p0, p1, ...
	ClipNorm    *float64  `json:"clip_grad_norm"`
}

// clipName is the name of a trajectory whose gradients are clipped to that global norm.
var clipName = regexp.MustCompile(`^clip([0-9.]+)$`)

// optimisation trains stage 1 from its checkpoint: plain.* and clipN.* are trajectories of loss,
// learning rate and gradient norm, and the weights at the end; unit.* are single AdamW steps.
func optimisation(r *run) error {
	var about struct {
		Schedule schedule `json:"schedule"`
		Unit     unit     `json:"unit"`
	}
	if err := r.JSON(&about); err != nil {
		return err
	}
	if s := about.Schedule; s.Epochs < 1 || s.Steps < 1 || len(s.Betas) != 2 {
		return fmt.Errorf("case.json: schedule needs epochs, iters_per_epoch and two betas")
	}
	runs := map[string]bool{}
	for _, name := range r.missing() {
		prefix, _, _ := strings.Cut(name, ".")
		runs[prefix] = true
	}
	for name := range runs {
		clip := 0.0
		if found := clipName.FindStringSubmatch(name); found != nil {
			clip, _ = strconv.ParseFloat(found[1], 64)
		} else if name == "unit" {
			if err := unitSteps(r, about.Unit); err != nil {
				return err
			}
			continue
		} else if name != "plain" {
			continue // reported as unknown
		}
		if err := trajectory(r, name, about.Schedule, clip); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// trajectory trains from the checkpoint and keeps what each step says.
func trajectory(r *run, name string, set schedule, clip float64) error {
	fresh := &run{Case: r.Case, backend: r.backend, store: model.NewStore(), got: r.got}
	defer fresh.finalize()
	s, err := openStage1(fresh)
	if err != nil {
		return err
	}
	negatives := [2][][]int32{}
	for i, name := range []string{"neg_image_index", "neg_text_index"} {
		if negatives[i], err = r.rows(name); err != nil {
			return err
		}
	}
	batches, err := s.batches(fresh, set.Steps)
	if err != nil {
		return err
	}
	lr := train.EpochCosine(set.Start, set.Peak, set.Min, set.Warmup, set.Steps, set.Epochs)
	adam := train.AdamW{Beta1: set.Betas[0], Beta2: set.Betas[1], Eps: set.Eps, WeightDecay: set.WeightDecay, ClipNorm: clip}
	obj := objective.Objective{
		Terms: []objective.Term{{Name: "itc"}, {Name: "itm"}, {Name: "lm"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			l := s.onStates(scope, in[0], in[1], in[2], in[3], in[4], false)
			return []*Node{l.ITC, l.ITM, l.ITG}
		},
	}
	var trainer *train.Trainer
	curves := map[string][]float32{}
	for step := range negatives[0] {
		batch := append([]*tensors.Tensor{}, batches[step%set.Steps]...)
		for _, n := range negatives {
			batch = append(batch, tensors.FromValue(n[step]))
		}
		if trainer == nil {
			if trainer, err = newTrainer(fresh, obj, adam, batch); err != nil {
				return err
			}
			defer trainer.Finalize()
		}
		result, err := trainer.Step(step, lr(step), [][]*tensors.Tensor{batch})
		if err != nil {
			return err
		}
		itc, itm, lm := result.Terms[0], result.Terms[1], result.Terms[2]
		for curve, v := range map[string]float64{"loss": itc + itm + lm, "loss_itc": itc, "loss_itm": itm, "loss_lm": lm, "grad_norm": result.GradNorm, "lr": lr(step)} {
			curves[curve] = append(curves[curve], float32(v))
		}
	}
	for curve, values := range curves {
		r.put(name+"."+curve, tensors.FromValue(values))
	}
	trained, err := trainer.Trained(false)
	if err != nil {
		return err
	}
	return finalWeights(r, name, trained)
}

// batches are states, ids and mask of batch0, batch1, ...; the frozen encoder runs once.
func (s *stage1) batches(r *run, n int) (out [][]*tensors.Tensor, err error) {
	for i := range n {
		prefix := fmt.Sprintf("batch%d.", i)
		pixels, err := r.input(prefix + "pixel_values")
		if err != nil {
			return nil, err
		}
		states, err := r.value([]*tensors.Tensor{pixels}, func(scope *model.Scope, in []*Node) *Node { return lastState(scope, &s.cfg.Vision, in[0]) })
		if err != nil {
			return nil, err
		}
		if err := states.ToLocal(); err != nil {
			return nil, err
		}
		batch := []*tensors.Tensor{states}
		for _, name := range []string{"input_ids", "attention_mask"} {
			value, err := r.input(prefix + name)
			if err != nil {
				return nil, err
			}
			batch = append(batch, value)
		}
		out = append(out, batch)
	}
	return out, nil
}

func newTrainer(r *run, obj objective.Objective, adam train.AdamW, batch []*tensors.Tensor) (*train.Trainer, error) {
	var inputs []shapes.Shape
	for _, in := range batch {
		inputs = append(inputs, in.Shape())
	}
	return train.NewTrainer(r.backend, r.store, obj, train.Settings{AdamW: adam}, inputs)
}

// finalWeights keeps trained tensors: whole (final_full), or their mean, deviation and sum of
// magnitudes (final).
func finalWeights(r *run, name string, trained map[string]*tensors.Tensor) error {
	for _, wanted := range r.missing() {
		of, ok := strings.CutPrefix(wanted, name+".final")
		kind, lavis, cut := strings.Cut(of, ".")
		hf, _ := blip2.FromLAVIS(lavis)
		value := trained[hf]
		if !ok || !cut || value == nil {
			continue
		}
		switch kind {
		case "_full":
			own, err := value.LocalClone() // the trainer frees its own
			if err != nil {
				return err
			}
			r.put(wanted, own)
		case "":
			flat, err := tensors.CopyFlatData[float32](value)
			if err != nil {
				return err
			}
			r.put(wanted, tensors.FromValue(moments(flat)))
		}
	}
	return nil
}

// moments are mean, population standard deviation and sum of magnitudes.
func moments(x []float32) []float32 {
	n, sum, magnitudes, squares := float64(len(x)), 0.0, 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
		magnitudes += math.Abs(float64(v))
	}
	for _, v := range x {
		squares += (float64(v) - sum/n) * (float64(v) - sum/n)
	}
	return []float32{float32(sum / n), float32(math.Sqrt(squares / n)), float32(magnitudes)}
}

// unitSteps gives p0, p1, ... the gradients unit.pI.grad.STEP: unit.pI.after.STEP.
func unitSteps(r *run, u unit) error {
	if len(u.Betas) != 2 {
		return fmt.Errorf("case.json: unit needs two betas")
	}
	decayed, adam := map[string]bool{}, train.AdamW{Beta1: u.Betas[0], Beta2: u.Betas[1], Eps: u.Eps}
	var names []string
	for i, decay := range u.WeightDecay {
		name := fmt.Sprintf("p%d", i)
		names = append(names, name)
		if decay == 0 {
			continue
		}
		if adam.WeightDecay != 0 && adam.WeightDecay != decay {
			return fmt.Errorf("case.json: unit: weight_decay has two values, %g and %g", adam.WeightDecay, decay)
		}
		adam.WeightDecay, decayed[name] = decay, true
	}
	adam.Decays = func(name string, _ shapes.Shape) bool { return decayed[name] }
	if u.ClipNorm != nil {
		adam.ClipNorm = *u.ClipNorm
	}
	fresh := &run{Case: r.Case, backend: r.backend, store: model.NewStore(), got: r.got}
	defer fresh.finalize()
	for _, name := range names {
		start, err := r.input("unit." + name + ".start")
		if err != nil {
			return err
		}
		if _, err := fresh.store.CreateVariable(checkpoints.VariablePath(name), start); err != nil {
			return err
		}
	}
	// The gradient of the sum of products with constants is those constants.
	obj := objective.Objective{Terms: []objective.Term{{Name: "dot"}}, Build: func(scope *model.Scope, in []*Node) []*Node {
		sum := ScalarZero(in[0].Graph(), dtypes.Float32)
		for i, name := range names {
			w := scope.VariableWithShape(name, in[i].Shape()).NodeValue(in[i].Graph())
			sum = Add(sum, ReduceAllSum(Mul(w, in[i])))
		}
		return []*Node{sum}
	}}
	var trainer *train.Trainer
	for step := 0; r.needs("unit.*"); step++ {
		var batch []*tensors.Tensor
		for _, name := range names {
			grad := fmt.Sprintf("unit.%s.grad.%d", name, step)
			if !r.hasInput(grad) {
				return nil // what is still missing is reported
			}
			value, err := r.input(grad)
			if err != nil {
				return err
			}
			batch = append(batch, value)
		}
		var err error
		if trainer == nil {
			if trainer, err = newTrainer(fresh, obj, adam, batch); err != nil {
				return err
			}
			defer trainer.Finalize()
		}
		if _, err := trainer.Step(step, u.LR, [][]*tensors.Tensor{batch}); err != nil {
			return err
		}
		trained, err := trainer.Trained(false)
		if err != nil {
			return err
		}
		for _, name := range names {
			own, err := trained[name].LocalClone()
			if err != nil {
				return err
			}
			r.put(fmt.Sprintf("unit.%s.after.%d", name, step), own)
		}
	}
	return nil
}
