package blip

import (
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// AnswerLosses are the summed losses of the words of answers, [SEP] included, each question having the
// same number of answers beside each other: states [batch, text, hidden] are GroundedStates of the
// questions, mask int32 [batch, text]; answers and seen int32 [batch*places, answer]: [DEC] answer
// [SEP], padded on the right -> float32 [batch*places].
func AnswerLosses(scope *model.Scope, cfg *Config, states, mask, answers, seen *Node, smoothing float64) *Node {
	questions, rows := states.Shape().Dim(0), answers.Shape().Dim(0)
	repeated := func(x *Node) *Node { // each row once an answer
		d := x.Shape().Dimensions
		wide := BroadcastToDims(InsertAxes(x, 1), append([]int{questions, rows / questions}, d[1:]...)...)
		return Reshape(wide, append([]int{rows}, d[1:]...)...)
	}
	memory := Memory(scope, cfg, states)
	for i := range memory {
		memory[i].Key, memory[i].Value = repeated(memory[i].Key), repeated(memory[i].Value)
	}
	logits := WordLogits(scope, cfg, DecoderStates(scope, cfg, memory, repeated(mask), answers, seen))
	last := answers.Shape().Dim(1) - 1
	words := nn.CrossEntropy(Slice(logits, AxisRange(), AxisRange(0, last)), Slice(answers, AxisRange(), AxisRange(1)), smoothing)
	return ReduceSum(Mul(words, ConvertDType(Slice(seen, AxisRange(), AxisRange(1)), dtypes.Float32)), -1)
}
