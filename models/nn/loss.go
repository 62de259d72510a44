package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// CrossEntropy is the loss of each row with label smoothing e: the target gets 1-e, and e is
// spread over all classes, target included, as torch does it.
// logits [..., classes], labels int32 [...] -> float32 [...].
func CrossEntropy(logits, labels *Node, smoothing float64) *Node {
	logits = ConvertDType(logits, dtypes.Float32)
	dims := labels.Shape().Dimensions
	classes, rows := logits.Shape().Dim(-1), labels.Shape().Size()
	labels = ConvertDType(Reshape(labels, rows), dtypes.Int32)
	loss := withGradient(Reshape(logits, rows, classes),
		func(x *Node) *Node { return rowLosses(x, labels, smoothing) },
		func(x, v *Node) *Node { return Mul(InsertAxes(v, -1), rowGradients(x, labels, smoothing)) })
	Keeps("logits", loss, logits, bytesOf(logits), logits)
	return Reshape(loss, dims...)
}

// shift takes the largest logit of each row from it, so that Exp cannot overflow, and gives the log of
// the sum that softmax divides by: logits [rows, classes] -> [rows, classes], [rows, 1] both.
func shift(logits *Node) (shifted, largest, logSum *Node) {
	largest = ReduceAndKeep(logits, ReduceMax, -1)
	shifted = Sub(logits, largest)
	return shifted, largest, Log(ReduceAndKeep(Exp(shifted), ReduceSum, -1))
}

// rowLosses: logits float32 [rows, classes], labels int32 [rows] -> [rows].
func rowLosses(logits, labels *Node, smoothing float64) *Node {
	rows := labels.Shape().Size()
	shifted, largest, logSum := shift(logits)
	// The label's logit by Gather: a one-hot product would hold another [rows, classes].
	row := Iota(logits.Graph(), shapes.Make(dtypes.Int32, rows, 1), 0)
	target := Gather(logits, Concatenate([]*Node{row, InsertAxes(labels, -1)}, -1)) // [rows]
	logSum = Reshape(logSum, rows)
	loss := Sub(logSum, Sub(target, Reshape(largest, rows)))
	if smoothing > 0 {
		uniform := Sub(logSum, ReduceMean(shifted, -1))
		loss = Add(MulScalar(loss, 1-smoothing), MulScalar(uniform, smoothing))
	}
	return loss
}

// rowGradients are those of each row's loss: softmax less the smoothed target, [rows, classes].
func rowGradients(logits, labels *Node, smoothing float64) *Node {
	dims := logits.Shape().Dimensions
	shifted, _, logSum := shift(logits)
	class := Iota(logits.Graph(), shapes.Make(dtypes.Int32, dims...), -1)
	hit := Equal(class, BroadcastToDims(InsertAxes(labels, -1), dims...))
	other := BroadcastToDims(ConstAs(logits, smoothing/float64(dims[1])), dims...)
	return Sub(Exp(Sub(shifted, logSum)), Where(hit, AddScalar(other, 1-smoothing), other))
}

// SmoothedFloor is the least value CrossEntropy with smoothing can reach (spec: LM 1.3577 for
// 30,523 words): the entropy of the smoothed target, in nats.
func SmoothedFloor(classes int, smoothing float64) float64 {
	if smoothing == 0 {
		return 0
	}
	other := smoothing / float64(classes)
	hit := 1 - smoothing + other
	return -hit*math.Log(hit) - float64(classes-1)*other*math.Log(other)
}
