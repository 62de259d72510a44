package image

import (
	"errors"
	"fmt"
	"slices"
)

// pngPass is one of Adam7's seven sub-pictures, or the whole picture.
type pngPass struct{ x, y, dx, dy int }

var adam7 = []pngPass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// size is the number of pixels and rows that a pass has of a picture.
func (s pngPass) size(width, height int) (w, h int) {
	return (width - s.x + s.dx - 1) / s.dx, (height - s.y + s.dy - 1) / s.dy
}

// pixels inflates, unfilters and unpacks the picture.
func (p *pngReader) pixels(withAlpha bool) (*picture, error) {
	passes := []pngPass{{0, 0, 1, 1}}
	if p.interlaced {
		passes = adam7
	}
	total := 0
	for _, s := range passes {
		if w, h := s.size(p.width, p.height); w > 0 && h > 0 {
			total += h * (1 + p.rowBytes(w))
		}
	}
	// Deflate makes at most 258 bytes of two bits, so a short file cannot be a large picture.
	data := slices.Concat(p.data...)
	if total/1032 > len(data) {
		return nil, fmt.Errorf("%d bytes are too few for %dx%d pixels: %w", len(data), p.width, p.height, errTruncated)
	}
	raw := make([]byte, total)
	if err := inflateZlib(data, raw); err != nil {
		return nil, err
	}
	out := newPicture(p.width, p.height)
	if withAlpha {
		out.alpha = make([]byte, p.width*p.height)
	}
	u := pngUnpacker{pngReader: p}
	for _, s := range passes {
		w, h := s.size(p.width, p.height)
		if w <= 0 || h <= 0 {
			continue
		}
		length := p.rowBytes(w)
		before := make([]byte, length) // the row above the first is zero
		for y := range h {
			row := raw[1 : 1+length]
			if err := unfilter(raw[0], row, before, max(1, p.samples()*int(p.depth)/8)); err != nil {
				return nil, err
			}
			raw, before = raw[1+length:], row
			at := (s.y+y*s.dy)*p.width + s.x
			if s.dx == 1 {
				var alpha []byte
				if withAlpha {
					alpha = out.alpha[at:][:w]
				}
				u.unpack(row, out.Pix[3*at:][:3*w], alpha)
				continue
			}
			u.scatter(row, out, at, s.dx, w)
		}
	}
	return out, nil
}

var errFilter = errors.New("unknown row filter")

// unfilter undoes a row's filter in place; bpp is the distance of the pixel before in bytes.
func unfilter(filter byte, row, above []byte, bpp int) error {
	above = above[:len(row)]
	switch filter {
	case 0:
	case 1: // minus the pixel before
		for i := bpp; i < len(row); i++ {
			row[i] += row[i-bpp]
		}
	case 2: // minus the pixel above
		for i, v := range above {
			row[i] += v
		}
	case 3: // minus their average
		for i := range min(bpp, len(row)) {
			row[i] += above[i] / 2
		}
		for i := bpp; i < len(row); i++ {
			row[i] += byte((int(row[i-bpp]) + int(above[i])) / 2)
		}
	case 4: // minus Paeth's choice among three neighbours
		unfilterPaeth(row, above, bpp)
	default:
		return errFilter
	}
	return nil
}

func unfilterPaeth(row, above []byte, bpp int) {
	for channel := range min(bpp, len(row)) {
		a, c := 0, 0 // before; above the one before
		for i := channel; i < len(row); i += bpp {
			b := int(above[i])
			pa, pb := b-c, a-c
			pc := pa + pb
			pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
			if pb < pa {
				a, pa = b, pb
			}
			if pc < pa {
				a = c
			}
			a = (a + int(row[i])) & 255
			row[i] = byte(a)
			c = b
		}
	}
}

// pngUnpacker turns rows into pixels, as Pillow's modes and convert("RGB") do.
type pngUnpacker struct {
	*pngReader
	wide []byte // a row's samples, a byte each
	rgb  []byte // of a pass's row
	a    []byte
}

// scatter unpacks a row whose pixels lie dx apart, the first at index at.
func (u *pngUnpacker) scatter(row []byte, out *picture, at, dx, w int) {
	if cap(u.rgb) < 3*w {
		u.rgb, u.a = make([]byte, 3*w), make([]byte, w)
	}
	var alpha []byte
	if out.alpha != nil {
		alpha = u.a[:w]
	}
	u.unpack(row, u.rgb[:3*w], alpha)
	for x := range w {
		copy(out.Pix[3*(at+x*dx):][:3], u.rgb[3*x:][:3])
		if alpha != nil {
			out.alpha[at+x*dx] = alpha[x]
		}
	}
}

// unpack writes a row's colours, and its alpha unless that is nil.
func (u *pngUnpacker) unpack(row, rgb, alpha []byte) {
	step := int(u.depth) / 8 // of 16-bit samples, but for grey ones, the high byte counts
	n := len(rgb) / 3
	switch u.colour {
	case pngPalette:
		for x, index := range u.samplesOf(row, n) {
			*(*[3]byte)(rgb[3*x:]) = u.palette[index]
			if alpha != nil {
				alpha[x] = u.paletteAlpha[index]
			}
		}
		return
	case pngGrey:
		u.unpackGrey(row, rgb)
	case pngRGB:
		if step == 1 {
			copy(rgb, row)
			break
		}
		for i := range rgb {
			rgb[i] = row[2*i]
		}
	case pngGreyAlpha:
		for x := range n {
			v := row[2*step*x]
			*(*[3]byte)(rgb[3*x:]) = [3]byte{v, v, v}
			if alpha != nil {
				alpha[x] = row[2*step*x+step]
			}
		}
		return
	case pngRGBA:
		for x := range n {
			pixel := row[4*step*x : 4*step*x+4*step]
			*(*[3]byte)(rgb[3*x:]) = [3]byte{pixel[0], pixel[step], pixel[2*step]}
			if alpha != nil {
				alpha[x] = pixel[3*step]
			}
		}
		return
	}
	if alpha != nil {
		u.transparentColour(rgb, alpha)
	}
}

// samplesOf gives a row's samples of at most 8 bits, a byte each.
func (u *pngUnpacker) samplesOf(row []byte, n int) []byte {
	if u.depth == 8 {
		return row
	}
	if cap(u.wide) < n {
		u.wide = make([]byte, n)
	}
	wide, depth := u.wide[:n], int(u.depth)
	for x := range wide {
		bit := x * depth
		wide[x] = row[bit/8] >> (8 - depth - bit%8) & (1<<depth - 1)
	}
	return wide
}

func (u *pngUnpacker) unpackGrey(row, rgb []byte) {
	if u.depth == 16 {
		// Pillow's mode I;16 becomes RGB by cutting values off at 255.
		for x := range len(rgb) / 3 {
			v := row[2*x+1]
			if row[2*x] > 0 {
				v = 255
			}
			*(*[3]byte)(rgb[3*x:]) = [3]byte{v, v, v}
		}
		return
	}
	scale := byte(255 / (1<<u.depth - 1))
	for x, v := range u.samplesOf(row, len(rgb)/3) {
		v *= scale
		*(*[3]byte)(rgb[3*x:]) = [3]byte{v, v, v}
	}
}

// transparentColour makes pixels of the tRNS chunk's colour transparent. As in
// Pillow, pixels of 8 bits are compared with the low bytes of that colour,
// whatever the depth of the file.
func (u *pngUnpacker) transparentColour(rgb, alpha []byte) {
	var key [3]byte
	switch {
	case u.colour == pngRGB:
		key = [3]byte{u.transparent[1], u.transparent[3], u.transparent[5]}
	case u.depth == 1 && u.transparent[0]|u.transparent[1] != 0:
		key = [3]byte{255, 255, 255}
	default:
		v := u.transparent[1]
		key = [3]byte{v, v, v}
	}
	for x := range alpha {
		alpha[x] = 255
		if [3]byte(rgb[3*x:]) == key {
			alpha[x] = 0
		}
	}
}
