package golden

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// Check compares with the expected tensor of that name, within the case's tolerance.
func (c *Case) Check(name string, got *tensors.Tensor) {
	c.t.Helper()
	Near(c.t, name, got, c.Want(name), c.abs, c.rel)
}

// CheckAny is Check, or CheckGradient where the name says so. Key biases of gradients are left out:
// softmax does not see what all keys share, their true gradient is 0.
func (c *Case) CheckAny(name string, got *tensors.Tensor) {
	c.t.Helper()
	switch {
	case strings.HasPrefix(name, "grad") && strings.HasSuffix(name, "key.bias"):
	case strings.HasPrefix(name, "grad"):
		c.CheckGradient(name, got)
	default:
		c.Check(name, got)
	}
}

// CheckGradient compares a gradient: within 1e-4 of the tensor's largest entry, plus 1e-6.
func (c *Case) CheckGradient(name string, got *tensors.Tensor) {
	c.t.Helper()
	want, largest := c.Want(name), 0.0
	for _, w := range tensors.MustCopyFlatData[float32](want) {
		largest = max(largest, math.Abs(float64(w)))
	}
	Near(c.t, name, got, want, 1e-6+1e-4*largest, 0)
}

// Near fails unless got and want have one shape and |got-want| <= abs + rel*|want| everywhere.
// Integers must be equal. With -v it says the largest difference.
func Near(t testing.TB, name string, got, want *tensors.Tensor, abs, rel float64) {
	t.Helper()
	if problem, largest := compare(got, want, abs, rel); problem != "" {
		t.Errorf("%s: %s", name, problem)
	} else {
		t.Logf("%s: largest difference %.2g", name, largest)
	}
}

func compare(got, want *tensors.Tensor, abs, rel float64) (problem string, largest float64) {
	if !got.Shape().Equal(want.Shape()) {
		return fmt.Sprintf("shape %s, want %s", got.Shape(), want.Shape()), 0
	}
	if got.DType().IsInt() {
		if a, b := tensors.MustCopyFlatData[int32](got), tensors.MustCopyFlatData[int32](want); !slices.Equal(a, b) {
			return fmt.Sprintf("got %v, want %v", a, b), 0
		}
		return "", 0
	}
	a, b := tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want)
	var bad []string
	wrong := 0
	for i := range b {
		difference := math.Abs(float64(a[i]) - float64(b[i]))
		largest = max(largest, difference)
		if !(difference <= abs+rel*math.Abs(float64(b[i]))) { // NaN is wrong
			if wrong++; wrong <= 3 {
				bad = append(bad, fmt.Sprintf("[%d] got %g, want %g", i, a[i], b[i]))
			}
		}
	}
	if wrong == 0 {
		return "", largest
	}
	return fmt.Sprintf("%d of %d values differ, by up to %.3g (allowed %.3g + %.3g relative): %s",
		wrong, len(b), largest, abs, rel, strings.Join(bad, "; ")), largest
}

// Middle cuts the middle axis: float32 [rows, n, width] -> [rows, to-from, width].
func Middle(x *tensors.Tensor, from, to int) *tensors.Tensor {
	d := x.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](x)
	var kept []float32
	for row := range d[0] {
		kept = append(kept, flat[(row*d[1]+from)*d[2]:(row*d[1]+to)*d[2]]...)
	}
	return tensors.FromFlatDataAndDimensions(kept, d[0], to-from, d[2])
}

// Masked sets to 0 what nobody reads: x float32 [rows, n, width], mask int32 [rows, n].
func Masked(x, mask *tensors.Tensor) *tensors.Tensor {
	d := x.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](x)
	for i, visible := range tensors.MustCopyFlatData[int32](mask) {
		if visible == 0 {
			clear(flat[i*d[2] : (i+1)*d[2]])
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, d...)
}
