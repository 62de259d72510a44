package image

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// metadata is where a file says how the camera was held.
type metadata struct {
	exif []byte // TIFF
	xmp  []byte // used if exif has no orientation, as Pillow does
}

// orientation is 1..8, where 1 is upright.
func (m metadata) orientation() int {
	if o := tiffOrientation(m.exif); o > 0 {
		return o
	}
	if found := xmpOrientation.FindSubmatch(m.xmp); found != nil {
		return int(found[1][0] - '0')
	}
	return 1
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// tiffOrientation reads the tag of that name from the first directory; 0: there is none.
func tiffOrientation(data []byte) int {
	if len(data) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return 0
	}
	entries := data[at+2:]
	for range order.Uint16(data[at:]) {
		if len(entries) < 12 {
			return 0
		}
		const orientationTag = 0x0112
		if order.Uint16(entries) == orientationTag {
			switch value := entries[8:12]; order.Uint16(entries[2:]) {
			case 1: // byte
				return int(value[0])
			case 3: // short
				return int(order.Uint16(value))
			case 4: // long
				return int(min(order.Uint32(value), 9))
			}
			return 0
		}
		entries = entries[12:]
	}
	return 0
}

// jpegMetadata reads the application segments before the frame header.
func jpegMetadata(data []byte) (m metadata) {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker, size := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xff { // fill byte
			at++
			continue
		}
		if marker == 0xda || at+2+size > len(data) || size < 2 { // the picture itself, or damage
			break
		}
		body := data[at+4 : at+2+size]
		if marker == 0xe1 {
			if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && m.exif == nil {
				m.exif = exif
			}
			if xmp, ok := bytes.CutPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
				m.xmp = xmp
			}
		}
		at += 2 + size
	}
	return m
}

// upright undoes an EXIF orientation.
func upright(img RGB, orientation int) RGB {
	if orientation < 2 || orientation > 8 {
		return img
	}
	w, h := img.Width, img.Height
	// Where a pixel of the result comes from: start + x*alongX + y*alongY, in pixels.
	var start, alongX, alongY int
	out := RGB{Pix: make([]byte, len(img.Pix)), Width: w, Height: h}
	if orientation >= 5 {
		out.Width, out.Height = h, w
	}
	switch orientation {
	case 2: // mirrored
		start, alongX, alongY = w-1, -1, w
	case 3: // upside down
		start, alongX, alongY = w*h-1, -1, -w
	case 4: // both
		start, alongX, alongY = (h-1)*w, 1, -w
	case 5: // rows are columns
		start, alongX, alongY = 0, w, 1
	case 6: // turn clockwise
		start, alongX, alongY = (h-1)*w, -w, 1
	case 7: // rows are columns, mirrored in both
		start, alongX, alongY = w*h-1, -w, -1
	case 8: // turn counter-clockwise
		start, alongX, alongY = w-1, w, -1
	}
	i := 0
	for y := range out.Height {
		from := start + y*alongY
		for range out.Width {
			copy(out.Pix[i:i+3], img.Pix[3*from:3*from+3])
			from += alongX
			i += 3
		}
	}
	return out
}
