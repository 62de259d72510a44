package image

import (
	"errors"
	"fmt"
	"slices"
)

// Compression methods of BMP.
const (
	bmpRaw    = 0
	bmpRLE8   = 1
	bmpRLE4   = 2
	bmpFields = 3
)

// bmpHeader is what precedes the pixels.
type bmpHeader struct {
	width, height int
	topDown       bool
	bits          int
	compression   uint32
	masks         [4]uint32 // red, green, blue, alpha
	palette       [256][3]byte
	offset        int // of the pixels
}

// readBMPHeader reads all but the pixels. Headers are of OS/2 (12 bytes) or of
// Windows (40 and more).
func readBMPHeader(data []byte) (*bmpHeader, error) {
	if len(data) < 18 {
		return nil, errTruncated
	}
	h := &bmpHeader{offset: int(le.Uint32(data[10:]))}
	size := int(le.Uint32(data[14:]))
	if !slices.Contains([]int{12, 40, 52, 56, 64, 108, 124}, size) {
		return nil, fmt.Errorf("header of %d bytes", size)
	}
	if len(data) < 14+size {
		return nil, errTruncated
	}
	info, rest := data[14:14+size], data[14+size:]
	colours, entry := 0, 4 // bytes of a palette entry
	if size == 12 {
		h.width, h.height, h.bits = int(le.Uint16(info[4:])), int(le.Uint16(info[6:])), int(le.Uint16(info[10:]))
		entry = 3
	} else {
		h.width, h.height = int(int32(le.Uint32(info[4:]))), int(int32(le.Uint32(info[8:])))
		if h.height < 0 {
			h.height, h.topDown = -h.height, true
		}
		h.bits, h.compression = int(le.Uint16(info[14:])), le.Uint32(info[16:])
		if c := le.Uint32(info[32:]); c <= 1<<16 {
			colours = int(c)
		} else {
			return nil, fmt.Errorf("palette of %d colours", c)
		}
	}
	if h.compression == bmpFields {
		fields := rest
		if size >= 52 {
			fields = info[40:]
		}
		if len(fields) < 12 {
			return nil, errTruncated
		}
		for i := range 3 {
			h.masks[i] = le.Uint32(fields[4*i:])
		}
		if size >= 56 {
			h.masks[3] = le.Uint32(fields[12:])
		}
	}
	switch {
	case h.bits == 1 || h.bits == 4 || h.bits == 8:
		if colours == 0 {
			colours = 1 << h.bits
		}
		for i := range min(colours, 256, len(rest)/entry) {
			e := rest[i*entry:]
			h.palette[i] = [3]byte{e[2], e[1], e[0]}
		}
		if h.offset == 14+size { // some writers forget the palette
			h.offset += entry * colours
		}
	case h.bits != 16 && h.bits != 24 && h.bits != 32:
		return nil, fmt.Errorf("%d bits a pixel", h.bits)
	}
	return h, h.check()
}

// check refuses combinations that there are none of, or that Pillow does not know either.
func (h *bmpHeader) check() error {
	switch {
	case h.compression == bmpRaw,
		h.compression == bmpRLE8 && h.bits == 8,
		h.compression == bmpRLE4 && h.bits == 4:
		return nil
	case h.compression == bmpFields && h.bits >= 16:
		if _, ok := bmpLayouts[bmpLayout{h.bits, h.masks}]; ok {
			return nil
		}
		return fmt.Errorf("masks %x of %d bits", h.masks, h.bits)
	}
	return fmt.Errorf("compression %d with %d bits a pixel", h.compression, h.bits)
}

func bmpSize(data []byte) (width, height int, err error) {
	h, err := readBMPHeader(data)
	if err != nil {
		return 0, 0, err
	}
	return h.width, h.height, nil
}

// bmpLayout is a pixel of 16 to 32 bits.
type bmpLayout struct {
	bits  int
	masks [4]uint32
}

// bmpLayouts are the layouts that are in use, by the byte of red, green, blue
// and alpha (-1: none); 16-bit pixels have their own way.
var bmpLayouts = map[bmpLayout][4]int{
	{32, [4]uint32{0xff0000, 0xff00, 0xff, 0}}:          {2, 1, 0, -1},
	{32, [4]uint32{0xff000000, 0xff0000, 0xff00, 0}}:    {3, 2, 1, -1},
	{32, [4]uint32{0xff000000, 0xff00, 0xff, 0}}:        {3, 1, 0, -1},
	{32, [4]uint32{0xff000000, 0xff0000, 0xff00, 0xff}}: {3, 2, 1, 0},
	{32, [4]uint32{0xff, 0xff00, 0xff0000, 0xff000000}}: {0, 1, 2, 3},
	{32, [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}}: {2, 1, 0, 3},
	{32, [4]uint32{0xff000000, 0xff00, 0xff, 0xff0000}}: {3, 1, 0, 2},
	{32, [4]uint32{}}:                          {2, 1, 0, 3},
	{24, [4]uint32{0xff0000, 0xff00, 0xff, 0}}: {2, 1, 0, -1},
	{16, [4]uint32{0xf800, 0x7e0, 0x1f, 0}}:    {},
	{16, [4]uint32{0x7c00, 0x3e0, 0x1f, 0}}:    {},
}

func readBMP(data []byte, withAlpha bool) (*picture, error) {
	h, err := readBMPHeader(data)
	if err != nil {
		return nil, err
	}
	if h.offset > len(data) {
		return nil, errTruncated
	}
	data = data[h.offset:]
	stride := (h.width*h.bits + 31) / 32 * 4
	if h.compression == bmpRLE8 || h.compression == bmpRLE4 {
		if data, err = h.inflateRuns(data); err != nil {
			return nil, err
		}
		h.bits, stride = 8, h.width
	}
	if len(data) < stride*h.height-(stride-(h.width*h.bits+7)/8) { // the last row may lack its padding
		return nil, errTruncated
	}
	layout, place := bmpLayout{h.bits, h.masks}, [4]int{2, 1, 0, -1}
	if h.compression == bmpFields {
		place = bmpLayouts[layout]
	}
	out := newPicture(h.width, h.height)
	if withAlpha && h.bits == 32 && place[3] >= 0 {
		out.alpha = make([]byte, h.width*h.height)
	}
	for y := range h.height {
		at := h.height - 1 - y
		if h.topDown {
			at = y
		}
		row, rgb := data[y*stride:], out.Pix[at*h.width*3:][:h.width*3]
		switch h.bits {
		case 16:
			unpackBMP16(row, rgb, h.compression == bmpFields && h.masks[0] == 0xf800)
		case 24, 32:
			step := h.bits / 8
			for x := range h.width {
				pixel := row[x*step : x*step+step]
				*(*[3]byte)(rgb[3*x:]) = [3]byte{pixel[place[0]], pixel[place[1]], pixel[place[2]]}
				if out.alpha != nil {
					out.alpha[at*h.width+x] = pixel[place[3]]
				}
			}
		default:
			for x := range h.width {
				bit := x * h.bits
				index := row[bit/8] >> (8 - h.bits - bit%8) & (1<<h.bits - 1)
				*(*[3]byte)(rgb[3*x:]) = h.palette[index]
			}
		}
	}
	return out, nil
}

// unpackBMP16 unpacks 5 bits a colour, or 5-6-5.
func unpackBMP16(row, rgb []byte, six bool) {
	for x := range len(rgb) / 3 {
		v := int(le.Uint16(row[2*x:]))
		red, green, most := v>>10&31, v>>5&31, 31
		if six {
			red, green, most = v>>11&31, v>>5&63, 63
		}
		*(*[3]byte)(rgb[3*x:]) = [3]byte{byte(red * 255 / 31), byte(green * 255 / most), byte(v & 31 * 255 / 31)}
	}
}

var errRuns = errors.New("runs are damaged")

// inflateRuns gives a byte a pixel. Pixels that are skipped are 0, and what an
// early end leaves out is missing, as in Pillow.
func (h *bmpHeader) inflateRuns(data []byte) ([]byte, error) {
	total := h.width * h.height
	if total/(127*h.width) > len(data) { // two bytes make 255 pixels, or skip 255 rows
		return nil, errTruncated
	}
	four := h.compression == bmpRLE4
	out := make([]byte, 0, total)
	read, x := 0, 0
	for len(out) < total {
		if read+2 > len(data) {
			return nil, errTruncated
		}
		count, value := int(data[read]), data[read+1]
		read += 2
		if count > 0 { // a run
			count = min(count, max(0, h.width-x), total-len(out))
			for i := range count {
				switch {
				case !four:
					out = append(out, value)
				case i%2 == 0:
					out = append(out, value>>4)
				default:
					out = append(out, value&15)
				}
			}
			x += count
			continue
		}
		switch value {
		case 0: // end of row
			for len(out)%h.width != 0 {
				out = append(out, 0)
			}
			x = 0
		case 1: // end of picture
			return nil, errTruncated
		case 2: // skip
			if read+2 > len(data) {
				return nil, errTruncated
			}
			skip := min(int(data[read])+int(data[read+1])*h.width, total-len(out))
			read += 2
			out = append(out, make([]byte, skip)...)
			x = len(out) % h.width
		default: // pixels as they are
			count := min(int(value), total-len(out))
			size := count
			if four {
				size = (count + 1) / 2
			}
			if read+size > len(data) {
				return nil, errTruncated
			}
			for i := range count {
				switch {
				case !four:
					out = append(out, data[read+i])
				case i%2 == 0:
					out = append(out, data[read+i/2]>>4)
				default:
					out = append(out, data[read+i/2]&15)
				}
			}
			read += size
			x += int(value)
			read += (h.offset + read) % 2 // to a word's border in the file
		}
	}
	if len(out) != total {
		return nil, errRuns
	}
	return out, nil
}
