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
	logits = Reshape(logits, rows, classes)
	shifted := Sub(logits, StopGradient(ReduceAndKeep(logits, ReduceMax, -1)))
	logSum := Log(ReduceSum(Exp(shifted), -1)) // [rows]
	// The label's logit by Gather: a one-hot product would hold another [rows, classes].
	row := Iota(logits.Graph(), shapes.Make(dtypes.Int32, rows, 1), 0)
	label := ConvertDType(Reshape(labels, rows, 1), dtypes.Int32)
	target := Gather(shifted, Concatenate([]*Node{row, label}, -1)) // [rows]
	loss := Sub(logSum, target)
	if smoothing > 0 {
		uniform := Sub(logSum, ReduceMean(shifted, -1))
		loss = Add(MulScalar(loss, 1-smoothing), MulScalar(uniform, smoothing))
	}
	return Reshape(loss, dims...)
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
