package image

import stdimage "image"

// WebP keeps colour at half resolution and in limited range. These are libwebp's
// interpolation and conversion; the standard library takes the range for full and
// repeats samples, which is 9 levels off on average.

// BT.601, limited range, in libwebp's fixed point with 6 bits behind the point:
// what a sample adds to red, green and blue, 16 bits each from the right. A bias
// keeps every sum positive, so that no channel borrows from the next.
var yToRGB, uToRGB, vToRGB [256]uint64

// biasWebP is a multiple of 1<<6, over the most negative sum of any channel.
const biasWebP = 320 << 6

// clampWebP is a channel of the sum without its 6 bits, less the bias, within 0..255.
var clampWebP [1024]byte

func init() {
	for i := range 256 {
		pack := func(r, g, b int) uint64 { return uint64(r + g<<16 + b<<32) }
		y := i * 19077 >> 8
		yToRGB[i] = pack(y+biasWebP, y+biasWebP, y+biasWebP)
		uToRGB[i] = pack(0, -(i * 6419 >> 8), i*33050>>8-17685)
		vToRGB[i] = pack(i*26149>>8-14234, 8708-i*13320>>8, 0)
	}
	for i := range clampWebP {
		clampWebP[i] = byte(min(max(i-biasWebP>>6, 0), 255))
	}
}

// webpToRGB converts a frame whose rectangle starts at 0.
func webpToRGB(img *stdimage.YCbCr) *picture {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	half, halfHigh := (w+1)/2, (h+1)/2
	out := newPicture(w, h)
	// Both colours in one word, u in the low half: sums stay below 2^16.
	near, next, row := make([]uint32, half), make([]uint32, half), make([]uint32, 2*half)
	nearRow, nextRow := -1, -1 // what near and next hold
	for y := range h {
		a, b := y/2, min(max(y/2-1+2*(y&1), 0), halfHigh-1)
		if nearRow != a && nextRow == a { // one row further, they change places
			near, next, nearRow, nextRow = next, near, nextRow, nearRow
		}
		if nearRow != a {
			packColours(near, img, a)
			nearRow = a
		}
		if nextRow != b {
			packColours(next, img, b)
			nextRow = b
		}
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
	next, out = next[:len(near)], out[:2*len(near)]
	left, leftNext := near[0], next[0]
	this, thisNext := left, leftNext
	for i, right := range near[1:] {
		rightNext := next[1+i]
		out[2*i] = blendWebP(this, left, thisNext, leftNext)
		out[2*i+1] = blendWebP(this, right, thisNext, rightNext)
		left, leftNext, this, thisNext = this, thisNext, right, rightNext
	}
	n := len(out)
	out[n-2] = blendWebP(this, left, thisNext, leftNext)
	out[n-1] = blendWebP(this, this, thisNext, thisNext)
}

func blendWebP(near, alongX, alongY, across uint32) uint32 {
	sum := near + across + 3*(alongX+alongY) + 0x00080008
	return (sum>>3&0x01ff01ff + near) >> 1 & 0x00ff00ff
}

func convertWebP(out, luma []byte, colour []uint32) {
	colour = colour[:len(luma)]
	x := 0
	for ; x+4 <= len(luma); x += 4 { // twelve bytes are two words
		y, c, o := luma[x:x+4:x+4], colour[x:x+4:x+4], out[3*x:3*x+12:3*x+12]
		third := pixelWebP(y[2], c[2])
		le.PutUint64(o, uint64(pixelWebP(y[0], c[0]))|uint64(pixelWebP(y[1], c[1]))<<24|uint64(third)<<48)
		le.PutUint32(o[8:], third>>16|pixelWebP(y[3], c[3])<<8)
	}
	for ; x < len(luma); x++ {
		p := pixelWebP(luma[x], colour[x])
		*(*[3]byte)(out[3*x:]) = [3]byte{byte(p), byte(p >> 8), byte(p >> 16)}
	}
}

// pixelWebP is red, green and blue, from the right.
func pixelWebP(y byte, c uint32) uint32 {
	sum := yToRGB[y] + uToRGB[c&255] + vToRGB[c>>16&255]
	return uint32(clampWebP[sum>>6&1023]) | uint32(clampWebP[sum>>22&1023])<<8 | uint32(clampWebP[sum>>38&1023])<<16
}
