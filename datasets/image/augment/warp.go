package augment

import (
	"math"

	"goblip/datasets/image"
)

// matrix takes (x, y) to (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
type matrix [6]float64

// rotation turns about the middle, degrees against the clock.
func rotation(width, height int, degrees float64) matrix {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	x, y := float64(width)/2, float64(height)/2
	return matrix{cos, sin, (1-cos)*x - sin*y, -sin, cos, sin*x + (1-cos)*y}
}

// inverse of a matrix that is not singular; operation by operation as OpenCV has it.
func (m matrix) inverse() matrix {
	d := 1 / (m[0]*m[4] - m[1]*m[3])
	a, e := m[4]*d, m[0]*d
	b, c := m[1]*-d, m[3]*-d
	return matrix{a, b, -a*m[2] - b*m[5], c, e, -c*m[2] - e*m[5]}
}

// fill is the grey of what lies outside of the picture.
const fill = 128

// warp moves a picture's pixels, with OpenCV's bilinear interpolation, which BLIP and LAVIS use: places
// in 1/1024 of a pixel, rounded to 1/32, weights that are exact in those.
func warp(img image.RGB, m matrix) image.RGB {
	const scale, half = 1 << 10, 16
	inv := m.inverse()
	out := image.RGB{Pix: make([]byte, len(img.Pix)), Width: img.Width, Height: img.Height}
	fixed := func(v float64) int { return int(math.RoundToEven(v * scale)) }
	at := func(x, y, c int) int {
		if x < 0 || y < 0 || x >= img.Width || y >= img.Height {
			return fill
		}
		return int(img.Pix[3*(y*img.Width+x)+c])
	}
	for y := range img.Height {
		x0, y0 := fixed(inv[1]*float64(y)+inv[2])+half, fixed(inv[4]*float64(y)+inv[5])+half
		for x := range img.Width {
			px, py := (x0+fixed(inv[0]*float64(x)))>>5, (y0+fixed(inv[3]*float64(x)))>>5
			fx, fy := px&31, py&31
			px, py = px>>5, py>>5
			for c := range 3 {
				sum := (32-fy)*((32-fx)*at(px, py, c)+fx*at(px+1, py, c)) + fy*((32-fx)*at(px, py+1, c)+fx*at(px+1, py+1, c))
				out.Pix[3*(y*img.Width+x)+c] = byte((sum + 512) >> 10)
			}
		}
	}
	return out
}
