package objective

import (
	"goblip/models/blip"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// MatchPairs are BLIP's matching scores of (picture, text), (negative picture, text) and (picture,
// negative text) of each pair, the text beginning with [ENC]: memory of blip.GroundedMemory, ids and
// mask int32 [batch, text], imageOfText and textOfImage int32 [batch] the negatives' rows
// -> logits [3*batch, 2]. The three are stacked beside the pair, so that data-parallel devices keep
// their own rows.
func MatchPairs(scope *model.Scope, cfg *blip.Config, memory blip.Memories, ids, mask, imageOfText, textOfImage *Node) *Node {
	batch := ids.Shape().Dim(0)
	own := Iota(ids.Graph(), shapes.Make(dtypes.Int32, batch), 0)
	three := func(a, b, c *Node) *Node { return Reshape(Stack([]*Node{a, b, c}, 1), 3*batch) }
	images, texts := three(own, imageOfText, own), three(own, own, textOfImage)
	encoder := nn.WithFirst(ids, cfg.Text.EncTokenID())
	return blip.Match(scope, blip.GroundedStatesOn(scope, cfg, blip.TakeMemory(memory, images), nn.Lookup(encoder, texts), nn.Lookup(mask, texts)))
}

// pairLoss is the mean cross entropy of logits whose rows are in threes, the first of which matches:
// [3*batch, 2].
func pairLoss(logits *Node) *Node {
	rows := logits.Shape().Dim(0)
	labels := Reshape(BroadcastToDims(Const(logits.Graph(), [][]int32{{1, 0, 0}}), rows/3, 3), rows)
	return ReduceAllMean(nn.CrossEntropy(logits, labels, 0))
}

// drawNegatives draws one column of each row in proportion to its weight (Gumbel-max).
func drawNegatives(weights *Node) *Node {
	d := weights.Shape().Dimensions
	uniform := MaxScalar(nn.Uniform(weights.Graph(), d...), 1e-20)
	gumbel := Neg(Log(MaxScalar(Neg(Log(uniform)), 1e-20)))
	never := LessOrEqual(weights, ZerosLike(weights))
	scores := Where(never, ConstAs(weights, -1e9), Log(MaxScalar(weights, 1e-30)))
	return ArgMax(Add(scores, gumbel), -1)
}
