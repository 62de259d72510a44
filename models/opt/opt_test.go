package opt_test

import (
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"
	"goblip/models/opt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const layoutCase = "opt-350m-layout"

// causal is the mask of a whole sequence: mask int32 [batch, seq] -> additive [batch, 1, seq, seq].
func causal(mask, like *Node) *Node {
	batch, seq := mask.Shape().Dim(0), mask.Shape().Dim(1)
	seen := BroadcastToDims(InsertAxes(GreaterThan(mask, ZerosLike(mask)), 1), batch, seq, seq)
	return nn.AdditiveMask(LogicalAnd(seen, BroadcastToDims(nn.Causal(mask.Graph(), seq), batch, seq, seq)), like)
}

// TestPastEqualsWhole decodes the last four tokens with the keys and values of the first six.
func TestPastEqualsWhole(t *testing.T) {
	const first = 6
	c := golden.Open(t, layoutCase)
	var cfg opt.Config
	c.JSON("model/config.json", &cfg)
	mask := c.Input("leftpad_attention_mask")
	out := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		embeds, positions := opt.Embed(scope, &cfg, in[0]), opt.Positions(in[1])
		all := causal(in[1], embeds)
		part := func(x *Node, from, to int) *Node { return Slice(x, AxisRange(), AxisRange(from, to)) }
		whole, _ := opt.Decode(scope, &cfg, embeds, positions, all, nil)
		_, past := opt.Decode(scope, &cfg, part(embeds, 0, first), part(positions, 0, first),
			Slice(all, AxisRange(), AxisRange(), AxisRange(0, first), AxisRange(0, first)), nil)
		rest, _ := opt.Decode(scope, &cfg, part(embeds, first, 10), part(positions, first, 10),
			Slice(all, AxisRange(), AxisRange(), AxisRange(first)), past)
		return []*Node{rest, part(whole, first, 10)}
	}).Run(c.Input("leftpad_input_ids"), mask)
	golden.Near(t, "states", out[0], out[1], 1e-5, 0)
}

func TestPositions(t *testing.T) {
	out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{opt.Positions(in[0])}
	}).Run(tensors.FromValue([][]int32{{1, 1, 1, 0}, {0, 0, 1, 1}, {1, 0, 1, 1}}))
	golden.Near(t, "positions", out[0], tensors.FromValue([][]int32{{0, 1, 2, -1}, {-1, -1, 0, 1}, {0, -1, 1, 2}}), 0, 0)
}
