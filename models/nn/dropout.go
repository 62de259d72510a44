package nn

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// streamKey is where a graph keeps its random stream.
type streamKey struct{}

type stream struct {
	state    *Node
	training bool
	draws    uint32 // of hashed bits so far
	keys     []*Node
}

// Train makes the graph a training graph: Dropout drops, and Uniform draws from the stream that
// starts at state (see graph.RNGStateShape), which Dropout hashes. Without it Dropout passes its input through.
// The stream is an input of the graph, so a step's randomness depends on its number alone and a
// resumed run draws what the uninterrupted one would have drawn.
func Train(state *Node) {
	state.Graph().AttachState(streamKey{}, &stream{state: state, training: true})
}

// Evaluate gives the graph a random stream (ITM's negatives need one) without dropout.
func Evaluate(state *Node) { state.Graph().AttachState(streamKey{}, &stream{state: state}) }

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
	return drop(x, rate, x.Shape().Dimensions)
}

// DropPath is Dropout of whole rows of the batch, the way through a branch beside a residual connection
// (stochastic depth, https://arxiv.org/abs/1603.09382): x [batch, ...].
func DropPath(x *Node, rate float64) *Node {
	rows := slices.Repeat([]int{1}, x.Rank())
	rows[0] = x.Shape().Dim(0)
	return drop(x, rate, rows)
}

// drop draws once for each element of dims, which broadcast to x.
func drop(x *Node, rate float64, dims []int) *Node {
	s, _ := x.Graph().State(streamKey{}).(*stream)
	if rate <= 0 || s == nil || !s.training {
		return x
	}
	keep := GreaterOrEqual(s.bits(dims), Const(x.Graph(), uint32(math.Round(rate*(1<<32)))))
	out := Where(BroadcastToDims(keep, x.Shape().Dimensions...), MulScalar(x, 1/(1-rate)), ZerosLike(x))
	report(Entry{What: "masks of dropout", Value: keep, For: []*Node{x}, At: out, Derived: true})
	if isDerived(x) {
		derive(out)
	}
	return out
}

// bits are 32 random ones for each element: a hash of the element's number, the number of the draw,
// and the stream's start. A generator's numbers are an array that XLA computes whole, on each of
// several devices; a hash is part of what uses it, and each device computes its own.
func (s *stream) bits(dims []int) *Node {
	g := s.state.Graph()
	if s.keys == nil {
		words := ConvertDType(BitwiseShiftRightLogicalScalar(s.state, 32), dtypes.Uint32)
		low := ConvertDType(s.state, dtypes.Uint32)
		for _, from := range []*Node{words, low} {
			s.keys = append(s.keys, Reshape(Slice(from, AxisRange(0, 1))))
		}
	}
	s.draws++
	x := Const(g, s.draws*0x9e3779b9)
	stride := uint32(1)
	for axis := len(dims) - 1; axis >= 0; axis-- {
		at := Iota(g, shapes.Make(dtypes.Uint32, dims...), axis)
		x = Add(x, Mul(at, Const(g, stride)))
		stride *= uint32(dims[axis])
	}
	return mix(Add(mix(BitwiseXor(x, s.keys[0])), s.keys[1]))
}

// mix is an invertible hash of 32 bits: each input bit changes each output bit with a probability near
// one half (lowbias32 of https://github.com/skeeto/hash-prospector).
func mix(x *Node) *Node {
	g := x.Graph()
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, 16))
	x = Mul(x, Const(g, uint32(0x7feb352d)))
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, 15))
	x = Mul(x, Const(g, uint32(0x846ca68b)))
	return BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, 16))
}
