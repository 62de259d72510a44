package train

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"goblip/internal/golden"
	"goblip/train/objective"
	"goblip/train/runlog"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestDataWait wants the log to say how much of the time steps waited for data, and data to be made
// while a step runs.
func TestDataWait(t *testing.T) {
	const slow = 60 * time.Millisecond
	waits := func(data, evaluation time.Duration) (summary Summary, lines []runlog.Step) {
		lm, batch := tinyLM(0)
		trainer := newTrainer(t, golden.Go(t), model.NewStore(), lm, Settings{AdamW: testAdam, Seed: 1}, batch(4, 1))
		dir := t.TempDir()
		run := Run{Name: "test", Dir: dir, Trainer: trainer, Terms: []objective.Term{{Name: "lm"}}, Steps: 8, Batch: 4, LogEvery: 2, Quiet: true,
			Schedule: func(int) float64 { return 1e-3 },
			Data: func(i int) ([]*tensors.Tensor, error) {
				time.Sleep(data)
				return batch(4, uint64(i)), nil
			},
			// An evaluation is what takes time beside the data here: a step of so small a model does not.
			HeldBatches: 1, EvalEvery: 1, HeldOut: func(int) ([]*tensors.Tensor, error) {
				time.Sleep(evaluation)
				return batch(4, 1), nil
			}}
		summary, err := run.Do(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		all, err := runlog.Read(filepath.Join(dir, runlog.MetricsFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range all {
			if line.Split == "train" {
				lines = append(lines, line)
			}
		}
		return summary, lines
	}
	// The first step compiles, which hides the wait for its data.
	starved, lines := waits(slow, 0)
	if starved.DataWaitShare < 0.5 || starved.DataWaitShare > 1 || len(lines) != 5 {
		t.Errorf("slow data: waited %.3f of the time, %d lines", starved.DataWaitShare, len(lines))
	}
	for _, line := range lines[1:] {
		if line.DataWaitShare < 0.5 || line.DataWaitShare > 1 || line.DataWaitSeconds < slow.Seconds()/4 || line.DataWaitSeconds > line.StepSeconds {
			t.Errorf("slow data, step %d: waited %.3f of the time, %.3f of %.3f s", line.Step, line.DataWaitShare, line.DataWaitSeconds, line.StepSeconds)
		}
	}
	fed, lines := waits(slow/2, 2*slow)
	if fed.DataWaitShare > starved.DataWaitShare/2 {
		t.Errorf("data made beside the rest: waited %.3f of the time, %.3f where there is no rest", fed.DataWaitShare, starved.DataWaitShare)
	}
	for _, line := range lines {
		if math.IsNaN(line.DataWaitShare) || line.DataWaitShare < 0 || line.DataWaitShare > 1 {
			t.Errorf("step %d: waited %.3f of the time", line.Step, line.DataWaitShare)
		}
	}
}

// TestCompilationsStay wants a run to compile a program for each shape of its batches and of its held-out
// ones when it meets them first, and none after that: not for evaluations, checkpoints or another epoch.
func TestCompilationsStay(t *testing.T) {
	compiled := func(steps int) (n, last int) {
		lm, batch := tinyLM(0)
		trainer := newTrainer(t, golden.Go(t), model.NewStore(), lm, Settings{AdamW: testAdam, Seed: 1}, batch(6, 1))
		run := Run{Name: "test", Dir: t.TempDir(), Trainer: trainer, Terms: []objective.Term{{Name: "lm"}}, Steps: steps, Batch: 6, Quiet: true,
			Schedule: func(int) float64 { return 1e-3 }, CheckpointEvery: 4, EvalEvery: 3, HeldBatches: 4,
			Data:    func(i int) ([]*tensors.Tensor, error) { return batch([]int{6, 4, 6, 2, 6}[i%5], uint64(i)), nil },
			HeldOut: func(i int) ([]*tensors.Tensor, error) { return batch([]int{4, 6}[i%2], uint64(i)), nil },
		}
		summary, err := run.Do(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if summary.Compilations != trainer.Compilations() {
			t.Errorf("the summary counts %d programs of %d", summary.Compilations, trainer.Compilations())
		}
		return summary.Compilations, summary.LastCompilation
	}
	if n, last := compiled(10); n != 5 || last != 4 {
		t.Errorf("%d programs, the last at step %d, want 5 and 4", n, last)
	}
	if n, last := compiled(25); n != 5 || last != 4 {
		t.Errorf("two more epochs: %d programs, the last at step %d, want 5 and 4", n, last)
	}
	if n, last := compiled(3); n != 4 || last != 3 { // the evaluation after the last step
		t.Errorf("three steps: %d programs, the last at step %d, want 4 and 3", n, last)
	}
}
