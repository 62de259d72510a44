package golden

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestCompare(t *testing.T) {
	floats := func(v ...float32) *tensors.Tensor { return tensors.FromValue(v) }
	nan := float32(math.NaN())
	for _, test := range []struct {
		name      string
		got, want *tensors.Tensor
		problem   string // what the message must say, "" for none
	}{
		{"equal", floats(1, 2), floats(1, 2), ""},
		{"within the absolute tolerance", floats(0.009), floats(0), ""},
		{"within the relative tolerance", floats(109), floats(100), ""},
		{"outside", floats(1, 112), floats(1, 100), "1 of 2 values differ, by up to 12"},
		{"NaN", floats(nan), floats(1), "1 of 1"},
		{"shape", floats(1), floats(1, 2), "shape"},
		{"type", tensors.FromValue([]int32{1}), floats(1), "shape"},
		{"integers", tensors.FromValue([]int32{1, 3}), tensors.FromValue([]int32{1, 2}), "[1 3]"},
		{"equal integers", tensors.FromValue([]int32{1}), tensors.FromValue([]int32{1}), ""},
	} {
		problem, _ := compare(test.got, test.want, 0.01, 0.1)
		if (problem == "") != (test.problem == "") || !strings.Contains(problem, test.problem) {
			t.Errorf("%s: got %q, want %q", test.name, problem, test.problem)
		}
	}
}

func TestMiddleAndMasked(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6}, 2, 3, 1)
	Near(t, "Middle", Middle(x, 1, 3), tensors.FromFlatDataAndDimensions([]float32{2, 3, 5, 6}, 2, 2, 1), 0, 0)
	mask := tensors.FromValue([][]int32{{1, 0, 1}, {0, 1, 1}})
	Near(t, "Masked", Masked(x, mask), tensors.FromFlatDataAndDimensions([]float32{1, 0, 3, 0, 5, 6}, 2, 3, 1), 0, 0)
}
