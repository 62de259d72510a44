package jpeg

import "encoding/binary"

// YCbCr to RGB (BT.601, full range) in libjpeg's 16-bit fixed point, all three
// channels in one sum: from the right, red and blue in 16 bits each and green in
// 32, where its two parts meet before they are rounded.
var crToRGB, cbToRGB [256]uint64

// yToRGB times luma adds it to all channels.
const yToRGB = 1<<48 | 1<<16 | 1

// bias keeps channels positive, so that none borrows from the next.
const bias = 256

// clampTable is a channel of that sum, less bias, within 0..255.
var clampTable [1024]byte

func init() {
	for i := range int64(256) {
		x := i - 128
		red, blue := (91881*x+1<<15)>>16, (116130*x+1<<15)>>16
		crToRGB[i] = uint64(red + bias - 46802*x<<32 + bias<<48)
		cbToRGB[i] = uint64((blue+bias)<<16 + (1<<15-22554*x)<<32)
	}
	for i := range int32(1024) {
		clampTable[i] = clamp(i - bias)
	}
}

// transformed reports whether the first three components are YCbCr, by libjpeg's rules.
func (d *decoder) transformed() bool {
	c := d.components
	switch len(c) {
	case 3:
		switch {
		case d.jfif:
			return true
		case d.adobe:
			return d.adobeTransform != 0
		default:
			return c[0].id != 'R' || c[1].id != 'G' || c[2].id != 'B'
		}
	case 4:
		return d.adobe && d.adobeTransform != 0
	}
	return false
}

// toRGB makes pixels of the samples -> [height, width, 3].
func (d *decoder) toRGB() []byte {
	w := d.width
	pix := make([]byte, w*d.height*3)
	first := d.newByteRows(0)
	if len(d.components) == 1 {
		for y := range d.height {
			out := pix[y*w*3:][:w*3]
			for x, v := range first.row(y)[:w] {
				*(*[3]byte)(out[3*x:]) = [3]byte{v, v, v}
			}
		}
		return pix
	}
	second, third := &d.components[1], &d.components[2]
	var pair, other *upsampler
	if second.h == third.h && second.v == third.v {
		pair = newUpsampler(&d.frame, second, third)
	} else {
		pair, other = newUpsampler(&d.frame, second), newUpsampler(&d.frame, third)
	}
	transformed := d.transformed()
	for y := range d.height {
		out := pix[y*w*3:][:w*3]
		rest := pair.row(y)[:w]
		if other != nil {
			merged := make([]uint32, w)
			for x, v := range other.row(y)[:w] {
				merged[x] = rest[x] | v<<16
			}
			rest = merged
		}
		if transformed {
			convertYCbCr(out, first.row(y)[:w], rest)
		} else {
			for x, v := range first.row(y)[:w] {
				*(*[3]byte)(out[3*x:]) = [3]byte{v, byte(rest[x]), byte(rest[x] >> 16)}
			}
		}
	}
	if len(d.components) == 4 {
		black := d.newByteRows(3)
		for y := range d.height {
			underBlack(pix[y*w*3:][:w*3], black.row(y)[:w], transformed)
		}
	}
	return pix
}

// byteRows are the rows of one component, which nearly always has the picture's resolution.
type byteRows struct {
	*component
	u   *upsampler // nil: it has
	buf []byte
}

func (d *decoder) newByteRows(i int) *byteRows {
	r := &byteRows{component: &d.components[i]}
	if r.h != d.hMax || r.v != d.vMax {
		r.u = newUpsampler(&d.frame, r.component)
		r.buf = make([]byte, len(r.u.interleaved))
	}
	return r
}

func (r *byteRows) row(y int) []byte {
	if r.u == nil {
		return r.samples[y*r.stride:][:r.stride]
	}
	for x, v := range r.u.row(y) {
		r.buf[x] = byte(v)
	}
	return r.buf
}

// convertYCbCr takes Cb and Cr packed as an upsampler gives them.
func convertYCbCr(out, luma []byte, chroma []uint32) {
	chroma = chroma[:len(luma)]
	x := 0
	if blocks := (len(luma) - 2) / 8; wide && blocks > 0 {
		_ = out[24*blocks+3]
		convertAVX2(&out[0], &luma[0], &chroma[0], blocks)
		x = 8 * blocks
	}
	for ; x+4 <= len(luma); x += 4 { // twelve bytes are two words
		y, c, o := luma[x:x+4:x+4], chroma[x:x+4:x+4], out[3*x:3*x+12:3*x+12]
		third := pixel(y[2], c[2])
		binary.LittleEndian.PutUint64(o, uint64(pixel(y[0], c[0]))|uint64(pixel(y[1], c[1]))<<24|uint64(third)<<48)
		binary.LittleEndian.PutUint32(o[8:], third>>16|pixel(y[3], c[3])<<8)
	}
	for ; x < len(luma); x++ {
		p := pixel(luma[x], chroma[x])
		*(*[3]byte)(out[3*x:]) = [3]byte{byte(p), byte(p >> 8), byte(p >> 16)}
	}
}

// pixel is red, green and blue, from the right.
func pixel(y byte, c uint32) uint32 {
	sum := uint64(y)*yToRGB + cbToRGB[c&255] + crToRGB[c>>16&255]
	return uint32(clampTable[sum&1023]) | uint32(clampTable[sum>>48&1023])<<8 | uint32(clampTable[sum>>16&1023])<<16
}

// underBlack turns inks into light. Files keep inks inverted, as Adobe does, and
// Pillow takes all files so; a YCCK file's YCbCr gives plain inks' complement.
func underBlack(out, black []byte, transformed bool) {
	for x, k := range black {
		rest := int32(k) // light that black ink lets through
		o := out[3*x : 3*x+3 : 3*x+3]
		for c, v := range o {
			if transformed {
				v = 255 - v
			}
			o[c] = scale(int32(v), rest)
		}
	}
}

// scale is Pillow's v*rest/255 of its conversion from CMYK.
func scale(v, rest int32) byte {
	t := (255-v)*rest + 128
	return clamp(rest - (t>>8+t)>>8)
}
