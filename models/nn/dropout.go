package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// streamKey is where a graph keeps its random stream.
type streamKey struct{}

type stream struct {
	state    *Node
	training bool
}

// Train makes the graph a training graph: Dropout drops, and Uniform draws from the stream that
// starts at state (see graph.RNGStateShape). Without it Dropout passes its input through.
// The stream is an input of the graph, so a step's randomness depends on its number alone and a
// resumed run draws what the uninterrupted one would have drawn.
func Train(state *Node) { state.Graph().AttachState(streamKey{}, &stream{state, true}) }

// Evaluate gives the graph a random stream (ITM's negatives need one) without dropout.
func Evaluate(state *Node) { state.Graph().AttachState(streamKey{}, &stream{state, false}) }

// Training says whether g is a training graph: what carries over from step to step changes in those alone.
func Training(g *Graph) bool {
	s, _ := g.State(streamKey{}).(*stream)
	return s != nil && s.training
}

// Uniform draws float32 numbers in [0, 1); the graph needs a stream.
func Uniform(g *Graph, dims ...int) *Node {
	s := g.State(streamKey{}).(*stream)
	next, values := RandomUniform(s.state, shapes.Make(dtypes.Float32, dims...))
	s.state = next
	return values
}

// Dropout zeroes elements with the given probability and scales the rest up, in training graphs.
func Dropout(x *Node, rate float64) *Node {
	s, _ := x.Graph().State(streamKey{}).(*stream)
	if rate <= 0 || s == nil || !s.training {
		return x
	}
	keep := GreaterOrEqual(Uniform(x.Graph(), x.Shape().Dimensions...), ConstAsDType(x.Graph(), dtypes.Float32, rate))
	return Where(keep, MulScalar(x, 1/(1-rate)), ZerosLike(x))
}
