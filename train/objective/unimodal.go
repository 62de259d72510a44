package objective

import (
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/nn"
	"goblip/models/opt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// CLIP is the symmetric contrastive loss of a dual encoder. Inputs: pixels uint8 [batch, height,
// width, 3], normalized with mean and std on the device; ids int32 [batch, text].
func CLIP(cfg *clip.Config, mean, std [3]float64) Objective {
	return Objective{
		Terms: []Term{{"contrastive", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			image := clip.ImageFeatures(scope, cfg, nn.PixelValues(in[0], mean, std))
			text := clip.TextFeatures(scope, cfg, in[1])
			scale := MinScalar(clip.LogitScale(scope, image), 100) // as the paper clips it
			logits := Mul(Einsum("id,td->it", image, text), scale)
			batch := logits.Shape().Dim(0)
			own := Iota(logits.Graph(), shapes.Make(dtypes.Int32, batch), 0)
			loss := Add(ReduceAllMean(nn.CrossEntropy(logits, own, 0)), ReduceAllMean(nn.CrossEntropy(Transpose(logits, 0, 1), own, 0)))
			return []*Node{DivScalar(loss, 2)}
		},
	}
}

// LM is next-word prediction on text alone. Inputs: ids, mask int32 [batch, text].
func LM(cfg *opt.Config) Objective {
	return Objective{
		Terms: []Term{{"lm", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			ids, mask := in[0], in[1]
			input, visible := allButLast(ids), allButLast(mask)
			embeds := opt.Embed(scope, cfg, input)
			states, _ := opt.Decode(scope, cfg, embeds, opt.Positions(visible), blip2.CausalMask(visible, embeds), nil)
			return []*Node{nextWord(opt.Logits(scope, cfg, states), ids, mask, 0)}
		},
	}
}
