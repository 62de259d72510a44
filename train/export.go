package train

import (
	"slices"

	"goblip/internal/pjrt"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Export writes the training step that a Trainer would run as a StableHLO program for another kind of
// device and another number of them. No variable gets a value, so models far larger than memory can
// be exported.
func Export(e *pjrt.Exporter, obj objective.Objective, set Settings, inputs []shapes.Shape) (program []byte, err error) {
	store := model.NewStore()
	t, frozen, err := declare(e, store, obj, set, inputs)
	if err != nil {
		return nil, err
	}
	empty := func(path string, shape shapes.Shape) {
		store.VariableWithShape(path, shape, func(g *Graph, shape shapes.Shape) *Node { return Zeros(g, shape) })
	}
	for _, v := range frozen {
		shape := v.Shape().Clone()
		shape.DType = t.compute
		if err := store.DeleteVariable(v.Path()); err != nil {
			return nil, err
		}
		empty(v.Path(), shape)
	}
	for _, v := range t.vars {
		for _, root := range t.state() {
			empty(statePath(v, root), v.Shape())
		}
	}
	if err := t.prepare(e, set.Devices, len(inputs)); err != nil {
		return nil, err
	}
	defer t.Finalize()
	one := []shapes.Shape{shapes.Make(dtypes.Uint64, RNGStateShape.Dimensions...), shapes.Make(dtypes.Float32, 3)}
	for _, in := range inputs { // what each device gets of it
		shard := in.Clone()
		shard.Dimensions[0] /= t.Devices()
		one = append(one, shard)
	}
	all := slices.Repeat(one, t.Devices())
	return e.Export(func() error {
		_, err := t.update.Compile(all...)
		return err
	})
}

// Parameters counts the numbers that a step trains and those that it only reads; no variable gets a value.
func Parameters(backend compute.Backend, obj objective.Objective, set Settings, inputs []shapes.Shape) (trained, frozen int, err error) {
	t, kept, err := declare(backend, model.NewStore(), obj, set, inputs)
	if err != nil {
		return 0, 0, err
	}
	for _, v := range kept {
		frozen += v.Shape().Size()
	}
	return t.NumTrained(), frozen, nil
}
