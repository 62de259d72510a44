package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// rngKey is where a graph keeps its random stream.
type rngKey struct{}

// Train makes the graph a training graph: Dropout drops, and Uniform draws from the stream that
// starts at state (see graph.RNGStateShape). Without it Dropout passes its input through.
// The stream is an input of the graph, so a step's randomness depends on its number alone and a
// resumed run draws what the uninterrupted one would have drawn.
func Train(state *Node) {
	state.Graph().AttachState(rngKey{}, &state)
}

// Training says whether Train was called for the graph.
func Training(g *Graph) bool { return g.State(rngKey{}) != nil }

// Uniform draws float32 numbers in [0, 1); it needs a training graph.
func Uniform(g *Graph, dims ...int) *Node {
	state := g.State(rngKey{}).(**Node)
	next, values := RandomUniform(*state, shapes.Make(dtypes.Float32, dims...))
	*state = next
	return values
}

// Dropout zeroes elements with the given probability and scales the rest up, in training graphs.
func Dropout(x *Node, rate float64) *Node {
	if rate <= 0 || !Training(x.Graph()) {
		return x
	}
	keep := GreaterOrEqual(Uniform(x.Graph(), x.Shape().Dimensions...), ConstAsDType(x.Graph(), dtypes.Float32, rate))
	return Where(keep, MulScalar(x, 1/(1-rate)), ZerosLike(x))
}
