package checkpoints

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

func cast(t *testing.T, from *tensors.Tensor, to dtypes.DType) *tensors.Tensor {
	t.Helper()
	out, err := Cast(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCastWidens takes every number of 16 bits through float32 and back.
func TestCastWidens(t *testing.T) {
	halves, brains := make([]float16.Float16, 1<<16), make([]bfloat16.BFloat16, 1<<16)
	for i := range 1 << 16 {
		halves[i], brains[i] = float16.FromBits(uint16(i)), bfloat16.FromBits(uint16(i))
	}
	f16, bf16 := tensors.FromFlatDataAndDimensions(halves, 1<<16), tensors.FromFlatDataAndDimensions(brains, 1<<8, 1<<8)
	back16 := tensors.MustCopyFlatData[float16.Float16](cast(t, cast(t, f16, dtypes.Float32), dtypes.Float16))
	backB := tensors.MustCopyFlatData[bfloat16.BFloat16](cast(t, cast(t, bf16, dtypes.Float64), dtypes.BFloat16))
	for i := range 1 << 16 {
		if got := back16[i]; got != halves[i] && !math.IsNaN(halves[i].Float64()) {
			t.Fatalf("float16 %#x came back as %#x", i, got.Bits())
		}
		if got := backB[i]; got != brains[i] && !math.IsNaN(brains[i].Float64()) {
			t.Fatalf("bfloat16 %#x came back as %#x", i, got.Bits())
		}
	}
}

// TestCastRounds wants, of two neighbours, the nearer one; at the middle the even one.
func TestCastRounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, to := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
		for range 20000 {
			low := uint16(random.Uint32()) & 0x7fff
			limit := uint16(0x7bff) // the largest finite number
			if to == dtypes.BFloat16 {
				limit = 0x7f7f
			}
			if low >= limit {
				continue
			}
			a, b := wide(to, low), wide(to, low+1)
			even := low + low&1
			for x, want := range map[float64]uint16{a + (b-a)*0.499: low, a + (b-a)*0.501: low + 1, (a + b) / 2: even} {
				if x != float64(float32(x)) && x == (a+b)/2 {
					continue // float32 does not have the middle of the smallest bfloat16
				}
				if got := narrow(t, to, float32(x)); got != want {
					t.Fatalf("%s: %g between %#x and %#x became %#x, want %#x", to, x, low, low+1, got, want)
				}
				if got := narrow(t, to, float32(-x)); got != want|0x8000 {
					t.Fatalf("%s: %g became %#x, want %#x", to, -x, got, want|0x8000)
				}
			}
		}
		infinite := narrow(t, to, float32(math.Inf(1)))
		if got := narrow(t, to, math.MaxFloat32); got != infinite {
			t.Errorf("%s: the largest float32 became %#x", to, got)
		}
		for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0xffffffff} {
			if got := narrow(t, to, math.Float32frombits(bits)); !math.IsNaN(wide(to, got)) {
				t.Errorf("%s: NaN %#x became %#x", to, bits, got)
			}
		}
	}
	if got := narrow(t, dtypes.Float16, 65519.99); got != 0x7bff {
		t.Errorf("65519.99 became %#x", got)
	}
	if got := narrow(t, dtypes.Float16, 65520); got != 0x7c00 {
		t.Errorf("65520 became %#x", got)
	}
}

func wide(dtype dtypes.DType, bits uint16) float64 {
	if dtype == dtypes.Float16 {
		return float16.FromBits(bits).Float64()
	}
	return bfloat16.FromBits(bits).Float64()
}

func narrow(t *testing.T, dtype dtypes.DType, x float32) uint16 {
	t.Helper()
	data := rawBytes(t, cast(t, tensors.FromScalar(x), dtype))
	return uint16(data[0]) | uint16(data[1])<<8
}

func TestCastOther(t *testing.T) {
	if got := tensors.MustCopyFlatData[float32](cast(t, tensors.FromValue([]float64{math.Pi, math.Inf(-1)}), dtypes.Float32)); !slices.Equal(got, []float32{math.Pi, float32(math.Inf(-1))}) {
		t.Errorf("got %v", got)
	}
	if got := cast(t, tensors.FromShape(shapes.Make(dtypes.Float32, 2, 0)), dtypes.BFloat16); !got.Shape().Equal(shapes.Make(dtypes.BFloat16, 2, 0)) {
		t.Errorf("got %s", got.Shape())
	}
	for _, to := range []dtypes.DType{dtypes.Float32, dtypes.Int64} {
		if _, err := Cast(tensors.FromScalar(int32(1)), to); err == nil {
			t.Errorf("whole numbers became %s", to)
		}
	}
}

func TestMaxDifference(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	long := make([]float64, 5000)
	other := slices.Clone(long)
	other[4999] = 0.25
	for _, c := range []struct {
		a, b []float64
		want float64
	}{{[]float64{1, 2}, []float64{1, 2.5}, 0.5}, {[]float64{nan, inf}, []float64{nan, inf}, 0}, {[]float64{nan}, []float64{1}, inf}, {[]float64{inf}, []float64{-inf}, inf}, {long, other, 0.25}, {nil, nil, 0}} {
		a, b := tensors.FromFlatDataAndDimensions(c.a, len(c.a)), tensors.FromFlatDataAndDimensions(c.b, len(c.b))
		for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32, dtypes.Float16, dtypes.BFloat16} {
			if got, err := MaxDifference(a, cast(t, b, dtype)); err != nil || got != c.want {
				t.Errorf("%.2v and %.2v as %s: got %g, %v, want %g", c.a, c.b, dtype, got, err, c.want)
			}
		}
	}
	if _, err := MaxDifference(tensors.FromValue([]float32{1}), tensors.FromValue([]float32{1, 2})); err == nil {
		t.Error("tensors of two shapes were compared")
	}
}
