package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// crossEntropy64 is the definition, with label smoothing, in float64.
func crossEntropy64(logits []float32, label int, smoothing float64) float64 {
	largest := math.Inf(-1)
	for _, l := range logits {
		largest = max(largest, float64(l))
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - largest)
	}
	loss := 0.0
	for i, l := range logits {
		target := smoothing / float64(len(logits))
		if i == label {
			target += 1 - smoothing
		}
		loss -= target * (float64(l) - largest - math.Log(sum))
	}
	return loss
}

// TestCrossEntropy compares losses and gradients with the definition, for logits up to 1,000 too.
func TestCrossEntropy(t *testing.T) {
	const rows, classes = 6, 37
	rng := rand.New(rand.NewPCG(1, 2))
	logits, labels := make([]float32, rows*classes), make([]int32, rows)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * math.Pow(10, float64(i/classes/2)))
	}
	for i := range labels {
		labels[i] = int32(rng.IntN(classes))
	}
	logits[0] = 1000
	for _, smoothing := range []float64{0, 0.1, 1} {
		out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
			loss := nn.CrossEntropy(in[0], in[1], smoothing)
			return []*Node{loss, Gradient(ReduceAllSum(loss), in[0])[0]}
		}).Run(tensors.FromFlatDataAndDimensions(logits, 2, 3, classes), tensors.FromFlatDataAndDimensions(labels, 2, 3))
		losses, gradient := make([]float32, rows), make([]float32, len(logits))
		for row := range rows {
			at := logits[row*classes : (row+1)*classes]
			losses[row] = float32(crossEntropy64(at, int(labels[row]), smoothing))
			for i := range at { // softmax - target
				gradient[row*classes+i] = float32(math.Exp(-crossEntropy64(at, i, 0)) - smoothing/classes)
			}
			gradient[row*classes+int(labels[row])] -= float32(1 - smoothing)
		}
		golden.Near(t, "loss", out[0], tensors.FromFlatDataAndDimensions(losses, 2, 3), 1e-5, 1e-5)
		golden.Near(t, "gradient", out[1], tensors.FromFlatDataAndDimensions(gradient, 2, 3, classes), 1e-5, 0)
	}
}

// TestSmoothedFloor checks published figures, and that the loss reaches the floor and no less.
func TestSmoothedFloor(t *testing.T) {
	for _, test := range []struct {
		classes   int
		smoothing float64
		want      float64
	}{
		{30523, 0.1, 1.3577}, {30524, 0.1, 1.3577}, // text generation
		{64, 0.1, 0.730}, {256, 0.1, 0.876}, {1024, 0.1, 1.017}, {1680, 0.1, 1.067}, {2320, 0.1, 1.100}, // contrast, by batch
		{1000, 0, 0}, {2, 1, math.Ln2},
	} {
		if got := nn.SmoothedFloor(test.classes, test.smoothing); math.Abs(got-test.want) > 0.001 {
			t.Errorf("%d classes, smoothing %g: got %.4f, want %.4f", test.classes, test.smoothing, got, test.want)
		}
	}
	const classes, smoothing = 10, 0.1
	floor := nn.SmoothedFloor(classes, smoothing)
	best := make([]float32, classes)
	best[3] = float32(math.Log((1 - smoothing + smoothing/classes) / (smoothing / classes)))
	if got := crossEntropy64(best, 3, smoothing); math.Abs(got-floor) > 1e-6 {
		t.Errorf("the best logits have loss %g, the floor is %g", got, floor)
	}
	for _, step := range []float32{-0.5, 0.5} {
		worse := append([]float32{}, best...)
		worse[3] += step
		if got := crossEntropy64(worse, 3, smoothing); got <= floor {
			t.Errorf("loss %g lies below the floor %g", got, floor)
		}
	}
}
