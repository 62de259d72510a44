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

// webpToRGB converts a frame whose rectangle starts at 0. Two rows of pixels lie
// between the same two rows of colour, and are made together.
func webpToRGB(img *stdimage.YCbCr) *picture {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	half, halfHigh := (w+1)/2, (h+1)/2
	out := newPicture(w, h)
	// Both colours in one word, u in the low half: sums stay below 2^16.
	above, below := make([]uint32, half), make([]uint32, half)
	upper, lower := make([]uint32, 2*half), make([]uint32, 2*half)
	packColours(above, img, 0)
	packColours(below, img, 0)
	for y := -1; y < h; y += 2 { // rows y and y+1
		interpolateWebP(above, below, upper, lower)
		if y >= 0 {
			convertWebP(out.row(y), img.Y[y*img.YStride:][:w], upper)
		}
		if y+1 < h {
			convertWebP(out.row(y+1), img.Y[(y+1)*img.YStride:][:w], lower)
		}
		above, below = below, above
		packColours(below, img, min((y+3)/2, halfHigh-1))
	}
	return out
}

func packColours(to []uint32, img *stdimage.YCbCr, y int) {
	u, v := img.Cb[y*img.CStride:][:len(to)], img.Cr[y*img.CStride:][:len(to)]
	for i, value := range u {
		to[i] = uint32(value) | uint32(v[i])<<16
	}
}

// interpolateWebP makes two rows of pixels between two rows of colour samples,
// with weights of about 9, 3, 3 and 1 sixteenths for the four samples around a
// pixel, the nearest first; beyond the border the last one repeats.
func interpolateWebP(above, below, upper, lower []uint32) {
	const (
		low8 = 0x00ff00ff
		one  = 0x00010001
	)
	below, upper, lower = below[:len(above)], upper[:2*len(above)], lower[:2*len(above)]
	a, b := above[0], below[0]
	upper[0] = (3*a + b + 2*one) >> 2 & low8
	lower[0] = (3*b + a + 2*one) >> 2 & low8
	for i, nextA := range above[1:] {
		nextB := below[1+i]
		all := a + nextA + b + nextB + 8*one
		// What is above bit 8 of either half never carries, and is masked off in the end.
		falling, rising := (all+2*(nextA+b))>>3, (all+2*(a+nextB))>>3
		upper[2*i+1], upper[2*i+2] = (falling+a)>>1&low8, (rising+nextA)>>1&low8
		lower[2*i+1], lower[2*i+2] = (rising+b)>>1&low8, (falling+nextB)>>1&low8
		a, b = nextA, nextB
	}
	n := len(upper) - 1
	upper[n] = (3*a + b + 2*one) >> 2 & low8
	lower[n] = (3*b + a + 2*one) >> 2 & low8
}

// convertWebP takes u and v packed as interpolateWebP gives them.
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
