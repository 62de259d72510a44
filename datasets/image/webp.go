package image

import (
	"bytes"
	"errors"
	"fmt"
	stdimage "image"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

// webpFrame is the first frame of a WebP file.
type webpFrame struct {
	width, height int  // of the canvas
	left, top     int  // of the frame
	transparent   bool // the file says that it has alpha

	alpha []byte // ALPH chunk, or nil
	lossy []byte // VP8 chunk, or nil
	exact []byte // VP8L chunk, or nil

	metadata
}

// webpChunks walks over chunks.
func webpChunks(data []byte, visit func(kind string, body []byte) error) error {
	for len(data) >= 8 {
		kind, size := string(data[:4]), int(le.Uint32(data[4:]))
		data = data[8:]
		if size > len(data) {
			return errTruncated
		}
		if err := visit(kind, data[:size]); err != nil {
			return err
		}
		data = data[min(size+size&1, len(data)):]
	}
	return nil
}

// readWebPFrame reads the chunks.
func readWebPFrame(data []byte) (*webpFrame, error) {
	f := &webpFrame{}
	extended, animated, seen := false, false, false
	pixels := func(kind string, body []byte) error {
		switch {
		case f.lossy != nil || f.exact != nil: // the first frame is whole
		case kind == "ALPH":
			f.alpha = body
		case kind == "VP8 ":
			f.lossy = body
		case kind == "VP8L":
			f.exact = body
		}
		return nil
	}
	err := webpChunks(data[12:], func(kind string, body []byte) error {
		switch kind {
		case "VP8X":
			if len(body) < 10 {
				return errTruncated
			}
			extended = true
			f.transparent, animated = body[0]&0x10 != 0, body[0]&2 != 0
			f.width, f.height = 1+uint24(body[4:]), 1+uint24(body[7:])
		case "ANMF":
			if len(body) < 16 {
				return errTruncated
			}
			if animated && !seen {
				seen = true
				f.left, f.top = 2*uint24(body), 2*uint24(body[3:])
				return webpChunks(body[16:], pixels)
			}
		case "EXIF":
			f.exif = bytes.TrimPrefix(body, []byte("Exif\x00\x00"))
		case "XMP ":
			f.xmp = body
		default:
			if !animated {
				return pixels(kind, body)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	w, h, transparent, err := f.frameHeader()
	if !animated { // an animation's canvas decides
		f.transparent = f.transparent || transparent
	}
	switch {
	case err != nil:
		return nil, err
	case !extended:
		f.width, f.height = w, h
	case !animated && (w != f.width || h != f.height),
		f.left+w > f.width, f.top+h > f.height:
		return nil, fmt.Errorf("frame of %dx%d pixels on a canvas of %dx%d", w, h, f.width, f.height)
	}
	return f, nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// frameHeader reads the frame's own header.
func (f *webpFrame) frameHeader() (width, height int, transparent bool, err error) {
	switch {
	case f.lossy != nil:
		b := f.lossy
		if len(b) < 10 {
			return 0, 0, false, errTruncated
		}
		if b[0]&1 != 0 || b[3] != 0x9d || b[4] != 1 || b[5] != 0x2a {
			return 0, 0, false, errors.New("no key frame")
		}
		width, height = int(le.Uint16(b[6:]))&0x3fff, int(le.Uint16(b[8:]))&0x3fff
		if width == 0 || height == 0 {
			return 0, 0, false, fmt.Errorf("frame of %dx%d pixels", width, height)
		}
		transparent = f.alpha != nil
	case f.exact != nil:
		b := f.exact
		if len(b) < 5 {
			return 0, 0, false, errTruncated
		}
		if b[0] != 0x2f {
			return 0, 0, false, errors.New("no lossless frame")
		}
		v := le.Uint32(b[1:])
		width, height = int(v&0x3fff)+1, int(v>>14&0x3fff)+1
		transparent = v>>28&1 != 0
	default:
		return 0, 0, false, errTruncated
	}
	return width, height, transparent, nil
}

func webpSize(data []byte) (width, height int, err error) {
	f, err := readWebPFrame(data)
	if err != nil {
		return 0, 0, err
	}
	return f.width, f.height, nil
}

func webpMetadata(data []byte) metadata {
	f, err := readWebPFrame(data)
	if err != nil {
		return metadata{}
	}
	return f.metadata
}

// readWebP decodes the first frame; what an animation's frame leaves of the
// canvas is transparent black.
func readWebP(data []byte, withAlpha bool) (*picture, error) {
	f, err := readWebPFrame(data)
	if err != nil {
		return nil, err
	}
	withAlpha = withAlpha && f.transparent
	var frame *picture
	if f.lossy != nil {
		frame, err = f.decodeLossy(withAlpha)
	} else {
		frame, err = f.decodeLossless(withAlpha)
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTruncated
		}
		return nil, err
	}
	if frame.Width == f.width && frame.Height == f.height {
		return frame, nil
	}
	out := newPicture(f.width, f.height)
	if withAlpha {
		out.alpha = make([]byte, f.width*f.height)
	}
	for y := range frame.Height {
		at := (f.top+y)*f.width + f.left
		copy(out.Pix[3*at:], frame.Pix[3*y*frame.Width:][:3*frame.Width])
		if withAlpha {
			copy(out.alpha[at:], frame.alpha[y*frame.Width:][:frame.Width])
		}
	}
	return out, nil
}

func (f *webpFrame) decodeLossy(withAlpha bool) (*picture, error) {
	width, height, _, err := f.frameHeader()
	if err != nil {
		return nil, err
	}
	// The prediction modes of 16 x 16 pixels take more than a bit, whatever they are.
	if blocks := ((width + 15) / 16) * ((height + 15) / 16); blocks/8 > len(f.lossy) {
		return nil, fmt.Errorf("%d bytes are too few for %dx%d pixels: %w", len(f.lossy), width, height, errTruncated)
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(f.lossy), len(f.lossy))
	if _, err := d.DecodeFrameHeader(); err != nil {
		return nil, err
	}
	planes, err := d.DecodeFrame()
	if err != nil {
		return nil, err
	}
	out := webpToRGB(planes)
	if withAlpha {
		out.alpha, err = f.decodeAlpha(out.Width, out.Height)
	}
	return out, err
}

func (f *webpFrame) decodeLossless(withAlpha bool) (*picture, error) {
	img, err := decodeVP8L(bytes.NewReader(f.exact))
	if err != nil {
		return nil, err
	}
	out := newPicture(img.Rect.Dx(), img.Rect.Dy())
	for i := range out.Width * out.Height {
		copy(out.Pix[3*i:3*i+3], img.Pix[4*i:])
	}
	if withAlpha {
		out.alpha = make([]byte, out.Width*out.Height)
		for i := range out.alpha {
			out.alpha[i] = img.Pix[4*i+3]
		}
	}
	return out, nil
}

func decodeVP8L(r io.Reader) (*stdimage.NRGBA, error) {
	img, err := vp8l.Decode(r)
	if err != nil {
		return nil, err
	}
	nrgba, ok := img.(*stdimage.NRGBA)
	if !ok || nrgba.Stride != 4*nrgba.Rect.Dx() {
		return nil, errors.New("unexpected layout of a lossless frame")
	}
	return nrgba, nil
}

// decodeAlpha reads the alpha plane that goes with a lossy frame: raw, or the
// green of a lossless picture without its header, and predicted row by row.
func (f *webpFrame) decodeAlpha(width, height int) ([]byte, error) {
	alpha := make([]byte, width*height)
	if f.alpha == nil { // the file says alpha and this frame has none
		for i := range alpha {
			alpha[i] = 255
		}
		return alpha, nil
	}
	if len(f.alpha) < 1 {
		return nil, errTruncated
	}
	method, data := f.alpha[0], f.alpha[1:]
	switch method & 3 {
	case 0:
		if len(data) < len(alpha) {
			return nil, errTruncated
		}
		copy(alpha, data)
	case 1:
		w, h := uint32(width-1), uint32(height-1)
		header := le.AppendUint32([]byte{0x2f}, w|h<<14)
		img, err := decodeVP8L(io.MultiReader(bytes.NewReader(header), bytes.NewReader(data)))
		if err != nil {
			return nil, err
		}
		for i := range alpha {
			alpha[i] = img.Pix[4*i+1]
		}
	default:
		return nil, fmt.Errorf("alpha of compression %d", method&3)
	}
	unfilterAlpha(alpha, width, method>>2&3)
	return alpha, nil
}

// unfilterAlpha adds each value's prediction: the one to the left, the one above, or both less the corner.
func unfilterAlpha(alpha []byte, width int, filter byte) {
	if filter == 0 {
		return
	}
	for i := range alpha {
		x := i % width
		switch {
		case i == 0:
		case i < width: // first row: from the left
			alpha[i] += alpha[i-1]
		case x == 0 || filter == 2:
			alpha[i] += alpha[i-width]
		case filter == 1:
			alpha[i] += alpha[i-1]
		default:
			sum := int(alpha[i-1]) + int(alpha[i-width]) - int(alpha[i-width-1])
			alpha[i] += byte(min(max(sum, 0), 255))
		}
	}
}
