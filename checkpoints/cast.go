package checkpoints

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
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
	get, put := getters[from], putters[to]
	if get == nil || put == nil {
		return nil, fmt.Errorf("%s cannot become %s: not both are floating-point types", from, to)
	}
	shape := shapes.Make(to, t.Shape().Dimensions...)
	out := tensors.FromShape(shape)
	if shape.Size() == 0 {
		return out, nil
	}
	var inner error
	err := t.ConstBytes(func(source []byte) {
		inner = out.MutableBytes(func(target []byte) {
			read, write := from.Size(), to.Size()
			for i := range shape.Size() {
				put(target[i*write:], get(source[i*read:]))
			}
		})
	})
	return out, errors.Join(err, inner)
}

// getters and putters know how a floating-point number lies in memory.
var (
	getters = map[dtypes.DType]func([]byte) float64{
		dtypes.Float64:  func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
		dtypes.Float32:  func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
		dtypes.Float16:  func(b []byte) float64 { return float16.FromBits(binary.LittleEndian.Uint16(b)).Float64() },
		dtypes.BFloat16: func(b []byte) float64 { return bfloat16.FromBits(binary.LittleEndian.Uint16(b)).Float64() },
	}
	putters = map[dtypes.DType]func([]byte, float64){
		dtypes.Float64:  func(b []byte, x float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(x)) },
		dtypes.Float32:  func(b []byte, x float64) { binary.LittleEndian.PutUint32(b, math.Float32bits(float32(x))) },
		dtypes.Float16:  func(b []byte, x float64) { binary.LittleEndian.PutUint16(b, halfBits(float32(x))) },
		dtypes.BFloat16: func(b []byte, x float64) { binary.LittleEndian.PutUint16(b, brainBits(float32(x))) },
	}
)

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

// brainBits rounds to bfloat16. The library's own conversion makes some NaNs infinite.
func brainBits(x float32) uint16 {
	bits := math.Float32bits(x)
	if bits&(1<<31-1) > 0x7f800000 { // NaN
		return uint16(bits>>16)&0x8000 | 0x7fc0
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
