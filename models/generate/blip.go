package generate

import (
	"slices"

	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIP is the text decoder of a BLIP: it attends to a picture, or to the states of a question that
// was read with the picture. Texts start with [DEC] and end with [SEP].
type BLIP struct {
	Config *blip.Config
	Masked bool // whether some of what it attends to is padding
}

// Prefill: inputs states [batch, cross, any] (see blip.ImageStates, blip.GroundedStates), then, if
// Masked, int32 [batch, cross] that says which are visible, then ids and mask int32 [batch, text].
func (b BLIP) Prefill(scope *model.Scope, in []*Node) Prefilled {
	memory := blip.Memory(scope, b.Config, in[0])
	var seen []*Node
	if b.Masked {
		seen, in = in[1:2], in[1:]
	}
	positions := MaxScalar(SubScalar(CumSum(in[2], 1), 1), 0)
	positions = Mul(positions, in[2]) // masked columns have position 0
	embeds := blip.EmbedWords(scope, b.Config, in[1], positions)
	out := blip.Decode(scope, b.Config, bert.Pass{Embeds: embeds, Mask: nn.AdditiveMask(bert.CausalVisible(in[2]), embeds),
		Cross: memory, CrossMask: crossMask(seen, embeds)})
	last := Squeeze(Slice(out.Last(), AxisRange(), AxisElem(-1)), 1)
	return Prefilled{
		Logits: blip.WordLogits(scope, b.Config, last),
		Memory: slices.Concat([]*Node{PositionShift(positions)}, seen, flatten(memory)),
		Cache:  flatten(out.KV),
	}
}

// Next continues behind the last column.
func (b BLIP) Next(scope *model.Scope, s Step) (logits *Node, own []*Node) {
	embeds := blip.EmbedWords(scope, b.Config, s.Tokens, s.Positions(s.Memory[0]))
	var seen []*Node
	memory := s.Memory[1:]
	if b.Masked {
		seen, memory = memory[:1], memory[1:]
	}
	out := blip.Decode(scope, b.Config, bert.Pass{Embeds: embeds, Mask: s.Mask(embeds), Past: pairs[bert.KV](s.Cache),
		Cross: pairs[bert.KV](memory), CrossMask: crossMask(seen, embeds)})
	return blip.WordLogits(scope, b.Config, Squeeze(out.Last(), 1)), flatten(out.KV)
}

// crossMask is nil where everything is visible.
func crossMask(seen []*Node, like *Node) *Node {
	if seen == nil {
		return nil
	}
	return nn.AdditiveMask(bert.Visible(seen[0]), like)
}
