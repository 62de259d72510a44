package forward

import (
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// visionOutputs names the states of an image tower and returns the normalized last one, which is
// what the rest of a BLIP reads: pixels [batch, 3, height, width] -> [batch, patches, hidden].
func visionOutputs(scope *model.Scope, cfg *vit.Config, pixels *Node, prefix string, out *outputs) *Node {
	tower := scope.At("vision_model")
	states := vit.Encode(tower, cfg, pixels)
	last := vit.PostLayerNorm(tower, cfg, states[len(states)-1])
	out.all(prefix+".hidden_states.", states)
	out.put(prefix+".last_hidden_state", last)
	out.put(prefix+".pooler_output", vit.PostLayerNorm(tower, cfg, first(last))) // normalized twice, as transformers does
	return last
}

// lastState is an image tower's output before its final norm.
func lastState(scope *model.Scope, cfg *vit.Config, pixels *Node) *Node {
	states := vit.Encode(scope.At("vision_model"), cfg, pixels)
	return states[len(states)-1]
}

// first takes the class token: [batch, seq, hidden] -> [batch, hidden].
func first(x *Node) *Node { return Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1) }

// ignored is the label that no loss counts.
const ignored = -100

// labelLoss is the mean cross entropy over the labels that are not -100, as torch computes it:
// logits [batch, seq, vocab], labels int32 [batch, seq] -> a scalar.
func labelLoss(logits, labels *Node, smoothing float64) *Node {
	counts := ConvertDType(NotEqual(labels, ConstAs(labels, ignored)), logits.DType())
	losses := nn.CrossEntropy(logits, MaxScalar(labels, 0), smoothing)
	return Div(ReduceAllSum(Mul(losses, counts)), ReduceAllSum(counts))
}

// shiftedLoss is labelLoss of the next word.
func shiftedLoss(logits, labels *Node, smoothing float64) *Node {
	n := labels.Shape().Dim(1)
	return labelLoss(Slice(logits, AxisRange(), AxisRange(0, n-1)), Slice(labels, AxisRange(), AxisRange(1)), smoothing)
}

// zeroMasked sets to 0 what nobody reads: x [batch, seq, width], mask int32 [batch, seq].
func zeroMasked(x, mask *Node) *Node {
	return Mul(x, ConvertDType(InsertAxes(mask, -1), x.DType()))
}
