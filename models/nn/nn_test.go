package nn_test

import (
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestPixelValues scales a picture of two pixels by hand.
func TestPixelValues(t *testing.T) {
	mean, std := [3]float64{0.5, 0.25, 0}, [3]float64{0.5, 0.25, 2}
	out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{nn.PixelValues(in[0], mean, std)}
	}).Run(tensors.FromValue([][][][]uint8{{{{255, 0, 51}, {0, 255, 0}}}}))
	golden.Near(t, "pixel values", out[0], tensors.FromValue([][][][]float32{{{{1, -1}}, {{-1, 3}}, {{0.1, 0}}}}), 1e-6, 0)
}

// TestAttendWithoutAnythingVisible wants numbers, not NaN, of a row that may see nothing.
func TestAttendWithoutAnythingVisible(t *testing.T) {
	out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		mask := nn.AdditiveMask(Const(in[0].Graph(), [][][]bool{{{false, false}, {true, false}}}), in[0])
		return []*Node{nn.Attend(in[0], in[0], in[0], mask, 0)}
	}).Run(tensors.FromValue([][][][]float32{{{{1, 2}, {3, 4}}}}))
	// The first row averages by its scores alone, (5, 11)/sqrt(2); in float32 -1e9 swallows them.
	golden.Near(t, "attention", out[0], tensors.FromValue([][][]float32{{{2, 3}, {1, 2}}}), 1e-5, 0)
}

func TestNormalizeOfZeros(t *testing.T) {
	out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{nn.Normalize(in[0])}
	}).Run(tensors.FromValue([][]float32{{3, 4}, {0, 0}}))
	golden.Near(t, "unit length", out[0], tensors.FromValue([][]float32{{0.6, 0.8}, {0, 0}}), 1e-6, 0)
}
