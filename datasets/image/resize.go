package image

import (
	"fmt"
	"math"
)

// Filter is a resampling kernel: zero outside [-Support, Support].
type Filter struct {
	Name    string
	Support float64
	Weight  func(x float64) float64
}

// Pillow's filters of those names. Bicubic has a = -0.5; Nearest takes one pixel, and is no kernel.
var (
	Nearest = Filter{"nearest", 0, func(float64) float64 { return 1 }}
	Lanczos = Filter{"lanczos", 3, func(x float64) float64 {
		if x < -3 || x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	}}
	Box = Filter{"box", 0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}}
	Hamming = Filter{"hamming", 1, func(x float64) float64 {
		if x = math.Abs(x); x >= 1 {
			return 0
		}
		return sinc(x) * (0.54 + 0.46*math.Cos(math.Pi*x))
	}}
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

// filters by the numbers that Pillow and processor files give them.
var filters = [...]Filter{Nearest, Lanczos, Bilinear, Bicubic, Box, Hamming}

// FilterNumber is the filter that Pillow gives a number to.
func FilterNumber(n int) (Filter, error) {
	if n < 0 || n >= len(filters) {
		return Filter{}, fmt.Errorf("resample %d is not one of Pillow's filters, 0..%d", n, len(filters)-1)
	}
	return filters[n], nil
}

// Number undoes FilterNumber; the zero Filter stands for Bicubic.
func (f Filter) Number() int {
	for n := range filters {
		if filters[n].Name == f.Name {
			return n
		}
	}
	return 3
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// precisionBits is Pillow's fixed point for 8-bit channels: weights are stored
// times 2^22, which leaves two bits of a signed 32-bit sum for overshoot.
const precisionBits = 32 - 8 - 2

// taps are the source pixels that make one output pixel: source position
// first+i enters with weights[i] / 2^precisionBits.
type taps struct {
	first   int
	weights []int32
}

// span is a range of positions, from first up to end.
type span struct{ first, end int }

func (s span) len() int { return s.end - s.first }

// resampleTaps computes the taps of the output positions in want along one axis
// that goes from in to out pixels. When shrinking, the kernel is stretched by
// the scale, so it averages all the pixels it covers (antialiasing), as Pillow
// does. An axis that keeps its length has none: that pass is skipped.
func resampleTaps(in, out int, want span, filter Filter) []taps {
	if in == out {
		return nil
	}
	if filter.Support == 0 {
		return nearestTaps(in, out, want)
	}
	scale := float64(float32(in)) / float64(out) // Pillow's box is of 32 bits
	stretch := max(scale, 1)
	support := filter.Support * stretch
	result := make([]taps, want.len())
	weights := make([]float64, 0, 2*int(math.Ceil(support))+1)
	for o := range result {
		centre := (float64(want.first+o) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		end := min(int(centre+support+0.5), in)
		weights, total := weights[:max(end-first, 0)], 0.0
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

// nearestTaps is resampleTaps for Nearest. Pillow adds the scale up from pixel to pixel.
func nearestTaps(in, out int, want span) []taps {
	scale := float64(in) / float64(out)
	result := make([]taps, 0, want.len())
	at := scale * 0.5
	for o := range want.end {
		if o >= want.first {
			result = append(result, taps{min(int(at), in-1), []int32{1 << precisionBits}})
		}
		at += scale
	}
	return result
}

// needed is the range of source positions that taps read; want where the axis has none.
func needed(table []taps, want span) span {
	if table == nil {
		return want
	}
	last := table[len(table)-1]
	return span{table[0].first, last.first + len(last.weights)}
}

// Resize returns the picture at width x height, bit-identical to the resize of
// an RGB image in Pillow 13: two passes, each rounded to bytes; a pass that
// would not change the size is skipped. Older versions always began with the
// rows; where the order differs, about half of the bytes do, by 1 to 3.
func Resize(img RGB, width, height int, filter Filter) RGB {
	return resizePart(img, width, height, span{0, width}, span{0, height}, filter)
}

// ResizeCrop is Resize of a part of a picture, w x h pixels from (left, top) on, without copying it first.
func ResizeCrop(img RGB, left, top, w, h, width, height int, filter Filter) RGB {
	alongX := resampleTaps(w, width, span{0, width}, filter)
	alongY := resampleTaps(h, height, span{0, height}, filter)
	part := RGB{Pix: img.Pix[top*img.Width*3 : (top+h)*img.Width*3], Width: img.Width, Height: h}
	if height < h && h-height > 2*(w-width) { // columns first, as Resize
		part = resizeColumns(part, alongY, span{0, height}, span{left, left + w})
		return resizeRows(part, alongX, span{0, width}, span{0, height}, 0)
	}
	part = resizeRows(part, alongX, span{0, width}, span{0, h}, -left)
	return resizeColumns(part, alongY, span{0, part.Height}, span{0, width})
}

// resizePart computes only some columns and rows of Resize's result: of a strip
// whose shorter side grows a hundredfold, all of it would not fit in memory.
func resizePart(img RGB, width, height int, columns, rows span, filter Filter) RGB {
	alongX := resampleTaps(img.Width, width, columns, filter)
	alongY := resampleTaps(img.Height, height, rows, filter)
	sourceColumns, sourceRows := needed(alongX, columns), needed(alongY, rows)
	if height < img.Height && img.Height-height > 2*(img.Width-width) { // columns first
		img = resizeColumns(img, alongY, rows, sourceColumns)
		return resizeRows(img, alongX, columns, span{0, img.Height}, sourceColumns.first)
	}
	img = resizeRows(img, alongX, columns, sourceRows, 0)
	for i := range alongY {
		alongY[i].first -= sourceRows.first
	}
	if alongY == nil {
		rows = span{0, img.Height}
	}
	return resizeColumns(img, alongY, rows, span{0, img.Width})
}

// resizeRows makes the columns that table has (or want names, where it has
// none) of some rows; shift is the source position of the picture's first column.
func resizeRows(img RGB, table []taps, want, rows span, shift int) RGB {
	width := want.len()
	if table == nil {
		return crop(img, span{want.first - shift, want.end - shift}, rows)
	}
	out := RGB{Pix: make([]byte, width*rows.len()*3), Width: width, Height: rows.len()}
	done := weighRowsOf(out, img, table, rows.first, shift)
	if done == out.Height {
		return out
	}
	// Two rows at a time: six channels are three pairs, and a pair's two sums
	// stay apart in 64 bits, so that one multiplication serves both.
	packed := make([]sixChannels, img.Width)
	for y := done; y < out.Height; y += 2 {
		second := min(y+1, out.Height-1) // of an odd number, the last row twice
		packRows(packed, img.row(rows.first+y), img.row(rows.first+second))
		a, b := out.row(y), out.row(second)
		for x, t := range table {
			sum := sixChannels{halves, halves, halves}
			src := packed[t.first-shift:][:len(t.weights)]
			for i, w := range t.weights {
				p, weight := &src[i], uint64(w)
				sum[0] += p[0] * weight
				sum[1] += p[1] * weight
				sum[2] += p[2] * weight
			}
			a[3*x], b[3*x] = pairToBytes(sum[0])
			a[3*x+1], b[3*x+1] = pairToBytes(sum[1])
			a[3*x+2], b[3*x+2] = pairToBytes(sum[2])
		}
	}
	return out
}

// sixChannels are red, green and blue of two rows: the first row's in the low 32 bits.
type sixChannels [3]uint64

// halves is one half in fixed point, for either of a pair: what is cut off later is rounded so.
const halves = 1<<(precisionBits-1) | 1<<(precisionBits-1+32)

func packRows(to []sixChannels, a, b []byte) {
	for i := range to {
		p, q := a[3*i:3*i+3:3*i+3], b[3*i:3*i+3:3*i+3]
		to[i] = sixChannels{uint64(p[0]) | uint64(q[0])<<32, uint64(p[1]) | uint64(q[1])<<32, uint64(p[2]) | uint64(q[2])<<32}
	}
}

// pairToBytes takes two sums apart. A negative low one has borrowed from the high one.
func pairToBytes(sum uint64) (low, high byte) {
	l := int32(sum)
	return fixedToByte(l), fixedToByte(int32((int64(sum) - int64(l)) >> 32))
}

func (img RGB) row(y int) []byte { return img.Pix[y*img.Width*3:][:img.Width*3] }

// resizeColumns makes the rows that table has (or want names, where it has none)
// of some columns.
func resizeColumns(img RGB, table []taps, want, columns span) RGB {
	if table == nil {
		return crop(img, columns, want)
	}
	stride, width := img.Width*3, columns.len()*3
	out := RGB{Pix: make([]byte, width*len(table)), Width: columns.len(), Height: len(table)}
	done := weighColumns(out, img, table, columns.first)
	if done == width {
		return out
	}
	sums := make([]int32, width-done)
	for y, t := range table {
		for i := range sums {
			sums[i] = 1 << (precisionBits - 1)
		}
		at := func(j int) []byte { return img.Pix[(t.first+j)*stride+columns.first*3:][done:width] }
		j := 0
		for ; j+4 <= len(t.weights); j += 4 { // fewer trips over the sums
			a, b, c, d := at(j), at(j+1), at(j+2), at(j+3)
			wa, wb, wc, wd := t.weights[j], t.weights[j+1], t.weights[j+2], t.weights[j+3]
			for i := range sums {
				sums[i] += int32(a[i])*wa + int32(b[i])*wb + int32(c[i])*wc + int32(d[i])*wd
			}
		}
		for ; j < len(t.weights); j++ {
			w := t.weights[j]
			for i, v := range at(j) {
				sums[i] += int32(v) * w
			}
		}
		dst := out.Pix[y*width:][done:width]
		for i, v := range sums {
			dst[i] = fixedToByte(v)
		}
	}
	return out
}

// crop copies a part of a picture, unless it is all of it.
func crop(img RGB, columns, rows span) RGB {
	if columns.len() == img.Width && rows.len() == img.Height {
		return img
	}
	out := RGB{Pix: make([]byte, 0, 3*columns.len()*rows.len()), Width: columns.len(), Height: rows.len()}
	for y := rows.first; y < rows.end; y++ {
		out.Pix = append(out.Pix, img.Pix[3*(y*img.Width+columns.first):][:3*columns.len()]...)
	}
	return out
}

func fixedToByte(v int32) byte {
	if v >>= precisionBits; uint32(v) > 255 {
		return byte(^v >> 31) // 0 below, 255 above
	}
	return byte(v)
}
