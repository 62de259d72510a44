package vit

import (
	"testing"

	"goblip/internal/golden"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestBicubic compares with torch.nn.functional.interpolate(mode="bicubic") of the row 0, 1, 4, 9.
func TestBicubic(t *testing.T) {
	row := []float64{0, 1, 4, 9}
	for _, test := range []struct {
		to    int
		align bool
		want  []float64
	}{
		{1, false, []float64{2.125}},
		{1, true, []float64{0}},
		{2, false, []float64{0.21875, 6.78125}},
		{2, true, []float64{0, 9}},
		{3, false, []float64{0.09143502, 2.125, 8.334492}},
		{3, true, []float64{0, 2.125, 9}},
		{4, false, []float64{0, 1, 4, 9}},
		{4, true, []float64{0, 1, 4, 9}},
		{7, false, []float64{-0.09921646, 0.1562487, 0.8042082, 2.125, 4.424658, 7.480775, 9.496082}},
		{7, true, []float64{0, 0.21875, 1, 2.125, 4, 6.78125, 9}},
	} {
		got := make([]float32, test.to)
		want := make([]float32, test.to)
		for i, weights := range bicubic(len(row), test.to, test.align) {
			sum := 0.0
			for j, w := range weights {
				sum += float64(w) * row[j]
			}
			got[i], want[i] = float32(sum), float32(test.want[i])
		}
		golden.Near(t, "row", tensors.FromValue(got), tensors.FromValue(want), 1e-5, 0)
	}
}

// TestPositionsFor wants a class position that stays, rows and columns that do not change places, and
// the same grid left alone.
func TestPositionsFor(t *testing.T) {
	cfg := Default()
	cfg.ImageSize, cfg.PatchSize, cfg.HiddenSize = 6, 2, 1
	flat := []float32{7, 0, 1, 2, 10, 11, 12, 20, 21, 22} // class, then row*10 + column
	out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{PositionsFor(&cfg, in[0], 3, 3), PositionsFor(&cfg, in[0], 3, 1), PositionsFor(&cfg, in[0], 2, 3)}
	}).Run(tensors.FromFlatDataAndDimensions(flat, 1, 10, 1))
	golden.Near(t, "same grid", out[0], tensors.FromFlatDataAndDimensions(flat, 1, 10, 1), 0, 0)
	golden.Near(t, "one column", out[1], tensors.FromValue([][][]float32{{{7}, {1}, {11}, {21}}}), 1e-6, 0)
	upper := float32(1.914062) // torch's value of 0, 10, 20 at row 0.25
	golden.Near(t, "two rows", out[2], tensors.FromValue([][][]float32{{{7}, {upper}, {1 + upper}, {2 + upper}, {20 - upper}, {21 - upper}, {22 - upper}}}), 1e-5, 0)
}
