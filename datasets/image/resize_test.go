package image

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func noise(r *rand.Rand, width, height int) RGB {
	img := RGB{Pix: make([]byte, width*height*3), Width: width, Height: height}
	for i := range img.Pix {
		img.Pix[i] = byte(r.IntN(256))
		if r.IntN(2) == 0 { // extremes make the sums overshoot
			img.Pix[i] = byte(255 * r.IntN(2))
		}
	}
	return img
}

// resizeAxis is one pass in plain words: a picture of n lines of pixels, each a
// step apart and within it in positions a stride apart.
func resizeAxis(pix []byte, in, out, lines, inLine, outLine, inStride, outStride int, filter Filter) []byte {
	result := make([]byte, lines*out*3)
	for o, t := range resampleTaps(in, out, span{0, out}, filter) {
		for line := range lines {
			for c := range 3 {
				sum := int64(1 << (precisionBits - 1))
				for i, w := range t.weights {
					sum += int64(w) * int64(pix[line*inLine+(t.first+i)*inStride+c])
				}
				result[line*outLine+o*outStride+c] = byte(min(max(sum>>precisionBits, 0), 255))
			}
		}
	}
	return result
}

// TestResizePart wants a part to be that of the whole, and the whole to be what two plain passes give.
func TestResizePart(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		img := noise(r, 1+r.IntN(60), 1+r.IntN(60))
		width, height := 1+r.IntN(80), 1+r.IntN(80)
		filter := []Filter{Bilinear, Bicubic}[r.IntN(2)]
		whole := Resize(img, width, height, filter)

		pix, w, h := img.Pix, img.Width, img.Height
		rows := func() {
			if w != width {
				pix = resizeAxis(pix, w, width, h, 3*w, 3*width, 3, 3, filter)
				w = width
			}
		}
		columns := func() {
			if h != height {
				pix = resizeAxis(pix, h, height, w, 3, 3, 3*w, 3*w, filter)
				h = height
			}
		}
		if height < h && h-height > 2*(w-width) {
			columns()
			rows()
		} else {
			rows()
			columns()
		}
		if !bytes.Equal(whole.Pix, pix) {
			t.Fatalf("%dx%d to %dx%d, %s: not two plain passes", img.Width, img.Height, width, height, filter.Name)
		}

		left, top := r.IntN(width), r.IntN(height)
		part := resizePart(img, width, height, span{left, left + 1 + r.IntN(width-left)}, span{top, top + 1 + r.IntN(height-top)}, filter)
		for y := range part.Height {
			if !bytes.Equal(part.row(y), whole.row(top + y)[3*left:][:3*part.Width]) {
				t.Fatalf("%dx%d to %dx%d: part %dx%d at %d,%d differs", img.Width, img.Height, width, height, part.Width, part.Height, left, top)
			}
		}
	}
}

func TestCropLargerThanPicture(t *testing.T) {
	img := noise(rand.New(rand.NewPCG(7, 8)), 9, 5)
	got := Processor{Size: 5, Crop: 12}.Apply(img) // 9 x 5 in the middle of 12 x 12, rounded up
	for y := range 12 {
		for x := range 12 {
			want := [3]byte{}
			if x >= 2 && x < 11 && y >= 4 && y < 9 {
				want = [3]byte(img.row(y - 4)[3*(x-2):])
			}
			if [3]byte(got[3*(12*y+x):]) != want {
				t.Fatalf("pixel %d,%d: %v, want %v", x, y, got[3*(12*y+x):][:3], want)
			}
		}
	}
}

func TestPixelValues(t *testing.T) {
	got := make([]float32, 6)
	Processor{}.PixelValues([]byte{0, 1, 2, 255, 254, 128}, got)
	for i, v := range []float64{0, 255, 1, 254, 2, 128} {
		c := i / 2
		want := (v/255 - float64(Mean[c])) / float64(Std[c])
		if diff := float64(got[i]) - want; diff > 1e-6 || diff < -1e-6 {
			t.Errorf("value %d: %v, want %v", i, got[i], want)
		}
	}
}
