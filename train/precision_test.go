package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/ml/model"
)

// TestBF16 trains the same batches in both precisions: losses stay near each other, what is trained is
// float32, and what is frozen is stored in bfloat16.
func TestBF16(t *testing.T) {
	run := func(precision string) (losses []float64, trainer *Trainer) {
		obj, batch := tinyStage1(8)
		trainer = newTrainer(t, golden.Backend(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Precision: precision,
			Trainable: func(name string) bool { return !strings.HasPrefix(name, "embeddings.") }}, batch(0))
		for n := range 6 {
			losses = append(losses, step(t, trainer, n, batch(uint64(n))).Terms...)
		}
		return losses, trainer
	}
	want, _ := run("f32")
	got, short := run("bf16")
	if slices.Equal(got, want) {
		t.Error("bf16 computes what f32 does")
	}
	for i := range want {
		// Negatives are drawn from similarities, so that a near tie may turn over.
		if math.Abs(got[i]-want[i]) > 0.03*want[i] {
			t.Errorf("loss %d is %.4f in bf16, %.4f in f32", i, got[i], want[i])
		}
	}
	for v := range short.store.IterVariables() {
		dtype := dtypes.Float32
		if strings.HasPrefix(v.Path(), "/model/embeddings/") {
			dtype = dtypes.BFloat16
		}
		if v.DType() != dtype {
			t.Errorf("%s is stored as %s, want %s", v.Path(), v.DType(), dtype)
		}
	}
}

// TestSettingsRefused wants an error that names the setting.
func TestSettingsRefused(t *testing.T) {
	for _, set := range []Settings{{Precision: "fp8"}, {Shard: "half"}, {Checkpoint: "some"}} {
		obj, batch := tinyStage1(4)
		_, err := NewTrainer(golden.Go(t), model.NewStore(), obj, set, shapesOf(batch(0)))
		if err == nil || !strings.Contains(err.Error(), "none of") {
			t.Errorf("%+v: %v", set, err)
		}
	}
}

// TestCompilations counts one program for each length of text, and none for a length seen before.
func TestCompilations(t *testing.T) {
	obj, batch := tinyLM(0)
	trainer := newTrainer(t, golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam}, batch(4, 0))
	for n, rows := range []int{4, 4, 2, 4, 2} {
		step(t, trainer, n, batch(rows, uint64(n)))
	}
	if got := trainer.Compilations(); got != 2 {
		t.Errorf("%d programs for two shapes", got)
	}
}
