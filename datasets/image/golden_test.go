package image

import (
	"encoding/json"
	"hash/crc32"
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
	Variety map[string]struct { // of testdata/variety: checksums of the bytes
		Width, Height           int
		Dropped, White, Upright uint32
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
		if worst := worstDifference(got.Pix, want.RGB); worst != 0 {
			t.Errorf("%s: differs by up to %d levels", name, worst)
		}
		if w, h, err := Size(filepath.Join("testdata", name)); err != nil || w != want.Width || h != want.Height {
			t.Errorf("%s: Size says %dx%d, %v", name, w, h, err)
		}
	}
}

// TestVarietyEqualsPillow decodes a file of every mode, layout and filter in three ways.
func TestVarietyEqualsPillow(t *testing.T) {
	all := readGolden(t).Variety
	if len(all) < 100 {
		t.Fatalf("only %d files", len(all))
	}
	for name, want := range all {
		for _, way := range []struct {
			name    string
			options Options
			sum     uint32
		}{
			{"dropped", Options{}, want.Dropped},
			{"white", Options{Alpha: AlphaWhite}, want.White},
			{"upright", Options{Upright: true}, want.Upright},
		} {
			got, err := Open(filepath.Join("testdata", "variety", name), way.options)
			if err != nil {
				t.Error(err)
				continue
			}
			if !way.options.Upright && (got.Width != want.Width || got.Height != want.Height) {
				t.Errorf("%s: %dx%d, want %dx%d", name, got.Width, got.Height, want.Width, want.Height)
			}
			if crc32.ChecksumIEEE(got.Pix) != way.sum {
				t.Errorf("%s: %s: not Pillow's bytes", name, way.name)
			}
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
	byName := map[string]Filter{}
	for _, f := range filters {
		byName[f.Name] = f
	}
	seen := map[string]bool{}
	for _, want := range readGolden(t).Resized {
		img, err := Open(filepath.Join("testdata", want.File), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := Resize(img, want.Width, want.Height, byName[want.Filter])
		seen[want.Filter] = true
		if len(got.Pix) != len(want.RGB) {
			t.Fatalf("%s to %dx%d: %d bytes, want %d", want.File, want.Width, want.Height, len(got.Pix), len(want.RGB))
		}
		if worst := worstDifference(got.Pix, want.RGB); worst != 0 {
			t.Errorf("%s to %dx%d, %s: differs by up to %d levels", want.File, want.Width, want.Height, want.Filter, worst)
		}
	}
	if len(seen) != len(filters) {
		t.Errorf("only %d of %d filters were compared", len(seen), len(filters))
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
