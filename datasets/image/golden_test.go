package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// golden is testdata/golden.json, written by scripts/golden_image.py.
type golden struct {
	Decoded map[string]struct {
		Width, Height int
		RGB           []byte
	}
	White   map[string]struct{ RGB []byte } // laid on white
	Resized []struct {
		File, Filter  string
		Width, Height int
		RGB           []byte
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Decoded) == 0 || len(g.Resized) == 0 {
		t.Fatal("testdata/golden.json is empty")
	}
	return g
}

func TestDecodeEqualsPillow(t *testing.T) {
	// JPEG's inverse DCT differs between the decoders by a rounding, which a
	// colour conversion carries to up to three levels; all else is exact.
	limit := map[string]int{
		"cmyk.jpg": 3, "grey.jpg": 1, "photo420.jpg": 3, "photo422.jpg": 3, "photo444.jpg": 3, "progressive.jpg": 3,
	}
	for name, want := range readGolden(t).Decoded {
		got, err := Open(filepath.Join("testdata", name), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if got.Width != want.Width || got.Height != want.Height || len(got.Pix) != len(want.RGB) {
			t.Errorf("%s: %dx%d, want %dx%d", name, got.Width, got.Height, want.Width, want.Height)
			continue
		}
		if worst := worstDifference(got.Pix, want.RGB); worst > limit[name] {
			t.Errorf("%s: differs by up to %d levels, want at most %d", name, worst, limit[name])
		}
		if w, h, err := Size(filepath.Join("testdata", name)); err != nil || w != want.Width || h != want.Height {
			t.Errorf("%s: Size says %dx%d, %v", name, w, h, err)
		}
	}
}

func TestAlphaOnWhiteEqualsPillow(t *testing.T) {
	white := readGolden(t).White
	if len(white) == 0 {
		t.Fatal("no golden picture on white")
	}
	for name, want := range white {
		got, err := Open(filepath.Join("testdata", name), Options{Alpha: AlphaWhite})
		if err != nil {
			t.Fatal(err)
		}
		if worst := worstDifference(got.Pix, want.RGB); worst != 0 {
			t.Errorf("%s: differs by up to %d levels", name, worst)
		}
	}
}

func TestResizeEqualsPillow(t *testing.T) {
	filters := map[string]Filter{"bicubic": Bicubic, "bilinear": Bilinear}
	for _, want := range readGolden(t).Resized {
		img, err := Open(filepath.Join("testdata", want.File), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := Resize(img, want.Width, want.Height, filters[want.Filter])
		if len(got.Pix) != len(want.RGB) {
			t.Fatalf("%s to %dx%d: %d bytes, want %d", want.File, want.Width, want.Height, len(got.Pix), len(want.RGB))
		}
		if worst := worstDifference(got.Pix, want.RGB); worst != 0 {
			t.Errorf("%s to %dx%d, %s: differs by up to %d levels", want.File, want.Width, want.Height, want.Filter, worst)
		}
	}
}

func worstDifference(a, b []byte) int {
	worst := 0
	for i := range a {
		d := int(a[i]) - int(b[i])
		worst = max(worst, d, -d)
	}
	return worst
}
