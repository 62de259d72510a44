package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// Colour types of PNG.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

// pngHeader is the IHDR chunk.
type pngHeader struct {
	width, height int
	depth, colour byte // bits a sample; colour type
	interlaced    bool
}

// samples is the number of samples of a pixel.
func (h *pngHeader) samples() int {
	return [7]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}[h.colour]
}

// rowBytes is the length of a row of so many pixels, without its filter byte.
func (h *pngHeader) rowBytes(width int) int { return (width*h.samples()*int(h.depth) + 7) / 8 }

// pngReader is the state of one file.
type pngReader struct {
	pngHeader
	palette      [256][3]byte // entries that the file lacks are black, as in Pillow
	paletteAlpha [256]byte
	havePalette  bool
	transparent  []byte   // tRNS, but for a palette's
	data         [][]byte // IDAT
}

// pngChunks walks over the chunks after the magic until visit returns false.
// The rest of the file may be missing once the walk is told that it may.
func pngChunks(data []byte, visit func(kind string, body []byte) (more bool, err error)) error {
	data = data[len(pngMagic):]
	for {
		if len(data) < 12 {
			return errTruncated
		}
		size := binary.BigEndian.Uint32(data)
		if uint64(size)+12 > uint64(len(data)) {
			return errTruncated
		}
		kind, body := string(data[4:8]), data[8:8+size]
		if crc32.ChecksumIEEE(data[4:8+size]) != binary.BigEndian.Uint32(data[8+size:]) {
			return fmt.Errorf("the checksum of chunk %q is wrong", kind)
		}
		more, err := visit(kind, body)
		if err != nil || !more {
			return err
		}
		data = data[12+size:]
	}
}

func readPNGHeader(kind string, body []byte) (h pngHeader, err error) {
	if kind != "IHDR" || len(body) != 13 {
		return h, errors.New("no IHDR chunk at the start")
	}
	width, height := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	h = pngHeader{width: int(width), height: int(height), depth: body[8], colour: body[9], interlaced: body[12] == 1}
	allowed := map[byte]string{
		pngGrey: "\x01\x02\x04\x08\x10", pngRGB: "\x08\x10", pngPalette: "\x01\x02\x04\x08",
		pngGreyAlpha: "\x08\x10", pngRGBA: "\x08\x10",
	}[h.colour]
	switch {
	case bytes.IndexByte([]byte(allowed), h.depth) < 0:
		return h, fmt.Errorf("colour type %d with %d bits", h.colour, h.depth)
	case body[10] != 0 || body[11] != 0 || body[12] > 1:
		return h, fmt.Errorf("unknown compression, filter or interlace method %d, %d, %d", body[10], body[11], body[12])
	}
	return h, nil
}

func pngSize(data []byte) (width, height int, err error) {
	err = pngChunks(data, func(kind string, body []byte) (bool, error) {
		h, err := readPNGHeader(kind, body)
		width, height = h.width, h.height
		return false, err
	})
	return width, height, err
}

func pngMetadata(data []byte) (m metadata) {
	_ = pngChunks(data, func(kind string, body []byte) (bool, error) {
		switch kind {
		case "eXIf":
			m.exif = body
		case "iTXt":
			if xmp, ok := bytes.CutPrefix(body, []byte("XML:com.adobe.xmp\x00\x00")); ok {
				m.xmp = xmp
			}
		}
		return kind != "IEND", nil
	})
	return m
}

func readPNG(data []byte, withAlpha bool) (*picture, error) {
	p := &pngReader{}
	for i := range p.paletteAlpha {
		p.paletteAlpha[i] = 255
	}
	first, transparentPalette := true, false
	err := pngChunks(data, func(kind string, body []byte) (bool, error) {
		if first {
			first = false
			var err error
			p.pngHeader, err = readPNGHeader(kind, body)
			return true, err
		}
		switch kind {
		case "PLTE":
			if len(body) > 3*256 {
				return false, fmt.Errorf("palette of %d bytes", len(body))
			}
			p.havePalette = true
			for i := range len(body) / 3 {
				p.palette[i] = [3]byte(body[3*i:])
			}
		case "tRNS":
			transparentPalette = p.colour == pngPalette
			if transparentPalette {
				copy(p.paletteAlpha[:], body)
				break
			}
			if p.colour <= pngRGB && len(body) < 2*p.samples() {
				return false, errors.New("tRNS chunk is cut")
			}
			p.transparent = body
		case "IDAT":
			p.data = append(p.data, body)
		default:
			if p.data != nil || kind == "IEND" {
				return false, nil // all of the picture is there
			}
		}
		return true, nil
	})
	// What may follow the picture may also be missing; the pixels will tell.
	if err != nil && (p.data == nil || !errors.Is(err, errTruncated)) {
		return nil, err
	}
	if p.colour == pngPalette && !p.havePalette {
		return nil, errors.New("no palette")
	}
	return p.pixels(withAlpha && (p.colour >= pngGreyAlpha || p.transparent != nil || transparentPalette))
}
