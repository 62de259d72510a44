package forward

import (
	"fmt"
	"maps"
	"slices"

	"goblip/checkpoints"
	"goblip/infer"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// load declares the variables of a model and fills them from the checkpoint, strictly: the graph
// function build, which must use all of the model, runs on inputs of the given shapes.
func (r *run) load(o checkpoints.LoadOptions, build func(scope *model.Scope, in []*Node), inputs ...shapes.Shape) error {
	folder, err := r.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	want, err := infer.Declare(r.backend, r.store, build, inputs...)
	if err != nil {
		return err
	}
	o.ConvertFloats, o.Backend = true, r.backend
	_, err = folder.LoadWith(r.store, want, o)
	return err
}

// loadOPT is load for a model with an OPT, whose names begin with prefix. Some files have its head too,
// which is tied to the table.
func (r *run) loadOPT(prefix string, build func(scope *model.Scope, in []*Node), inputs ...shapes.Shape) error {
	folder, err := r.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	copies, err := infer.OPTCopies(folder, prefix)
	if err != nil {
		return err
	}
	return r.load(checkpoints.LoadOptions{IgnoreUnexpected: copies}, build, inputs...)
}

// weights reads all tensors of the checkpoint, floating-point ones as float32.
func (r *run) weights() (map[string]*tensors.Tensor, error) {
	folder, err := r.folder()
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	all := map[string]*tensors.Tensor{}
	for _, name := range folder.Names() {
		value, err := folder.Tensor(name)
		if err == nil && value.DType().IsFloat() {
			value, err = checkpoints.Cast(value, dtypes.Float32)
		}
		if err != nil {
			return nil, err
		}
		all[name] = value
	}
	return all, nil
}

// fill sets the declared variables to tensors in memory, with the strictness of Folder.Load.
func (r *run) fill(want map[string]shapes.Shape, weights map[string]*tensors.Tensor) error {
	mismatch := &checkpoints.MismatchError{Folder: r.model}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value := weights[name]
		switch {
		case value == nil:
			mismatch.Missing = append(mismatch.Missing, name)
		case !value.Shape().Equal(want[name]):
			mismatch.Shapes = append(mismatch.Shapes, checkpoints.ShapeMismatch{Name: name, Got: value.Shape(), Want: want[name]})
		default:
			if err := r.store.GetVariable(checkpoints.VariablePath(name)).SetValue(value); err != nil {
				return fmt.Errorf("tensor %s: %w", name, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if _, ok := want[name]; !ok {
			mismatch.Unexpected = append(mismatch.Unexpected, name)
		}
	}
	if len(mismatch.Missing)+len(mismatch.Unexpected)+len(mismatch.Shapes) > 0 {
		return mismatch
	}
	return nil
}
