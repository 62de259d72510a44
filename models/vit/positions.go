package vit

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// PositionsFor fits learned positions [1, 1+side*side, hidden] to a grid of patches
// -> [1, 1+rows*cols, hidden]: bicubic, the class token's stays as it is.
func PositionsFor(cfg *Config, positions *Node, rows, cols int) *Node {
	side := cfg.ImageSize / cfg.PatchSize
	if rows == side && cols == side {
		return positions
	}
	class := Slice(positions, AxisRange(), AxisRange(0, 1))
	grid := Reshape(Slice(positions, AxisRange(), AxisRange(1)), side, side, cfg.HiddenSize)
	g := positions.Graph()
	down := ConvertDType(Const(g, bicubic(side, rows, cfg.PositionAlignCorners)), grid.DType())
	across := ConvertDType(Const(g, bicubic(side, cols, cfg.PositionAlignCorners)), grid.DType())
	grid = Einsum("rs,sth->rth", down, grid)
	grid = Einsum("ct,rth->rch", across, grid) // [rows, cols, hidden]
	return Concatenate([]*Node{class, Reshape(grid, 1, rows*cols, cfg.HiddenSize)}, 1)
}

// bicubic is torch's interpolation along one axis as a matrix [to, from]: four neighbours, the
// border repeated, no smoothing when it shrinks.
func bicubic(from, to int, alignCorners bool) [][]float32 {
	const a = -0.75 // torch's; Pillow's is -0.5
	near := func(t float64) float64 { return ((a+2)*t-(a+3))*t*t + 1 }
	far := func(t float64) float64 { return ((a*t-5*a)*t+8*a)*t - 4*a }
	out := make([][]float32, to)
	for i := range out {
		out[i] = make([]float32, from)
		at := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
		if alignCorners {
			at = 0
			if to > 1 {
				at = float64(i) * float64(from-1) / float64(to-1)
			}
		}
		start := math.Floor(at)
		t := at - start
		for k, w := range []float64{far(1 + t), near(t), near(1 - t), far(2 - t)} {
			j := min(max(int(start)-1+k, 0), from-1)
			out[i][j] += float32(w)
		}
	}
	return out
}
