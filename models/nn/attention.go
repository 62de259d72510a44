package nn

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// Heads splits the last axis: [batch, seq, hidden] -> [batch, heads, seq, head_dim].
func Heads(x *Node, heads int) *Node {
	d := x.Shape().Dimensions
	return TransposeAllAxes(Reshape(x, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
}

// MergeHeads undoes Heads: [batch, heads, seq, head_dim] -> [batch, seq, hidden].
func MergeHeads(x *Node) *Node {
	d := x.Shape().Dimensions
	return Reshape(TransposeAllAxes(x, 0, 2, 1, 3), d[0], d[2], d[1]*d[3])
}

// Attend is scaled dot-product attention: query [batch, heads, seq, head_dim], key and value
// [batch, heads, keys, head_dim] -> [batch, seq, hidden]. mask is additive (see AdditiveMask) and
// broadcasts to [batch, heads, seq, keys]; nil lets everything see everything.
// dropout applies to the attention weights, as in BERT. Softmax is in float32.
func Attend(query, key, value, mask *Node, dropout float64) *Node {
	return WeightedSum(AttentionWeights(query, key, mask), value, dropout)
}

// AttendUnscaled is Attend without the division by the root of head_dim, as T5 has it.
func AttendUnscaled(query, key, value, mask *Node, dropout float64) *Node {
	return WeightedSum(unscaledWeights(query, key, mask), value, dropout)
}

// AttentionWeights is the first half of Attend, how much each of seq looks at each of keys:
// -> float32 [batch, heads, seq, keys], whose rows sum to 1.
func AttentionWeights(query, key, mask *Node) *Node {
	headDim := query.Shape().Dim(-1)
	return unscaledWeights(MulScalar(query, 1/math.Sqrt(float64(headDim))), key, mask)
}

func unscaledWeights(query, key, mask *Node) *Node {
	scores := single(Einsum("bhqd,bhkd->bhqk", query, key))
	if mask != nil {
		scores = Add(scores, single(mask))
	}
	weights := softmax(scores)
	multiplies("queries, keys and values", scores, query, 0, key)
	multiplies("queries, keys and values", scores, key, 0, query)
	Keeps("attention weights", weights, weights, 2*bytesOf(weights), query, key)
	return weights
}

// WeightedSum is the second half of Attend, what is read there: weights [batch, heads, seq, keys],
// value [batch, heads, keys, head_dim] -> [batch, seq, hidden].
func WeightedSum(weights, value *Node, dropout float64) *Node {
	weights = ConvertDType(weights, value.DType())
	derive(weights) // of the weights in float32, which softmax keeps
	weights = Dropout(weights, dropout)
	out := MergeHeads(Einsum("bhqk,bhkd->bhqd", weights, value))
	multiplies("queries, keys and values", out, value, 0, weights)
	multiplies("attention weights", out, weights, 0, value)
	return out
}

// masked is added to the score of a pair that must not see each other: finite, so that a row
// without any visible key gives a number and not NaN.
const masked = -1e9

// AdditiveMask turns a boolean "may see" mask into what Attend adds to the scores: 0 or -1e9.
// visible [batch or 1, seq or 1, keys] -> [batch or 1, 1, seq or 1, keys].
func AdditiveMask(visible, like *Node) *Node {
	zero := ScalarZero(like.Graph(), like.DType())
	return InsertAxes(Where(visible, zero, ConstAs(like, masked)), 1)
}

// Causal is the lower triangle: position i sees 0..i. -> bool [1, seq, seq].
func Causal(g *Graph, seq int) *Node {
	return InsertAxes(LowerTriangular(g, seq), 0)
}
