package image

import stdimage "image"

// WebP keeps colour at half resolution and in limited range. These are libwebp's
// interpolation and conversion; the standard library takes the range for full and
// repeats samples, which is 9 levels off on average.

// BT.601, limited range, in libwebp's 14-bit fixed point, by sample.
var lumaWebP, vToR, vToG, uToG, uToB [256]int32

// clampWebP is byte(v) within 0..255, by v&1023, for -384 <= v < 640.
var clampWebP [1024]byte

func init() {
	for i := range int32(256) {
		lumaWebP[i] = i * 19077 >> 8
		vToR[i] = i*26149>>8 - 14234
		vToG[i] = 8708 - i*13320>>8
		uToG[i] = -(i * 6419 >> 8)
		uToB[i] = i*33050>>8 - 17685
		clampWebP[i] = byte(i)
	}
	for i := 256; i < 640; i++ {
		clampWebP[i] = 255
	}
}

// webpToRGB converts a frame whose rectangle starts at 0.
func webpToRGB(img *stdimage.YCbCr) *picture {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	half, halfHigh := (w+1)/2, (h+1)/2
	out := newPicture(w, h)
	// Both colours in one word, u in the low half: sums stay below 2^16.
	near, next, row := make([]uint32, half), make([]uint32, half), make([]uint32, 2*half)
	for y := range h {
		packColours(near, img, y/2)
		packColours(next, img, min(max(y/2-1+2*(y&1), 0), halfHigh-1))
		interpolateWebP(near, next, row)
		convertWebP(out.Pix[3*y*w:][:3*w], img.Y[y*img.YStride:][:w], row[:w])
	}
	return out
}

func packColours(to []uint32, img *stdimage.YCbCr, y int) {
	u, v := img.Cb[y*img.CStride:][:len(to)], img.Cr[y*img.CStride:][:len(to)]
	for i, value := range u {
		to[i] = uint32(value) | uint32(v[i])<<16
	}
}

// interpolateWebP makes two pixels of each sample, with weights of about 9, 3, 3
// and 1 sixteenths for the nearest sample and its neighbours; beyond the border
// the last one repeats.
func interpolateWebP(near, next, out []uint32) {
	left, leftNext := near[0], next[0]
	next, out = next[:len(near)], out[:2*len(near)]
	for i, this := range near {
		thisNext := next[i]
		right, rightNext := this, thisNext
		if i+1 < len(near) {
			right, rightNext = near[i+1], next[i+1]
		}
		out[2*i] = blendWebP(this, left, thisNext, leftNext)
		out[2*i+1] = blendWebP(this, right, thisNext, rightNext)
		left, leftNext = this, thisNext
	}
}

func blendWebP(near, alongX, alongY, across uint32) uint32 {
	const halves = 0x00ff00ff
	sum := near + across + 3*(alongX+alongY) + 0x00080008
	return ((sum>>3&0x01ff01ff + near) >> 1) & halves
}

func convertWebP(out, luma []byte, colour []uint32) {
	colour = colour[:len(luma)]
	for x, value := range luma {
		y, c := lumaWebP[value], colour[x]
		u, v := c&255, c>>16&255
		o := out[:3:3]
		o[0] = clampWebP[(y+vToR[v])>>6&1023]
		o[1] = clampWebP[(y+uToG[u]+vToG[v])>>6&1023]
		o[2] = clampWebP[(y+uToB[u])>>6&1023]
		out = out[3:]
	}
}
