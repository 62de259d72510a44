package blip2

import (
	"goblip/models/nn"
	"goblip/models/opt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// VisualPrompt is the soft prompt of the pictures in the LLM's word space (paper, section 3.3):
// states [batch, patches, image_hidden] -> [batch, queries, width], the width of the LLM's words.
func VisualPrompt(scope *model.Scope, cfg *Config, states *Node) *Node {
	im := EncodeImages(scope, cfg, states)
	return projectLanguage(scope, cfg, im.Output)
}

func projectLanguage(scope *model.Scope, cfg *Config, queries *Node) *Node {
	width, _, _, _ := cfg.LLM()
	return nn.Linear(scope.At("language_projection"), queries, width)
}

// Prompted puts soft prompts before text and runs the LLM: prompt [batch, queries, width],
// ids, mask int32 [batch, text] -> the head that scores the word after each text token.
// Soft tokens are always visible; masked text is not.
func Prompted(scope *model.Scope, cfg *Config, prompt, ids, mask *Node) nn.Head {
	llm := scope.At("language_model")
	queries, length := prompt.Shape().Dim(1), ids.Shape().Dim(1)
	embeds := Concatenate([]*Node{prompt, opt.Embed(llm, &cfg.Text, ids)}, 1)
	full := Concatenate([]*Node{OnesLike32(mask, queries), mask}, 1)
	states, _ := opt.Decode(llm, &cfg.Text, embeds, opt.Positions(full), CausalMask(full, embeds), nil)
	states = Slice(states, AxisRange(), AxisRange(queries, queries+length))
	return opt.Head(llm, &cfg.Text, states)
}

// CausalMask is additive: each token sees itself and what is visible before it.
// mask int32 [batch, seq] -> [batch, 1, seq, seq].
func CausalMask(mask, like *Node) *Node {
	batch, seq := mask.Shape().Dim(0), mask.Shape().Dim(1)
	causal := BroadcastToDims(nn.Causal(mask.Graph(), seq), batch, seq, seq)
	return nn.AdditiveMask(LogicalAnd(causal, BroadcastToDims(paddingMask(mask), batch, seq, seq)), like)
}

// OnesLike32 is the mask of n visible soft tokens a row: int32 [batch, n].
func OnesLike32(mask *Node, n int) *Node {
	return Ones(mask.Graph(), shapes.Make(dtypes.Int32, mask.Shape().Dim(0), n))
}
