package nn

import . "github.com/gomlx/gomlx/core/graph"

// withGradient is f(x) with a gradient of our own: gradient turns x and v, the gradient of the loss with
// respect to f(x), into that with respect to x. GoMLX takes f apart into single operations, whose
// gradients together read and write more than a formula for the whole needs to.
//
// gradient computes again what it needs of f(x): XLA finds that it is there already, except where
// blocks are computed again (Recompute) and nothing may be kept.
func withGradient(x *Node, f func(x *Node) *Node, gradient func(x, v *Node) *Node) *Node {
	y, ours := InternalFusedOpCaller(
		func() *Node { return f(x) },
		func() *Node { return IdentityWithCustomGradient(x, gradient) }, // stands for f(x) in the backward pass alone
		true)
	if !ours { // GOMLX_FUSION=0
		return f(x)
	}
	return y
}

// softmax is that of the last axis: x [..., n] -> [..., n].
func softmax(x *Node) *Node {
	f := func(x *Node) *Node { return Softmax(x, -1) }
	return withGradient(x, f, func(x, v *Node) *Node {
		y := f(x)
		return Mul(y, Sub(v, ReduceAndKeep(Mul(v, y), ReduceSum, -1)))
	})
}

// normalized has mean 0 and variance 1 along the last axis: x [..., dim] -> [..., dim].
func normalized(x *Node, eps float64) *Node {
	f := func(x *Node) (y, inverse *Node) {
		centered := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
		variance := ReduceAndKeep(Square(centered), ReduceMean, -1)
		inverse = Reciprocal(Sqrt(AddScalar(variance, eps))) // [..., 1]
		return Mul(centered, inverse), inverse
	}
	return withGradient(x, func(x *Node) *Node { y, _ := f(x); return y }, func(x, v *Node) *Node {
		y, inverse := f(x)
		centered := Sub(v, ReduceAndKeep(v, ReduceMean, -1))
		return Mul(inverse, Sub(centered, Mul(y, ReduceAndKeep(Mul(v, y), ReduceMean, -1))))
	})
}
