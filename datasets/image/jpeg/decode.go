// Package jpeg decodes JPEG files to the same bytes as libjpeg-turbo, whose
// pixels the published models were trained on. The standard library's decoder
// differs in the inverse DCT, repeats colour samples where libjpeg interpolates
// them, and takes three times as long.
//
// Reading order: decode.go is the whole way from file to RGB, frame.go reads
// the headers, huffman.go the bits, scan.go and progressive.go the coefficients;
// idct.go, upsample.go and colour.go make pixels of them, with vector instructions where
// the processor has AVX2 (wide_amd64.go).
//
// Baseline, extended and progressive files with Huffman coding and 8 bits a
// sample are read: grey, RGB, YCbCr, CMYK and YCCK at any sampling factors that
// divide each other. Damaged files are refused where libjpeg would paint grey.
package jpeg

import (
	"errors"
	"fmt"
)

// Marker codes (ITU T.81, table B.1), the byte after 0xff.
const (
	sof0 = 0xc0 // baseline
	sof1 = 0xc1 // extended sequential
	sof2 = 0xc2 // progressive
	dht  = 0xc4
	rst0 = 0xd0
	rst7 = 0xd7
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda
	dqt  = 0xdb
	dnl  = 0xdc
	dri  = 0xdd
	app0 = 0xe0 // JFIF
	appE = 0xee // Adobe
)

var errTruncated = errors.New("the file ends too early")

// maxScans bounds the work that a small file can ask for; encoders write about ten.
const maxScans = 256

// decoder is the state of one file.
type decoder struct {
	data []byte
	pos  int

	frame
	quant    [4]*[64]uint16 // natural order; nil: not defined
	dc, ac   [4]*huffman
	interval int // MCUs between restart markers; 0: none

	jfif           bool
	adobe          bool
	adobeTransform byte

	bits     bitReader
	unescape []byte // scratch of one restart interval
	eobRun   int    // progressive: blocks that the current band leaves out
}

// Size reads width and height from the headers.
func Size(data []byte) (width, height int, err error) {
	d := &decoder{data: data}
	if err := d.headers(); err != nil {
		return 0, 0, err
	}
	return d.width, d.height, nil
}

// Decode returns packed RGB bytes [height, width, 3]. Ask Size first: this
// allocates what the headers promise.
func Decode(data []byte) (pix []byte, width, height int, err error) {
	d := &decoder{data: data}
	if err := d.headers(); err != nil {
		return nil, 0, 0, err
	}
	// Every block takes a bit at least, so a short file cannot be a large picture.
	if blocks := d.blocks(); blocks/8 > len(data) {
		return nil, 0, 0, fmt.Errorf("%d bytes are too few for %dx%d pixels: %w", len(data), d.width, d.height, errTruncated)
	}
	defer d.release()
	if err := d.scans(); err != nil {
		return nil, 0, 0, err
	}
	return d.toRGB(), d.width, d.height, nil
}

// headers reads all up to the first scan.
func (d *decoder) headers() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != soi {
		return errors.New("not a JPEG file")
	}
	d.pos = 2
	for {
		marker, err := d.nextMarker()
		if err != nil {
			return err
		}
		switch marker {
		case sos:
			if d.components == nil {
				return errors.New("scan before the frame header")
			}
			return nil
		case eoi:
			return errors.New("no picture before the end marker")
		}
		if err := d.segment(marker); err != nil {
			return err
		}
	}
}

// scans reads the scans and what stands between them; the first one's marker has been read.
func (d *decoder) scans() error {
	for n := 1; ; n++ {
		if n > maxScans {
			return fmt.Errorf("more than %d scans", maxScans)
		}
		if err := d.scan(); err != nil {
			return err
		}
		if d.direct {
			return nil // one scan holds all there is
		}
		for {
			marker, err := d.nextMarker()
			if err != nil {
				return err
			}
			if marker == eoi {
				return d.finish()
			}
			if marker == sos {
				break
			}
			if err := d.segment(marker); err != nil {
				return err
			}
		}
	}
}

// finish turns stored coefficients into samples.
func (d *decoder) finish() error {
	for i := range d.components {
		c := &d.components[i]
		if c.quant == nil {
			return fmt.Errorf("no scan has component %d", c.id)
		}
		var block [64]int32
		for by := range c.blocksHigh {
			for bx := range c.blocksWide {
				coefficients := c.coefficients[(by*c.blocksWide+bx)*64:][:64]
				for k, v := range coefficients {
					block[k] = int32(v) * int32(c.quant[k])
				}
				inverseDCT(&block, c.samples[by*8*c.stride+bx*8:], c.stride)
			}
		}
		c.coefficients = nil
	}
	return nil
}

// nextMarker skips to the next marker and past it; stray bytes are passed over, as libjpeg does.
func (d *decoder) nextMarker() (byte, error) {
	for d.pos+1 < len(d.data) {
		if d.data[d.pos] != 0xff {
			d.pos++
			continue
		}
		marker := d.data[d.pos+1]
		if marker == 0xff { // fill byte
			d.pos++
			continue
		}
		d.pos += 2
		if marker != 0 && (marker < rst0 || marker > rst7) {
			return marker, nil
		}
	}
	return 0, errTruncated
}

// body returns the content of the segment that starts here and steps over it.
func (d *decoder) body() ([]byte, error) {
	if d.pos+2 > len(d.data) {
		return nil, errTruncated
	}
	size := int(d.data[d.pos])<<8 | int(d.data[d.pos+1])
	if size < 2 {
		return nil, fmt.Errorf("segment of length %d", size)
	}
	if d.pos+size > len(d.data) {
		return nil, errTruncated
	}
	body := d.data[d.pos+2 : d.pos+size]
	d.pos += size
	return body, nil
}
