package train

import (
	"slices"
	"testing"

	"goblip/internal/golden"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestDecayGroups wants LAVIS' parameter groups of its stage-1 model. That the optimizer itself is
// torch's, package infer/forward tests with the same case.
func TestDecayGroups(t *testing.T) {
	var about struct {
		Decay   []string `json:"decay"`
		NoDecay []string `json:"no_decay"`
	}
	golden.Open(t, "optimisation").JSON("case.json", &about)
	weights := golden.Open(t, "blip2-qformer-stage1").Weights("model")
	if len(about.Decay) == 0 || len(about.NoDecay) == 0 {
		t.Fatal("the case lists no groups")
	}
	for _, name := range slices.Concat(about.Decay, about.NoDecay) {
		if got, want := DecaysLAVIS(name, weights[name].Shape()), slices.Contains(about.Decay, name); got != want {
			t.Errorf("%s: decayed %v, want %v", name, got, want)
		}
	}
}

// newTrainer makes a trainer for batches of that form.
func newTrainer(t *testing.T, backend compute.Backend, store *model.Store, obj objective.Objective, set Settings, batch []*tensors.Tensor) *Trainer {
	t.Helper()
	trainer, err := NewTrainer(backend, store, obj, set, shapesOf(batch))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Finalize)
	return trainer
}

func shapesOf(batch []*tensors.Tensor) (inputs []shapes.Shape) {
	for _, in := range batch {
		inputs = append(inputs, in.Shape())
	}
	return inputs
}
