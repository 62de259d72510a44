package train

import (
	"fmt"
	"slices"

	"goblip/models/nn"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// declare creates the objective's variables, without values, and divides those that it uses into
// trained, frozen and those that it changes by itself, which are neither.
func declare(backend compute.Backend, store *model.Store, obj objective.Objective, set Settings, inputs []shapes.Shape) (t *Trainer, frozen []*model.Variable, err error) {
	t = &Trainer{store: store, objective: obj, adam: set.AdamW, seed: set.Seed, accum: max(set.Accumulate, 1), compute: dtypes.Float32, shard: "none"}
	switch set.Precision {
	case "", "f32":
	case "bf16":
		t.compute = dtypes.BFloat16
	default:
		return nil, nil, fmt.Errorf("precision %q is none of %v", set.Precision, Precisions)
	}
	if set.Checkpoint != "" && !slices.Contains(Checkpoints, set.Checkpoint) {
		return nil, nil, fmt.Errorf("checkpointing %q is none of %v", set.Checkpoint, Checkpoints)
	}
	if set.Checkpoint == "auto" {
		return nil, nil, fmt.Errorf("checkpointing auto is not decided here: choose none or blocks")
	}
	t.recompute = set.Checkpoint == "blocks"
	if set.Shard != "" {
		t.shard = set.Shard
	}
	if !slices.Contains(Shards, t.shard) {
		return nil, nil, fmt.Errorf("shard %q is none of %v", set.Shard, Shards)
	}
	if set.Whole && t.accum > 1 {
		if t.whole = obj.Chunked != nil; !t.whole {
			return nil, nil, fmt.Errorf("this objective cannot compute the losses of a batch from micro-batches of it")
		}
	}
	var used []*model.Variable
	carried := map[*model.Variable]bool{} // changed by the objective from step to step
	rng := shapes.Make(dtypes.Uint64, RNGStateShape.Dimensions...)
	err = nn.Declare(backend, store, func(scope *model.Scope, in []*Node) {
		g := in[0].Graph()
		t.in(g)
		nn.Train(in[0])
		obj.Build(scope.At("model"), in[1:])
		for v := range store.IterVariables() {
			if v.InUseByGraph(g) {
				used = append(used, v)
				carried[v] = v.ChangedInGraph(g)
			}
		}
	}, append([]shapes.Shape{rng}, inputs...)...)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range used {
		train := set.Trainable == nil || set.Trainable(tensorName(v))
		v.SetTrainable(train)
		switch {
		case train:
			t.vars = append(t.vars, v)
		case carried[v]:
			t.carried = append(t.carried, v)
		case v.DType() == dtypes.Float32:
			frozen = append(frozen, v)
		}
	}
	t.compilations = 0 // nothing was compiled yet
	if len(t.vars) == 0 {
		return nil, nil, fmt.Errorf("nothing to train: every tensor of the model is frozen")
	}
	return t, frozen, nil
}

// replace puts a value of another type in the place of a variable's.
func replace(store *model.Store, v *model.Variable, value *tensors.Tensor) error {
	path := v.Path()
	if err := store.DeleteVariable(path); err != nil {
		return err
	}
	fresh, err := store.CreateVariable(path, value)
	if err == nil {
		fresh.SetTrainable(false)
	}
	return err
}
