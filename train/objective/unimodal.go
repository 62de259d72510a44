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

// CLIP trains a dual encoder.
type CLIP struct {
	Config    *clip.Config
	Mean, Std [3]float64 // of the pixels

	// HardNegatives: a wrong text for each picture joins the texts that it is told apart from
	// (NegCLIP, https://arxiv.org/abs/2210.01936, section 5).
	HardNegatives bool

	// CaptionLayers of a caption decoder learn with the towers (CoCa, https://arxiv.org/abs/2205.01917); 0: none.
	CaptionLayers int
	CaptionWeight float64
}

// Objective is the symmetric contrastive loss, and the caption's. Inputs:
//
//	pixels uint8 [batch, height, width, 3]
//	ids    int32 [batch, text], [PAD] = 0 on the right
//	wrong  int32 [batch, text], with HardNegatives
func (c CLIP) Objective() Objective {
	terms := []Term{{"contrastive", 0, "floor"}}
	if c.CaptionLayers > 0 {
		terms = append(terms, Term{"caption", 0, "floor"})
	}
	return Objective{Terms: terms, Build: c.losses}
}

func (c CLIP) losses(scope *model.Scope, in []*Node) []*Node {
	cfg := c.Config
	states := clip.ImageStates(scope, cfg, nn.PixelValues(in[0], c.Mean, c.Std))
	image := clip.ProjectImage(scope, cfg, states)
	ids, batch := in[1], in[1].Shape().Dim(0)
	texts := ids
	if c.HardNegatives {
		texts = Concatenate([]*Node{ids, in[2]}, 0)
	}
	textStates := clip.TextStates(scope, cfg, texts, nil)
	text := clip.ProjectText(scope, cfg, clip.PoolText(cfg, textStates, texts))
	scale := MinScalar(clip.LogitScale(scope, image), 100) // as the paper clips it
	logits := Mul(Einsum("id,td->it", image, text), scale) // [batch, texts]
	own := Iota(logits.Graph(), shapes.Make(dtypes.Int32, batch), 0)
	backward := Transpose(Slice(logits, AxisRange(), AxisRange(0, batch)), 0, 1)
	loss := Add(ReduceAllMean(nn.CrossEntropy(logits, own, 0)), ReduceAllMean(nn.CrossEntropy(backward, own, 0)))
	losses := []*Node{DivScalar(loss, 2)}
	if c.CaptionLayers > 0 {
		mask := ConvertDType(NotEqual(ids, ZerosLike(ids)), dtypes.Int32)
		right := Slice(textStates, AxisRange(0, batch), AxisRange(0, ids.Shape().Dim(1)-1))
		words := clip.CaptionHead(scope, cfg, c.CaptionLayers, right, states[len(states)-2])
		losses = append(losses, MulScalar(nextWord(words, ids, mask, 0), c.CaptionWeight))
	}
	return losses
}

// LM is next-word prediction on text alone. Inputs: ids, mask, weights int32 [batch, text]; weights
// are how much each word counts in the mean.
func LM(cfg *opt.Config) Objective {
	return Objective{
		Terms: []Term{{"lm", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			ids, mask, weights := in[0], in[1], in[2]
			input, visible := allButLast(ids), allButLast(mask)
			embeds := opt.Embed(scope, cfg, input)
			states, _ := opt.Decode(scope, cfg, embeds, opt.Positions(visible), blip2.CausalMask(visible, embeds), nil)
			return []*Node{nextWord(opt.Head(scope, cfg, states), ids, weights, 0)}
		},
	}
}
