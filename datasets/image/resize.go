package image

import "math"

// Filter is a resampling kernel: zero outside [-Support, Support].
type Filter struct {
	Name    string
	Support float64
	Weight  func(x float64) float64
}

// Bilinear and Bicubic are Pillow's filters of those names; Bicubic has a = -0.5.
var (
	Bilinear = Filter{"bilinear", 1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
	Bicubic  = Filter{"bicubic", 2, func(x float64) float64 {
		const a = -0.5
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}}
)

// precisionBits is Pillow's fixed point for 8-bit channels: weights are stored
// times 2^22, which leaves two bits of a signed 32-bit sum for overshoot.
const precisionBits = 32 - 8 - 2

// taps are the source pixels that make one output pixel: source position
// first+i enters with weights[i] / 2^precisionBits.
type taps struct {
	first   int
	weights []int32
}

// resampleTaps computes the taps of every output position along one axis.
// When shrinking, the kernel is stretched by the scale, so it averages all
// the pixels it covers (antialiasing), as Pillow does.
func resampleTaps(in, out int, filter Filter) []taps {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := filter.Support * stretch
	result := make([]taps, out)
	for o := range result {
		centre := (float64(o) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		last := min(int(centre+support+0.5), in) // exclusive
		weights := make([]float64, last-first)
		total := 0.0
		for i := range weights {
			weights[i] = filter.Weight((float64(i+first) - centre + 0.5) * (1 / stretch))
			total += weights[i]
		}
		fixed := make([]int32, len(weights))
		for i, w := range weights {
			if total != 0 {
				w /= total
			}
			// Pillow rounds half away from zero by a cast that truncates.
			fixed[i] = int32(w*(1<<precisionBits) + math.Copysign(0.5, w))
		}
		result[o] = taps{first, fixed}
	}
	return result
}

// Resize returns the picture at width x height, bit-identical to the resize of
// an RGB image in Pillow 13: two passes, each rounded to bytes; a pass that
// would not change the size is skipped. Older versions always began with the
// rows; where the order differs, about half of the bytes do, by 1 to 3.
func Resize(img RGB, width, height int, filter Filter) RGB {
	columnsFirst := height < img.Height && img.Height-height > 2*(img.Width-width)
	if columnsFirst {
		img = resizeColumns(img, height, filter)
	}
	if width != img.Width {
		img = resizeRows(img, width, filter)
	}
	if height != img.Height {
		img = resizeColumns(img, height, filter)
	}
	return img
}

func resizeRows(img RGB, width int, filter Filter) RGB {
	out := RGB{Pix: make([]byte, width*img.Height*3), Width: width, Height: img.Height}
	table := resampleTaps(img.Width, width, filter)
	for y := range img.Height {
		row := img.Pix[y*img.Width*3:][:img.Width*3]
		dst := out.Pix[y*width*3:][:width*3]
		for x, t := range table {
			r, g, b := int32(1<<(precisionBits-1)), int32(1<<(precisionBits-1)), int32(1<<(precisionBits-1))
			src := row[t.first*3:]
			for i, w := range t.weights {
				p := src[3*i : 3*i+3 : 3*i+3]
				r += int32(p[0]) * w
				g += int32(p[1]) * w
				b += int32(p[2]) * w
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = fixedToByte(r), fixedToByte(g), fixedToByte(b)
		}
	}
	return out
}

func resizeColumns(img RGB, height int, filter Filter) RGB {
	stride := img.Width * 3
	out := RGB{Pix: make([]byte, stride*height), Width: img.Width, Height: height}
	sums := make([]int32, stride)
	for y, t := range resampleTaps(img.Height, height, filter) {
		for i := range sums {
			sums[i] = 1 << (precisionBits - 1)
		}
		for j, w := range t.weights {
			for i, v := range img.Pix[(t.first+j)*stride:][:stride] {
				sums[i] += int32(v) * w
			}
		}
		dst := out.Pix[y*stride:][:stride]
		for i, v := range sums {
			dst[i] = fixedToByte(v)
		}
	}
	return out
}

func fixedToByte(v int32) byte { return byte(min(max(v>>precisionBits, 0), 255)) }
