package jpeg

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestWide wants vector instructions to give the bytes of plain code.
func TestWide(t *testing.T) {
	if !wide {
		t.Skip("this processor has no AVX2")
	}
	defer func() { wide = true }()
	rng := rand.New(rand.NewPCG(5, 5))
	both := func(size int, work func(out []byte)) (plain, vector []byte) {
		plain, vector = make([]byte, size), make([]byte, size)
		wide = false
		work(plain)
		wide = true
		work(vector)
		return plain, vector
	}
	for i := range 2000 {
		var block [64]int32
		for range 1 + rng.IntN(64) {
			value := int32(rng.IntN(1<<(4+i%20))) - 1<<(3+i%20)
			if i%50 == 0 {
				value = int32(rng.Uint32()) // of damaged files: sums go around
			}
			block[rng.IntN(64)] = value
		}
		stride := 8 + rng.IntN(9)
		if plain, vector := both(7*stride+8, func(out []byte) { inverseDCT(&block, out, stride) }); !bytes.Equal(plain, vector) {
			t.Fatalf("inverse DCT of %v: %v, want %v", block, vector, plain)
		}
		luma, chroma := make([]byte, rng.IntN(40)), make([]uint32, 40)
		for j := range chroma {
			chroma[j] = rng.Uint32() & low8
		}
		for j := range luma {
			luma[j] = byte(rng.Uint32())
		}
		if plain, vector := both(3*len(luma), func(out []byte) { convertYCbCr(out, luma, chroma) }); !bytes.Equal(plain, vector) {
			t.Fatalf("colours of %v and %v: %v, want %v", luma, chroma, vector, plain)
		}
	}
}
