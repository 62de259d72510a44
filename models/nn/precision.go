package nn

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// computeKey is where a graph keeps the type that it computes in.
type computeKey struct{}

// ComputeIn makes a graph compute in a shorter floating-point type than its float32 weights: call it
// before anything else. Softmax, norms, losses and what is compared by cosine stay in float32.
func ComputeIn(g *Graph, dtype dtypes.DType) { g.AttachState(computeKey{}, dtype) }

// Compute converts floating-point numbers to the type that their graph computes in; where ComputeIn
// was not called, they stay as they are.
func Compute(x *Node) *Node {
	dtype, short := x.Graph().State(computeKey{}).(dtypes.DType)
	if !short || dtype == x.DType() || !x.DType().IsFloat() {
		return x
	}
	return ConvertDType(x, dtype)
}

// single converts to float32.
func single(x *Node) *Node {
	if x.DType() == dtypes.Float32 {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}
