package train

import (
	"slices"

	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Shards say what data-parallel devices divide among each other instead of holding it whole:
//
//	none       nothing
//	optimizer  moments and accumulated gradients (ZeRO, https://arxiv.org/abs/1910.02054, stages 1 and 2)
//	full       weights too, trained and frozen ones, which a step gathers as it needs them (stage 3)
//
// The losses are the same; only memory and what is sent differ.
var Shards = []string{"none", "optimizer", "full"}

// distribute shards the batch axis of the inputs over n devices, and variables as t.shard says.
func (t *Trainer) distribute(n, inputs int) error {
	if n <= 1 {
		return nil
	}
	var err error
	if t.mesh, err = distributed.NewDeviceMesh([]int{n}, []string{"data"}); err != nil {
		return err
	}
	if t.sharded, err = distributed.BuildSpec(t.mesh).S("data").Done(); err != nil {
		return err
	}
	t.replicated = distributed.NewReplicatedShardingSpec(t.mesh)
	divide := func(e *model.Exec, shared, divided int) {
		specs := slices.Repeat([]*distributed.ShardingSpec{t.replicated}, shared)
		specs = append(specs, slices.Repeat([]*distributed.ShardingSpec{t.sharded}, divided)...)
		e.AutoSharding(t.mesh).WithInputShardingSpecs(specs...)
	}
	divide(t.measure, 2, inputs)
	in := inputs
	if t.chunks != nil {
		divide(t.chunks.features, 1, inputs)
		divide(t.chunks.compare, 1, t.objective.Chunked.NumFeatures+inputs-1)
		in += len(t.chunks.partners) + t.objective.Chunked.NumFeatures
	}
	divide(t.update, 2, in)
	divide(t.collect, 2, in)
	if t.shard == "none" {
		return nil
	}
	roots := []string{firstMoments, secondMoments, accumulators}
	if t.shard == "full" {
		roots = append(roots, modelRoot)
	}
	for _, root := range roots {
		for v := range t.store.Scope(root).IterVariables() {
			spec, err := t.divided(v.Shape())
			if err != nil {
				return err
			}
			if err := v.SetShardingSpec(spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// smallest is the number of elements below which a tensor is not worth dividing.
const smallest = 1 << 8

// divided is the sharding of a tensor over all devices along its first axis that divides evenly.
func (t *Trainer) divided(shape shapes.Shape) (*distributed.ShardingSpec, error) {
	b := distributed.BuildSpec(t.mesh)
	if shape.Size() < smallest {
		return t.replicated, nil
	}
	for axis := range shape.Rank() {
		if shape.Dim(axis)%t.mesh.NumDevices() == 0 {
			return b.S("data").Done()
		}
		b = b.R()
	}
	return t.replicated, nil
}

// divideOutputs tells a program how its results are to be divided: the variables that it changes, as
// they are stored, and then n numbers for all.
func (t *Trainer) divideOutputs(e *model.Exec, g *Graph, n int) {
	if t.shard != "none" {
		t.wholeOutputs(e, g, n)
	}
}

// wholeOutputs is divideOutputs for results that are not scalars, which XLA would divide as it likes.
func (t *Trainer) wholeOutputs(e *model.Exec, g *Graph, n int) {
	if t.mesh == nil {
		return
	}
	var specs []*distributed.ShardingSpec
	for v := range t.store.IterVariables() {
		if !v.ChangedInGraph(g) {
			continue
		}
		spec := v.ShardingSpec()
		if spec == nil {
			spec = t.replicated
		}
		specs = append(specs, spec)
	}
	for range n {
		specs = append(specs, t.replicated)
	}
	e.WithOutputShardingSpecs(specs...)
}
