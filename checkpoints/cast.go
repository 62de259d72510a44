package checkpoints

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Cast gives floating-point numbers of any precision in another, rounded to the nearest, ties to
// even, as torch does. A tensor that has the type already is returned as it is.
func Cast(t *tensors.Tensor, to dtypes.DType) (*tensors.Tensor, error) {
	from := t.DType()
	if from == to {
		return t, nil
	}
	if !isFloat(from) || !isFloat(to) {
		return nil, fmt.Errorf("%s cannot become %s: not both are floating-point types", from, to)
	}
	out := tensors.FromShape(shapes.Make(to, t.Shape().Dimensions...))
	if out.Size() == 0 {
		return out, nil
	}
	var inner error
	err := t.ConstBytes(func(source []byte) {
		inner = out.MutableBytes(func(target []byte) {
			var chunk [chunkSize]float64
			for len(source) > 0 {
				n := decode(from, source, chunk[:])
				encode(to, chunk[:n], target)
				source, target = source[n*from.Size():], target[n*to.Size():]
			}
		})
	})
	return out, errors.Join(err, inner)
}

// MaxDifference is the largest difference of two numbers in the same place of tensors of
// floating-point numbers, of any precision and the same dimensions. It is infinite where one is NaN
// and the other is not.
func MaxDifference(a, b *tensors.Tensor) (float64, error) {
	if a == b { // which cannot be locked twice
		return 0, nil
	}
	if !isFloat(a.DType()) || !isFloat(b.DType()) || !a.Shape().EqualDimensions(b.Shape()) {
		return 0, fmt.Errorf("%s and %s cannot be compared", a.Shape(), b.Shape())
	}
	if a.Size() == 0 {
		return 0, nil
	}
	largest := 0.0
	var inner error
	err := a.ConstBytes(func(left []byte) {
		inner = b.ConstBytes(func(right []byte) {
			var x, y [chunkSize]float64
			for len(left) > 0 {
				n := decode(a.DType(), left, x[:])
				decode(b.DType(), right, y[:])
				for i := range n {
					largest = max(largest, difference(x[i], y[i]))
				}
				left, right = left[n*a.DType().Size():], right[n*b.DType().Size():]
			}
		})
	})
	return largest, errors.Join(err, inner)
}

func difference(x, y float64) float64 {
	d := math.Abs(x - y)
	switch {
	case x == y, math.IsNaN(x) && math.IsNaN(y):
		return 0
	case math.IsNaN(d):
		return math.Inf(1)
	}
	return d
}

// chunkSize is how many numbers are converted at a time.
const chunkSize = 1024

func isFloat(dtype dtypes.DType) bool {
	return dtype == dtypes.Float64 || dtype == dtypes.Float32 || dtype == dtypes.Float16 || dtype == dtypes.BFloat16
}

// decode reads numbers until either side ends, and returns how many.
func decode(dtype dtypes.DType, data []byte, out []float64) int {
	n := min(len(data)/dtype.Size(), len(out))
	out = out[:n]
	switch dtype {
	case dtypes.Float64:
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		}
	case dtypes.Float32:
		for i := range out {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
	case dtypes.Float16:
		for i := range out {
			out[i] = float64(float16.FromBits(binary.LittleEndian.Uint16(data[2*i:])).Float32())
		}
	case dtypes.BFloat16:
		for i := range out {
			out[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16))
		}
	}
	return n
}

// encode writes numbers.
func encode(dtype dtypes.DType, in []float64, data []byte) {
	switch dtype {
	case dtypes.Float64:
		for i, x := range in {
			binary.LittleEndian.PutUint64(data[8*i:], math.Float64bits(x))
		}
	case dtypes.Float32:
		for i, x := range in {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(float32(x)))
		}
	case dtypes.Float16:
		for i, x := range in {
			binary.LittleEndian.PutUint16(data[2*i:], halfBits(float32(x)))
		}
	case dtypes.BFloat16:
		for i, x := range in {
			binary.LittleEndian.PutUint16(data[2*i:], BFloat16(float32(x)))
		}
	}
}

// halfBits rounds to float16. The library's own conversion rounds ties of subnormal numbers upwards.
func halfBits(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits>>16) & 0x8000
	switch bits &= 1<<31 - 1; {
	case bits > 0x7f800000: // NaN
		return sign | 0x7e00
	case bits >= 0x47800000: // 2^16 and more
		return sign | 0x7c00
	case bits < 0x38800000: // subnormal, below 2^-14: next to 0.5, float32 has the same steps
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-0x3f000000)
	}
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-0x38000000)>>13)
}

// BFloat16 rounds a number to bfloat16, to the nearest, ties to even -> its bits. The library's own conversion makes some NaNs infinite.
func BFloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&(1<<31-1) > 0x7f800000 { // NaN
		return uint16(bits>>16)&0x8000 | 0x7fc0
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
