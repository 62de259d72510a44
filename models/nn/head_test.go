package nn

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestHeadInParts wants the loss and all gradients of the whole, in any number of parts, with a gradient
// from behind that is not one.
func TestHeadInParts(t *testing.T) {
	const batch, text, hidden, vocab = 3, 7, 6, 50
	rng := rand.New(rand.NewPCG(1, 2))
	normal := func(dims ...int) *tensors.Tensor {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	labels, weights := make([]int32, batch*text), make([]int32, batch*text)
	for i := range labels {
		labels[i], weights[i] = rng.Int32N(vocab), rng.Int32N(3)
	}
	for name, backend := range map[string]compute.Backend{"go": golden.Go(t), "default": golden.Backend(t)} {
		all := []int{2, 3, text}
		states, table, bias := normal(batch, text, hidden), normal(vocab, hidden), normal(vocab) // of this backend
		if name == "default" {                                                                   // compiles for longer
			all = all[1:2]
		}
		for _, withBias := range []bool{false, true} {
			run := func(parts int) []*tensors.Tensor {
				return golden.New(t, backend, model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
					head, of := Head{States: in[0], Table: in[1]}, in[:2]
					if withBias {
						head.Bias, of = in[2], in[:3]
					}
					loss := head.loss(in[3], in[4], 0.1, parts)
					return append([]*Node{loss}, Gradient(MulScalar(loss, 3), of...)...)
				}).Run(states, table, bias, tensors.FromFlatDataAndDimensions(labels, batch, text), tensors.FromFlatDataAndDimensions(weights, batch, text))
			}
			want := run(1)
			for _, parts := range all {
				for i, got := range run(parts) {
					golden.Near(t, fmt.Sprintf("%s backend, %d parts, output %d", name, parts, i), got, want[i], 1e-6, 1e-5)
				}
			}
		}
	}
}

// TestHeadParts wants small logits whole, and large ones in parts that are not shorter than a position.
func TestHeadParts(t *testing.T) {
	for _, test := range []struct{ batch, text, vocab, want int }{
		{8, 31, 30523, 1}, {64, 31, 30523, 2}, {120, 31, 50272, 6}, {1000, 31, 30523, maxChunks}, {4000, 2, 30523, 2},
	} {
		if got := parts(test.batch*test.text*test.vocab, test.text); got != test.want {
			t.Errorf("%v: %d parts", test, got)
		}
	}
}
