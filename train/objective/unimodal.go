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
// width, 3], normalized with mean and std on the device; ids int32 [batch, text]; and, with
// hardNegatives, wrong int32 [batch, text]: a wrong text for each picture, which joins the texts
// that a picture is told apart from (NegCLIP, https://arxiv.org/abs/2210.01936, section 5).
func CLIP(cfg *clip.Config, mean, std [3]float64, hardNegatives bool) Objective {
	return Objective{
		Terms: []Term{{"contrastive", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			image := clip.ImageFeatures(scope, cfg, nn.PixelValues(in[0], mean, std))
			ids, batch := in[1], in[1].Shape().Dim(0)
			if hardNegatives {
				ids = Concatenate([]*Node{ids, in[2]}, 0)
			}
			text := clip.TextFeatures(scope, cfg, ids)
			scale := MinScalar(clip.LogitScale(scope, image), 100) // as the paper clips it
			logits := Mul(Einsum("id,td->it", image, text), scale) // [batch, texts]
			own := Iota(logits.Graph(), shapes.Make(dtypes.Int32, batch), 0)
			backward := Transpose(Slice(logits, AxisRange(), AxisRange(0, batch)), 0, 1)
			loss := Add(ReduceAllMean(nn.CrossEntropy(logits, own, 0)), ReduceAllMean(nn.CrossEntropy(backward, own, 0)))
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
