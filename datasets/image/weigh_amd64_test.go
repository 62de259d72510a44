package image

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestWeigh wants vector instructions to give the bytes of plain code, for whole pictures and for parts
// that end at a border.
func TestWeigh(t *testing.T) {
	if !wide {
		t.Skip("this processor has no AVX2")
	}
	defer func() { wide = true }()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 120 {
		img := RGB{Width: 1 + rng.IntN(70), Height: 1 + rng.IntN(70)}
		img.Pix = make([]byte, img.Width*img.Height*3)
		for j := range img.Pix {
			if i%3 == 0 {
				img.Pix[j] = byte(rng.IntN(2) * 255) // sums beyond 0..255
			} else {
				img.Pix[j] = byte(rng.IntN(256))
			}
		}
		width, height := 1+rng.IntN(90), 1+rng.IntN(90)
		filter := filters[rng.IntN(len(filters))]
		columns, rows := span{rng.IntN(width), width}, span{rng.IntN(height), height}
		columns.end -= rng.IntN(columns.len())
		rows.end -= rng.IntN(rows.len())
		wide = true
		got := resizePart(img, width, height, columns, rows, filter)
		wide = false
		want := resizePart(img, width, height, columns, rows, filter)
		if got.Width != want.Width || got.Height != want.Height || !bytes.Equal(got.Pix, want.Pix) {
			t.Fatalf("%dx%d to %v of %d x %v of %d, %s: other bytes", img.Width, img.Height, columns, width, rows, height, filter.Name)
		}
	}
}
