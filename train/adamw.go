package train

import (
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// AdamW holds the settings of Loshchilov & Hutter's optimizer, as torch.optim.AdamW computes it.
type AdamW struct {
	Beta1, Beta2, Eps float64
	WeightDecay       float64
	ClipNorm          float64 // global gradient norm above which gradients are scaled down; 0: never

	// Decays says whether a tensor is decayed; nil means DecaysLAVIS.
	Decays func(name string, shape shapes.Shape) bool `json:"-"`
}

// DecaysLAVIS is BLIP-2's grouping: no decay for 1-D tensors and biases; query_tokens (3-D) and
// temp (0-D) are decayed.
func DecaysLAVIS(name string, shape shapes.Shape) bool {
	return shape.Rank() != 1 && !strings.HasSuffix(name, ".bias")
}

// DecaysMatrices decays tensors of two and more axes only: CLIP's and most language models' rule.
func DecaysMatrices(name string, shape shapes.Shape) bool { return shape.Rank() >= 2 }

// tensorName is the checkpoint's name of a model variable: /model/a/b/weight -> a.b.weight.
func tensorName(v *model.Variable) string {
	return strings.ReplaceAll(strings.TrimPrefix(v.Path(), modelRoot+"/"), "/", ".")
}

const (
	modelRoot     = "/model"
	firstMoments  = "/optimizer/exp_avg"
	secondMoments = "/optimizer/exp_avg_sq"
	accumulators  = "/accumulated"
)

// statePath is where the optimizer keeps a value beside a variable: /model/x -> root/x.
func statePath(v *model.Variable, root string) string {
	return root + strings.TrimPrefix(v.Path(), modelRoot)
}

// biasCorrections are 1-beta^t of step t, counted from 1, as the graph's scalar inputs.
func (a AdamW) biasCorrections(t int) (first, second float32) {
	return float32(1 - math.Pow(a.Beta1, float64(t))), float32(1 - math.Pow(a.Beta2, float64(t)))
}

// globalNorm is the l2 norm over all gradients: a scalar.
func globalNorm(grads []*Node) *Node {
	var sum *Node
	for _, g := range grads {
		square := ReduceAllSum(Square(ConvertDType(g, dtypes.Float32)))
		if sum == nil {
			sum = square
		} else {
			sum = Add(sum, square)
		}
	}
	return Sqrt(sum)
}

// apply builds one update of all variables. keep is a boolean scalar: false leaves everything as
// it was, so that a step with a NaN harms nothing.
func (a AdamW) apply(store *model.Store, vars []*model.Variable, grads []*Node, norm, lr, correct1, correct2, keep *Node) {
	scale := ScalarOne(norm.Graph(), dtypes.Float32)
	if a.ClipNorm > 0 { // torch's clip_grad_norm_
		scale = MinScalar(Div(ConstAs(norm, a.ClipNorm), AddScalar(norm, 1e-6)), 1)
	}
	decays := a.Decays
	if decays == nil {
		decays = DecaysLAVIS
	}
	for i, v := range vars {
		g := norm.Graph()
		grad := Mul(grads[i], scale)
		mVar, sVar := store.GetVariable(statePath(v, firstMoments)), store.GetVariable(statePath(v, secondMoments))
		weight, m, s := v.NodeValue(g), mVar.NodeValue(g), sVar.NodeValue(g)
		newM := Where(keep, Add(MulScalar(m, a.Beta1), MulScalar(grad, 1-a.Beta1)), m)
		newS := Where(keep, Add(MulScalar(s, a.Beta2), MulScalar(Square(grad), 1-a.Beta2)), s)
		mVar.SetNodeValue(newM)
		sVar.SetNodeValue(newS)
		// The weight reads the new moments. Without a barrier XLA computes them again from the old ones, which
		// it must copy for that, since the new ones are written over them.
		moments := OptimizationBarriers(newM, newS)
		newM, newS = moments[0], moments[1]
		step := Div(Div(newM, correct1), AddScalar(Sqrt(Div(newS, correct2)), a.Eps))
		updated := weight
		if a.WeightDecay > 0 && decays(tensorName(v), v.Shape()) {
			updated = Mul(weight, OneMinus(MulScalar(lr, a.WeightDecay)))
		}
		updated = Sub(updated, Mul(step, lr))
		v.SetNodeValue(Where(keep, updated, weight))
	}
}
