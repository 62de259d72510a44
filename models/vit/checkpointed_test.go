package vit

import (
	"math"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestDropPathRates wants them to rise from 0 at the first block to the whole at the last.
func TestDropPathRates(t *testing.T) {
	cfg := Config{NumHiddenLayers: 5, DropPath: 0.4}
	for i, want := range []float64{0, 0.1, 0.2, 0.3, 0.4} {
		if got := cfg.dropPath(i); math.Abs(got-want) > 1e-9 {
			t.Errorf("block %d: %g, want %g", i, got, want)
		}
	}
	if cfg.NumHiddenLayers = 1; cfg.dropPath(0) != 0 {
		t.Errorf("one block: %g, want 0", cfg.dropPath(0))
	}
}

// TestCheckpointedBlocks wants the same loss and gradients whatever is computed twice, and a larger
// graph of the gradient where something is.
func TestCheckpointedBlocks(t *testing.T) {
	cfg := DefaultBLIP()
	cfg.HiddenSize, cfg.IntermediateSize, cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.ImageSize, cfg.PatchSize = 8, 12, 3, 2, 8, 4
	store := model.NewStore()
	build := func(scope *model.Scope, in []*Node) *Node {
		states := Encode(scope.At("vision_model"), &cfg, in[0])
		return ReduceAllSum(Square(PostLayerNorm(scope.At("vision_model"), &cfg, states[len(states)-1])))
	}
	pixels := shapes.Make(dtypes.Float32, 2, 3, 8, 8)
	if err := nn.Declare(golden.Go(t), store, func(root *model.Scope, in []*Node) { build(root.At("model"), in) }, pixels); err != nil {
		t.Fatal(err)
	}
	if err := nn.Initialize(store, 3, 0.3); err != nil {
		t.Fatal(err)
	}
	values := make([]float32, pixels.Size())
	for i := range values {
		values[i] = float32(i%13) / 7
	}
	nodes := 0
	run := func(checkpointed int) []*tensors.Tensor {
		cfg.CheckpointedBlocks = checkpointed
		return golden.New(t, golden.Backend(t), store, func(scope *model.Scope, in []*Node) []*Node {
			nn.Train(in[1])
			loss := build(scope, in)
			var of []*Node
			for _, name := range []string{"vision_model.embeddings.patch_embedding.weight", "vision_model.encoder.layers.0.self_attn.qkv.weight",
				"vision_model.encoder.layers.2.mlp.fc1.bias", "vision_model.post_layernorm.weight"} {
				of = append(of, golden.Variable(t, store, name).NodeValue(loss.Graph()))
			}
			gradients := Gradient(loss, of...)
			nodes = int(loss.Graph().LastNode().Id())
			return append([]*Node{loss}, gradients...)
		}).Run(tensors.FromFlatDataAndDimensions(values, 2, 3, 8, 8), nn.StepRNG(1, 0))
	}
	whole := run(0)
	cfg.DropPath = 0.6 // what is computed twice drops the same both times
	want, plain := run(0), nodes
	if want[0].Equal(whole[0]) {
		t.Error("no path is dropped")
	}
	for _, n := range []int{1, 3} {
		for i, got := range run(n) {
			golden.Near(t, "value", got, want[i], 1e-5, 1e-5)
		}
		if nodes <= plain {
			t.Errorf("%d blocks: %d nodes, without %d: nothing is computed again", n, nodes, plain)
		}
	}
}
