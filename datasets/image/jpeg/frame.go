package jpeg

import (
	"bytes"
	"errors"
	"fmt"
)

// frame is what the frame header says.
type frame struct {
	width, height int
	progressive   bool
	components    []component
	hMax, vMax    int // the largest sampling factors
	mcusWide      int
	mcusHigh      int

	// direct: the one scan has all components, so blocks become samples as they
	// are read and no coefficients are kept.
	direct bool
	planes []byte // the samples of all components
}

// component is one colour plane.
type component struct {
	id         byte
	h, v       int // sampling factors
	quantIndex byte

	width, height          int // samples that belong to the picture
	blocksWide, blocksHigh int // with those that fill up the last MCUs
	stride                 int
	samples                []byte  // [8*blocksHigh, stride]
	coefficients           []int16 // [blocksHigh, blocksWide, 64]; nil if direct

	quant  *[64]uint16 // as it was at the component's first scan
	dc, ac *huffman    // of the current scan
	predDC int32
}

// segment reads one segment that is not a scan.
func (d *decoder) segment(marker byte) error {
	if marker == 0x01 || marker == soi { // without a body
		return nil
	}
	body, err := d.body()
	if err != nil {
		return err
	}
	switch marker {
	case sof0, sof1, sof2:
		d.progressive = marker == sof2
		return d.readFrame(body)
	case dht:
		return d.readHuffman(body)
	case dqt:
		return d.readQuant(body)
	case dri:
		if len(body) != 2 {
			return errors.New("restart interval of a wrong length")
		}
		d.interval = int(body[0])<<8 | int(body[1])
	case app0:
		d.jfif = d.jfif || bytes.HasPrefix(body, []byte("JFIF\x00"))
	case appE:
		if bytes.HasPrefix(body, []byte("Adobe")) && len(body) >= 12 {
			d.adobe, d.adobeTransform = true, body[11]
		}
	case dnl:
		return errors.New("number of lines after the picture (DNL) is not supported")
	case 0xc3, 0xc7, 0xcb, 0xcf:
		return errors.New("lossless JPEG is not supported")
	case 0xc5, 0xc6, 0xcd, 0xce, 0xde:
		return errors.New("hierarchical JPEG is not supported")
	case 0xc9, 0xca, 0xcc:
		return errors.New("arithmetic coding is not supported")
	}
	return nil
}

func (d *decoder) readFrame(body []byte) error {
	if d.components != nil {
		return errors.New("two frame headers")
	}
	if len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return errors.New("frame header of a wrong length")
	}
	if body[0] != 8 {
		return fmt.Errorf("%d bits a sample are not supported", body[0])
	}
	d.height, d.width = int(body[1])<<8|int(body[2]), int(body[3])<<8|int(body[4])
	if d.width == 0 || d.height == 0 {
		return fmt.Errorf("size %dx%d", d.width, d.height)
	}
	n := int(body[5])
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("%d colour components", n)
	}
	components := make([]component, n)
	d.hMax, d.vMax = 1, 1
	for i := range components {
		c, spec := &components[i], body[6+3*i:]
		c.id, c.h, c.v, c.quantIndex = spec[0], int(spec[1]>>4), int(spec[1]&15), spec[2]
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("component %d: sampling factors %dx%d", c.id, c.h, c.v)
		}
		if c.quantIndex > 3 {
			return fmt.Errorf("component %d: quantization table %d", c.id, c.quantIndex)
		}
		for _, other := range components[:i] {
			if other.id == c.id {
				return fmt.Errorf("two components %d", c.id)
			}
		}
		if n == 1 {
			c.h, c.v = 1, 1 // a factor is relative to the other components
		}
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
	}
	d.mcusWide, d.mcusHigh = ceilDiv(d.width, 8*d.hMax), ceilDiv(d.height, 8*d.vMax)
	for i := range components {
		c := &components[i]
		if d.hMax%c.h != 0 || d.vMax%c.v != 0 {
			return fmt.Errorf("component %d: sampling factors %dx%d of %dx%d are not supported", c.id, c.h, c.v, d.hMax, d.vMax)
		}
		c.width, c.height = ceilDiv(d.width*c.h, d.hMax), ceilDiv(d.height*c.v, d.vMax)
		c.blocksWide, c.blocksHigh = d.mcusWide*c.h, d.mcusHigh*c.v
		c.stride = 8 * c.blocksWide
	}
	d.components = components
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// blocks is the number of blocks of the picture's own samples.
func (f *frame) blocks() int {
	n := 0
	for _, c := range f.components {
		n += ceilDiv(c.width, 8) * ceilDiv(c.height, 8)
	}
	return n
}

func (d *decoder) readQuant(body []byte) error {
	for len(body) > 0 {
		wide, index := body[0]>>4, body[0]&15
		if wide > 1 || index > 3 {
			return fmt.Errorf("quantization table %d of precision %d", index, wide)
		}
		size := 64 << wide
		if len(body) < 1+size {
			return errors.New("quantization table is cut")
		}
		table := new([64]uint16)
		for k, at := range zigzag {
			if wide == 0 {
				table[at] = uint16(body[1+k])
			} else {
				table[at] = uint16(body[1+2*k])<<8 | uint16(body[2+2*k])
			}
		}
		d.quant[index] = table
		body = body[1+size:]
	}
	return nil
}

// zigzag is the place of the k-th coefficient in the block.
var zigzag = [64]byte{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}
