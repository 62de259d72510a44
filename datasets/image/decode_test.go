package image

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	stdimage "image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func encodePNG(t testing.TB, img stdimage.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngPromise promises a picture of a size and holds none.
func pngPromise(width, height uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, width)
	chunk = binary.BigEndian.AppendUint32(chunk, height)
	chunk = append(chunk, 8, 2, 0, 0, 0)
	data := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(data, chunk...), crc32.ChecksumIEEE(chunk))
}

func TestOpenNamesFileAndFault(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile("testdata/rgb.png")
	if err != nil {
		t.Fatal(err)
	}
	photo, err := os.ReadFile("testdata/photo420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		data       []byte
	}{
		{"cut.png", "damaged or truncated PNG picture", whole[:len(whole)/2]},
		{"header.png", "damaged picture header: the file ends too early", whole[:20]},
		{"cut.jpg", "damaged or truncated JPEG picture", photo[:len(photo)/2]},
		{"huge.png", "100000x100000 is out of bounds", pngPromise(100000, 100000)},
		{"text.png", "not a JPEG, PNG, GIF, WebP or BMP picture", []byte("hello")},
		{"empty.png", "not a JPEG, PNG, GIF, WebP or BMP picture", nil},
	} {
		path := filepath.Join(dir, tc.name)
		if err := os.WriteFile(path, tc.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want the path and %q", tc.name, err, tc.want)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.png"), Options{}); err == nil || err.Error() != "picture path does not exist: "+filepath.Join(dir, "none.png") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestDecodeKeepsColour(t *testing.T) {
	at := func(img stdimage.Image, set func()) []byte { set(); return encodePNG(t, img) }
	box := stdimage.Rect(0, 0, 1, 1)
	deep, grey, clear := stdimage.NewNRGBA64(box), stdimage.NewGray16(box), stdimage.NewNRGBA(box)
	for _, tc := range []struct {
		name string
		data []byte
		want [3]byte
	}{
		{"16 bits", at(deep, func() { deep.SetNRGBA64(0, 0, color.NRGBA64{R: 0x12ff, G: 0xab00, B: 0x7f80, A: 0x8000}) }), [3]byte{0x12, 0xab, 0x7f}},
		{"16-bit grey", at(grey, func() { grey.SetGray16(0, 0, color.Gray16{Y: 0x7fff}) }), [3]byte{255, 255, 255}},
		{"under alpha 0", at(clear, func() { clear.SetNRGBA(0, 0, color.NRGBA{R: 10, G: 200, B: 30}) }), [3]byte{10, 200, 30}},
	} {
		got, err := Decode(tc.data, Options{})
		if err != nil || [3]byte(got.Pix) != tc.want {
			t.Errorf("%s: %v, error %v, want %v", tc.name, got.Pix, err, tc.want)
		}
	}
}

func TestProcessor(t *testing.T) {
	for _, tc := range []struct {
		name string
		p    Processor
		side int
		want string
	}{
		{"squash", Processor{Size: 16}, 16, ""},
		{"crop", Processor{Size: 20, Crop: 16}, 16, ""},
		{"no size", Processor{}, 0, "size 0"},
		{"crop larger than the picture", Processor{Size: 16, Crop: 30}, 30, ""},
		{"crop too large", Processor{Size: 16, Crop: MaxSide + 1}, 0, "crop 4097"},
	} {
		got, err := tc.p.Load("testdata/rgb.png")
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
			}
			continue
		}
		if err != nil || len(got) != tc.side*tc.side*3 || tc.p.Side() != tc.side {
			t.Errorf("%s: %d bytes, side %d, error %v", tc.name, len(got), tc.p.Side(), err)
		}
	}
	// The crop is the middle of the picture with its shorter side at Size.
	img, err := Open("testdata/rgb.png", Options{}) // 37 x 29
	if err != nil {
		t.Fatal(err)
	}
	got := Processor{Size: 20, Crop: 16}.Apply(img)
	whole := Resize(img, 25, 20, Bicubic)
	for y := range 16 {
		if !bytes.Equal(got[y*48:][:48], whole.Pix[((y+2)*25+4)*3:][:48]) {
			t.Fatalf("row %d of the crop is not the middle", y)
		}
	}
	// One pixel wide and very tall: the resized form would be enormous, and is not all made.
	tall := RGB{Pix: make([]byte, 3*60000), Width: 1, Height: 60000}
	if got := (Processor{Size: 224, Crop: 224}).Apply(tall); len(got) != 224*224*3 {
		t.Errorf("a strip became %d bytes", len(got))
	}
}

func BenchmarkLoadPhoto(b *testing.B) {
	data, err := os.ReadFile("testdata/photo420.jpg")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decode(data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
