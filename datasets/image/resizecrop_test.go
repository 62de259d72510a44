package image

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestResizeCrop wants the bytes of a part that is cut out before.
func TestResizeCrop(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 120 {
		img := RGB{Width: 1 + rng.IntN(70), Height: 1 + rng.IntN(70)}
		img.Pix = make([]byte, img.Width*img.Height*3)
		for j := range img.Pix {
			img.Pix[j] = byte(rng.IntN(256))
		}
		left, top := rng.IntN(img.Width), rng.IntN(img.Height)
		w, h := 1+rng.IntN(img.Width-left), 1+rng.IntN(img.Height-top)
		width, height := 1+rng.IntN(60), 1+rng.IntN(60)
		if rng.IntN(4) == 0 {
			width = w
		}
		if rng.IntN(4) == 0 {
			height = h
		}
		got := ResizeCrop(img, left, top, w, h, width, height, Bicubic)
		want := Resize(crop(img, span{left, left + w}, span{top, top + h}), width, height, Bicubic)
		if got.Width != want.Width || got.Height != want.Height || !bytes.Equal(got.Pix, want.Pix) {
			t.Fatalf("%d x %d from (%d, %d) of %d x %d to %d x %d: other bytes", w, h, left, top, img.Width, img.Height, width, height)
		}
	}
}
