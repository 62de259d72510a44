package image

import (
	"slices"
	"testing"
)

// TestUpright turns the letter F (as 2 x 3 pixels a, b / c, d / e, f) by all orientations.
func TestUpright(t *testing.T) {
	img := RGB{Width: 2, Height: 3}
	for v := byte('a'); v <= 'f'; v++ {
		img.Pix = append(img.Pix, v, v, v)
	}
	for orientation, want := range map[int]string{
		0: "ab cd ef", 1: "ab cd ef", 2: "ba dc fe", 3: "fe dc ba", 4: "ef cd ab",
		5: "ace bdf", 6: "eca fdb", 7: "fdb eca", 8: "bdf ace", 9: "ab cd ef",
	} {
		got := upright(img, orientation)
		text := ""
		for y := range got.Height {
			if y > 0 {
				text += " "
			}
			for x := range got.Width {
				text += string(got.row(y)[3*x])
			}
		}
		if text != want {
			t.Errorf("orientation %d: %s, want %s", orientation, text, want)
		}
	}
}

func TestOrientation(t *testing.T) {
	tag := func(kind byte, value ...byte) []byte {
		return slices.Concat([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01"), []byte{kind, 0, 1, 0, 0, 0}, value)
	}
	for _, tc := range []struct {
		name string
		m    metadata
		want int
	}{
		{"none", metadata{}, 1},
		{"short", metadata{exif: tag(3, 6, 0, 0, 0)}, 6},
		{"long", metadata{exif: tag(4, 8, 0, 0, 0)}, 8},
		{"byte", metadata{exif: tag(1, 3, 0, 0, 0)}, 3},
		{"of another type", metadata{exif: tag(5, 6, 0, 0, 0)}, 1},
		{"big-endian", metadata{exif: []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x05\x00\x00")}, 5},
		{"cut", metadata{exif: tag(3, 6)}, 1},
		{"far away", metadata{exif: []byte("II*\x00\xff\xff\xff\xff\x01\x00")}, 1},
		{"XMP", metadata{xmp: []byte(`<x tiff:Orientation="7"/>`)}, 7},
		{"XMP element", metadata{xmp: []byte(`<tiff:Orientation>2</tiff:Orientation>`)}, 2},
		{"EXIF before XMP", metadata{exif: tag(3, 6, 0, 0, 0), xmp: []byte(`tiff:Orientation="7"`)}, 6},
	} {
		if got := tc.m.orientation(); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"))
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x0aExif\x00\x00II"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tiffOrientation(data)
		jpegMetadata(data).orientation()
	})
}
