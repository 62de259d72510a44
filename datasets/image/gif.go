package image

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// gifFrame is the first frame of a GIF and the screen it is on.
type gifFrame struct {
	width, height         int // of the screen, or larger if the frame is
	left, top, wide, high int // of the frame
	interlaced            bool
	palette               [256][3]byte // entries that the file lacks are black, as in Pillow
	transparent           int          // index, or -1
	codeSize              int
	data                  []byte // what follows the frame's header
}

var le = binary.LittleEndian

// readGIFFrame reads up to the first frame's pixels.
func readGIFFrame(data []byte) (*gifFrame, error) {
	if len(data) < 13 {
		return nil, errTruncated
	}
	f := &gifFrame{width: int(le.Uint16(data[6:])), height: int(le.Uint16(data[8:])), transparent: -1}
	for i := range f.palette {
		f.palette[i] = [3]byte{byte(i), byte(i), byte(i)} // grey, where the file has no table
	}
	flags := data[10]
	data, err := f.readPalette(data[13:], flags)
	if err != nil {
		return nil, err
	}
	for {
		if len(data) < 1 {
			return nil, errTruncated
		}
		switch data[0] {
		case 0x21: // extension
			if len(data) < 2 {
				return nil, errTruncated
			}
			kind := data[1]
			body, rest, err := gifBlocks(data[2:])
			if err != nil {
				return nil, err
			}
			if kind == 0xf9 && len(body) >= 4 && body[0]&1 != 0 {
				f.transparent = int(body[3])
			}
			data = rest
		case 0x2c: // frame
			if len(data) < 11 {
				return nil, errTruncated
			}
			f.left, f.top = int(le.Uint16(data[1:])), int(le.Uint16(data[3:]))
			f.wide, f.high = int(le.Uint16(data[5:])), int(le.Uint16(data[7:]))
			f.width, f.height = max(f.width, f.left+f.wide), max(f.height, f.top+f.high)
			flags := data[9]
			f.interlaced = flags&0x40 != 0
			if data, err = f.readPalette(data[10:], flags); err != nil {
				return nil, err
			}
			if len(data) < 1 {
				return nil, errTruncated
			}
			f.codeSize, f.data = int(data[0]), data[1:]
			return f, nil
		case 0x3b:
			return nil, errors.New("no picture before the end")
		default:
			data = data[1:] // stray bytes, as Pillow passes over
		}
	}
}

// readPalette reads the colour table that flags announce.
func (f *gifFrame) readPalette(data []byte, flags byte) ([]byte, error) {
	if flags&0x80 == 0 {
		return data, nil
	}
	n := 2 << (flags & 7)
	if len(data) < 3*n {
		return nil, errTruncated
	}
	clear(f.palette[:])
	for i := range n {
		f.palette[i] = [3]byte(data[3*i:])
	}
	return data[3*n:], nil
}

// gifBlocks joins data blocks up to the empty one.
func gifBlocks(data []byte) (body, rest []byte, err error) {
	for {
		if len(data) < 1 || len(data) < 1+int(data[0]) {
			return body, nil, errTruncated
		}
		n := int(data[0])
		if n == 0 {
			return body, data[1:], nil
		}
		body = append(body, data[1:1+n]...)
		data = data[1+n:]
	}
}

func gifSize(data []byte) (width, height int, err error) {
	f, err := readGIFFrame(data)
	if err != nil {
		return 0, 0, err
	}
	return f.width, f.height, nil
}

// readGIF decodes the first frame. What it leaves of the screen is transparent,
// or the first colour if there is no transparency, as Pillow has it.
func readGIF(data []byte, withAlpha bool) (*picture, error) {
	f, err := readGIFFrame(data)
	if err != nil {
		return nil, err
	}
	if f.wide == 0 || f.high == 0 {
		return nil, fmt.Errorf("first frame of %dx%d pixels", f.wide, f.high)
	}
	if f.codeSize < 2 || f.codeSize > 8 {
		return nil, fmt.Errorf("codes of %d bits", f.codeSize)
	}
	// A code of a byte or more makes 4096 pixels at most.
	if f.wide*f.high/4096 > len(f.data) {
		return nil, fmt.Errorf("%d bytes are too few for %dx%d pixels: %w", len(f.data), f.wide, f.high, errTruncated)
	}
	coded, _, _ := gifBlocks(f.data) // what is cut is missed below
	indices := make([]byte, f.wide*f.high)
	reader := lzw.NewReader(bytes.NewReader(coded), lzw.LSB, f.codeSize)
	defer reader.Close()
	if _, err := io.ReadFull(reader, indices); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTruncated
		}
		return nil, err
	}
	out := newPicture(f.width, f.height)
	if withAlpha && f.transparent >= 0 {
		out.alpha = make([]byte, f.width*f.height)
	}
	f.fillBackground(out)
	for i, y := range f.rowOrder() {
		at := (f.top+y)*f.width + f.left
		rgb := out.Pix[3*at:]
		for x, index := range indices[i*f.wide:][:f.wide] {
			*(*[3]byte)(rgb[3*x:]) = f.palette[index]
			if out.alpha != nil && int(index) != f.transparent {
				out.alpha[at+x] = 255
			}
		}
	}
	return out, nil
}

// fillBackground is for frames smaller than the screen.
func (f *gifFrame) fillBackground(out *picture) {
	background := f.palette[max(f.transparent, 0)]
	if f.wide*f.high == f.width*f.height || background == [3]byte{} {
		return
	}
	for i := 0; i < len(out.Pix); i += 3 {
		*(*[3]byte)(out.Pix[i:]) = background
	}
}

// rowOrder is the order in which rows are stored.
func (f *gifFrame) rowOrder() []int {
	passes := [][2]int{{0, 1}} // first row, step
	if f.interlaced {
		passes = [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	rows := make([]int, 0, f.high)
	for _, p := range passes {
		for y := p[0]; y < f.high; y += p[1] {
			rows = append(rows, y)
		}
	}
	return rows
}
