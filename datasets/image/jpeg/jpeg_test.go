package jpeg

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestInverseDCT compares with the definition (T.81, A.3.3) in floating point:
// the integer transform may be off by a rounding.
func TestInverseDCT(t *testing.T) {
	var basis [8][8]float64 // [position][frequency]
	for x := range 8 {
		for u := range 8 {
			basis[x][u] = math.Cos(float64(2*x+1)*float64(u)*math.Pi/16) / 2
			if u == 0 {
				basis[x][u] /= math.Sqrt2
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var block [64]int32
		for range 1 + r.IntN(64) {
			block[r.IntN(64)] = int32(r.IntN(801) - 400)
		}
		out := make([]byte, 64)
		inverseDCT(&block, out, 8)
		for y := range 8 {
			for x := range 8 {
				sum := 128.0
				for v := range 8 {
					for u := range 8 {
						sum += basis[y][v] * basis[x][u] * float64(block[8*v+u])
					}
				}
				if diff := float64(out[8*y+x]) - min(max(sum, 0), 255); math.Abs(diff) > 0.6 {
					t.Fatalf("block %v: %d at %d,%d, want %.2f", block, out[8*y+x], x, y, sum)
				}
			}
		}
		flat := make([]byte, 64)
		inverseDCT(&[64]int32{block[0]}, out, 8)
		fillBlock(block[0], flat, 8)
		if !bytes.Equal(out, flat) {
			t.Fatalf("DC %d: %d and %d", block[0], out[0], flat[0])
		}
	}
}

// TestHuffmanLongCodes decodes every symbol of a code that has one of each length.
func TestHuffmanLongCodes(t *testing.T) {
	counts, symbols := make([]byte, 16), make([]byte, 16)
	for i := range counts {
		counts[i], symbols[i] = 1, byte(200+i)
	}
	h, err := newHuffman(counts, symbols)
	if err != nil {
		t.Fatal(err)
	}
	for length := 1; length <= 16; length++ {
		code := uint32(1)<<16 - 1<<(17-length) // ones, then a zero
		b := bitReader{}
		b.reset(append([]byte{byte(code >> 8), byte(code)}, make([]byte, padding)...), 2)
		if got := b.symbol(h); got != byte(200+length-1) || b.overrun() {
			t.Errorf("length %d: symbol %d", length, got)
		}
	}
	counts[0] = 3
	if _, err := newHuffman(counts, make([]byte, 18)); err == nil {
		t.Error("three codes of one bit were accepted")
	}
}

func photo(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../testdata/photo420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestUnsupportedIsNamed(t *testing.T) {
	data := photo(t)
	frame := bytes.Index(data, []byte{0xff, sof0})
	scan := bytes.Index(data, []byte{0xff, sos})
	for _, tc := range []struct {
		at    int
		value byte
		want  string
	}{
		{0, 0, "not a JPEG"},
		{frame + 1, 0xc9, "arithmetic coding"},
		{frame + 1, 0xc3, "lossless"},
		{frame + 1, 0xc5, "hierarchical"},
		{frame + 3, 18, "wrong length"},
		{frame + 4, 12, "12 bits a sample"},
		{frame + 9, 2, "wrong length"},
		{frame + 11, 0x32, "sampling factors 1x1 of 3x2"},
		{frame + 11, 0x05, "sampling factors 0x5"},
		{frame + 12, 9, "quantization table 9"},
		{frame + 13, 1, "two components 1"},
		{scan + 5, 77, "unknown component 77"},
		{scan + 7, 1, "component 1 twice"},
		{scan + 6, 0x30, "Huffman table is missing"},
	} {
		damaged := bytes.Clone(data)
		damaged[tc.at] = tc.value
		if tc.want == "sampling factors 1x1 of 3x2" {
			damaged[frame+14] = 0x21 // and 3 is no multiple of 2
			tc.want = "sampling factors 2x1 of 3x2 are not supported"
		}
		if _, _, _, err := Decode(damaged); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("byte %d = %#x: error %v, want %q", tc.at, tc.value, err, tc.want)
		}
	}
}

func TestTooManyScans(t *testing.T) {
	data, err := os.ReadFile("../testdata/progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(data, []byte{0xff, sos})
	end := first + 2
	for data[end] != 0xff || data[end+1] == 0 {
		end++
	}
	many := append(bytes.Clone(data[:first]), bytes.Repeat(data[first:end], maxScans+1)...)
	if _, _, _, err := Decode(append(many, 0xff, eoi)); err == nil || !strings.Contains(err.Error(), "scans") {
		t.Errorf("error %v", err)
	}
}
