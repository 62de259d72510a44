package nn

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Head scores the next word with the rows of a table of words.
type Head struct {
	States *Node // [batch, text, hidden]
	Table  *Node // [vocab, hidden]
	Bias   *Node // [vocab], or nil
}

// Logits are the scores: -> float32 [batch, text, vocab].
func (h Head) Logits() *Node {
	logits := TiedHead(h.Table, h.States)
	if h.Bias != nil {
		logits = Add(logits, ExpandLeftToRank(h.Bias, logits.Rank()))
	}
	return single(logits)
}

// chunkedLogits is how many logits Loss holds at a time, at most (128 MiB of float32), and maxChunks the
// most parts that it takes for that: each is a product of its own in the program.
const (
	chunkedLogits = 1 << 25
	maxChunks     = 16
)

// Loss is the cross entropy of the words with smoothing, averaged with weights: labels int32 and weights int32
// or float32 [batch, text] -> a scalar.
//
// Logits of many words and a large vocabulary are the largest array of a step. Loss takes such texts part by
// part, some positions of all rows at a time, and computes each part's gradient while its logits are there.
func (h Head) Loss(labels, weights *Node, smoothing float64) *Node {
	return h.loss(labels, weights, smoothing, parts(labels.Shape().Size()*h.Table.Shape().Dim(0), labels.Shape().Dim(1)))
}

// parts is how many parts so many logits are computed in.
func parts(logits, text int) int {
	return min((logits+chunkedLogits-1)/chunkedLogits, maxChunks, text)
}

// loss is Loss in a number of parts.
func (h Head) loss(labels, weights *Node, smoothing float64, parts int) *Node {
	weights = single(weights)
	weights = Div(weights, MaxScalar(ReduceAllSum(weights), 1))
	if parts == 1 {
		return ReduceAllSum(Mul(CrossEntropy(h.Logits(), labels, smoothing), weights))
	}
	var total *Node
	var gradients [3]*Node // of States, parts side by side; of Table and Bias, summed up
	var states []*Node
	text, before := labels.Shape().Dim(1), (*Node)(nil)
	for i := range parts {
		at := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(text*i/parts, text*(i+1)/parts)) }
		part := Head{at(StopGradient(h.States)), StopGradient(h.Table), nil}
		if h.Bias != nil {
			part.Bias = StopGradient(h.Bias)
		}
		if before != nil { // one after the other: else XLA may hold the logits of all
			part.States = SchedulingBarrier(part.States, before)
		}
		loss, of := part.gradients(at(labels), at(weights), smoothing)
		before = of[0]
		states = append(states, of[0])
		if total == nil {
			total, gradients = loss, of
			continue
		}
		total = Add(total, loss)
		for k := 1; k < 3 && of[k] != nil; k++ {
			gradients[k] = Add(gradients[k], of[k])
		}
	}
	gradients[0] = Concatenate(states, 1)
	for k, x := range []*Node{h.States, h.Table, h.Bias} {
		if x != nil {
			total = Add(total, pull(x, ConvertDType(gradients[k], x.DType())))
			Keeps("gradients of a head, computed with its loss", total, gradients[k], 0, x)
		}
	}
	return total
}

// gradients are the weighted sum of losses, and its gradients with respect to States, Table and Bias (in float32).
func (h Head) gradients(labels, weights *Node, smoothing float64) (loss *Node, of [3]*Node) {
	rows, hidden, vocab := labels.Shape().Size(), h.States.Shape().Dim(-1), h.Table.Shape().Dim(0)
	logits := Reshape(h.Logits(), rows, vocab)
	labels, weights = ConvertDType(Reshape(labels, rows), dtypes.Int32), Reshape(weights, rows)
	loss = ReduceAllSum(Mul(rowLosses(logits, labels, smoothing), weights))

	v := Mul(InsertAxes(weights, -1), rowGradients(logits, labels, smoothing)) // [rows, vocab]
	if h.Bias != nil {
		of[2] = ReduceSum(v, 0)
	}
	v = ConvertDType(v, h.States.DType())
	of[0] = Reshape(Einsum("rv,vh->rh", v, ConvertDType(h.Table, v.DType())), h.States.Shape().Dimensions...)
	of[1] = single(Einsum("rv,rh->vh", v, Reshape(h.States, rows, hidden)))
	report(Entry{What: "logits", At: loss, Passing: 2*bytesOf(logits) + bytesOf(v)})
	return loss, of
}

// pull is the scalar 0 whose gradient with respect to x is gradient, of x's shape.
func pull(x, gradient *Node) *Node {
	zero := func(x *Node) *Node { // a number of x, so that the way from it to the loss is there
		one := make([]SliceAxisSpec, x.Rank())
		for i := range one {
			one[i] = AxisElem(0)
		}
		return single(MulScalar(Reshape(Slice(x, one...)), 0))
	}
	return withGradient(x, zero, func(_, v *Node) *Node { return Mul(gradient, ConvertDType(v, gradient.DType())) })
}
