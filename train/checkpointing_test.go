package train

import (
	"testing"

	"goblip/internal/golden"
	"goblip/models/clip"
	"goblip/train/objective"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestCheckpointing wants the same losses and the same gradient of every tensor whether blocks are computed
// again or not, with everything on that draws numbers, and a larger program where they are.
func TestCheckpointing(t *testing.T) {
	stage1, stage1Batch := tinyStage1(4)
	lm, lmBatch := tinyLM(0.2)
	pretraining, pretrainingBatch := tinyPretraining(4)
	pretraining.Config.Vision.NumHiddenLayers, pretraining.Config.Vision.DropPath = 2, 0.4
	pretraining.Config.Text.AttentionProbsDropoutProb = 0.1
	pixels := func(seed uint64) *tensors.Tensor { return pretrainingBatch(seed)[0] }
	text := func(rows int, seed uint64) []*tensors.Tensor { return lmBatch(rows, seed)[:2] }

	dual := clip.Default()
	dual.Vision.HiddenSize, dual.Vision.IntermediateSize, dual.Vision.NumHiddenLayers, dual.Vision.NumAttentionHeads = 8, 12, 2, 2
	dual.Vision.ImageSize, dual.Vision.PatchSize, dual.Vision.DropPath, dual.ProjectionDim = 8, 4, 0.4, 4
	words := &dual.Text
	words.VocabSize, words.HiddenSize, words.IntermediateSize, words.NumHiddenLayers, words.NumAttentionHeads, words.MaxPositionEmbeddings = 50, 8, 12, 1, 2, 8
	half := [3]float64{0.5, 0.5, 0.5}

	for _, c := range []struct {
		name  string
		obj   objective.Objective
		batch func(seed uint64) []*tensors.Tensor
	}{
		{"blip2/stage1", stage1, stage1Batch},
		{"lm", lm, func(seed uint64) []*tensors.Tensor { return lmBatch(4, seed) }},
		{"blip/pretrain", pretraining.Objective(4, half, half), pretrainingBatch},
		{"clip", objective.CLIP{Config: &dual, Mean: half, Std: half, CaptionLayers: 1, CaptionWeight: 1}.Objective(), func(seed uint64) []*tensors.Tensor {
			return append([]*tensors.Tensor{pixels(seed)}, text(4, seed)[0])
		}},
		{"blip/nlvr", objective.BLIPJudge(pretraining.Config, half, half), func(seed uint64) []*tensors.Tensor {
			batch := pretrainingBatch(seed)
			pairs, err := tensors.CopyFlatData[uint8](batch[0])
			if err != nil {
				t.Fatal(err)
			}
			return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pairs, 2, 2, 8, 8, 3),
				tensors.FromValue([][]int32{{21, 5, 6, 3}, {21, 7, 3, 0}}), tensors.FromValue([][]int32{{1, 1, 1, 1}, {1, 1, 1, 0}}), tensors.FromValue([]int32{1, 0})}
		}},
	} {
		nodes := 0
		run := func(checkpoint string) (losses []float32, gradients map[string]*tensors.Tensor) {
			var g *Graph
			obj := c.obj
			obj.Build = func(scope *model.Scope, in []*Node) []*Node {
				g = in[0].Graph()
				return c.obj.Build(scope, in)
			}
			trainer := newTrainer(t, golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 9, Checkpoint: checkpoint, Trainable: notCarried(pretraining)}, c.batch(0))
			for _, l := range step(t, trainer, 0, c.batch(0)).Terms {
				losses = append(losses, float32(l))
			}
			nodes = int(g.LastNode().Id())
			return losses, snapshot(t, trainer, true) // the first moments are the gradients, times a number
		}
		wantLosses, want := run("none")
		plain := nodes
		gotLosses, got := run("blocks")
		if nodes <= plain {
			t.Errorf("%s: %d nodes with blocks computed again, %d without", c.name, nodes, plain)
		}
		golden.Near(t, c.name+": losses", tensors.FromValue(gotLosses), tensors.FromValue(wantLosses), 1e-6, 1e-6)
		for name := range want {
			golden.Near(t, c.name+": "+name, got[name], want[name], 1e-7, 1e-4)
		}
	}
}
