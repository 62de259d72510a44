package show

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
)

// elements counts the elements of an SVG, and fails if it is not one.
func elements(t *testing.T, svg string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok {
			counts[start.Name.Local]++
		}
	}
}

// gradient is a picture whose pixels all differ.
func gradient(side int) []byte {
	pixels := make([]byte, side*side*3)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	return pixels
}

func TestPNG(t *testing.T) {
	pixels := gradient(6)
	picture, err := png.Decode(bytes.NewReader(PNG(pixels, 6)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 36 {
		r, g, b, _ := picture.At(i%6, i/6).RGBA()
		if byte(r>>8) != pixels[3*i] || byte(g>>8) != pixels[3*i+1] || byte(b>>8) != pixels[3*i+2] {
			t.Fatalf("pixel %d: got %d %d %d, want %v", i, r>>8, g>>8, b>>8, pixels[3*i:3*i+3])
		}
	}
}

func TestGrid(t *testing.T) {
	cards := make([]Card, 5)
	for i := range cards {
		cards[i] = Card{Pixels: gradient(4), Side: 4, Lines: []Line{{Text: "a <red> circle & two small blue squares on its left", Mark: Strong}}}
	}
	two, five := elements(t, Grid(2, cards)), elements(t, Grid(5, cards))
	if two["image"] != 5 || five["image"] != 5 {
		t.Errorf("%d and %d pictures, want 5", two["image"], five["image"])
	}
	if n := five["text"]; n != 5*3 {
		t.Errorf("%d lines of words, want 3 a card", n)
	}
}

func TestHeat(t *testing.T) {
	looks := [][]float32{{0.1, 0.9, 0, 0, 0}, {0, 0, 0, 1}}
	svg, err := Heat([]string{"one", "two"}, []Row{{Pixels: gradient(8), Side: 8, Label: "a picture", Looks: looks}})
	if err != nil {
		t.Fatal(err)
	}
	if n := elements(t, svg)["image"]; n != 3 {
		t.Errorf("%d pictures, want 3", n)
	}
	if !strings.Contains(svg, "class token 10 %") || strings.Contains(svg, "class token 0 %") {
		t.Error("the share of the class token stands where there is one, and only there")
	}
	if _, err := Heat([]string{"one"}, []Row{{Pixels: gradient(8), Side: 8, Looks: [][]float32{make([]float32, 7)}}}); err == nil {
		t.Error("7 weights: no error")
	}
}

// TestLit: the patch that is looked at keeps its light, others grow dark.
func TestLit(t *testing.T) {
	white := bytes.Repeat([]byte{255}, 8*8*3)
	got := lit(white, 8, []float32{0, 0.5, 0, 0})
	at := func(x, y int) byte { return got[(y*8+x)*3] }
	if at(7, 0) != 255 || at(0, 7) != 32 || at(0, 0) != 32 {
		t.Errorf("corners %d, %d, %d; want 255, 32, 32", at(7, 0), at(0, 7), at(0, 0))
	}
	for x := 1; x < 8; x++ {
		if at(x, 0) < at(x-1, 0) {
			t.Errorf("light falls towards the patch that is looked at: %d after %d", at(x, 0), at(x-1, 0))
		}
	}
	if dark := lit(white, 8, make([]float32, 4)); dark[0] != 32 {
		t.Errorf("nothing is looked at: %d, want 32", dark[0])
	}
}

func TestMatrix(t *testing.T) {
	svg := Matrix([]string{"a", "b"}, []string{"x", "y", "z"}, [][]float32{{1, 0, 0.5}, {-1, 1, 0}}, func(i, j int) bool { return i == j })
	got := elements(t, svg)
	if got["rect"] != 1+6+2 { // the ground, fields, frames
		t.Errorf("%d rectangles, want 9", got["rect"])
	}
	if !strings.Contains(svg, `fill="#ffffff"`) || !strings.Contains(svg, `fill="#1f4fc8"`) {
		t.Error("the lowest is white and the highest blue")
	}
	elements(t, Matrix([]string{"a"}, []string{"x"}, [][]float32{{0}}, nil)) // nothing to tell apart
}

func TestMasks(t *testing.T) {
	svg := Masks([]Mask{{Title: "causal", Rows: []string{"a", "b"}, Columns: []string{"a", "b"}, Sees: [][]bool{{true, false}, {true, true}}}})
	elements(t, svg)
	if n := strings.Count(svg, blue); n != 3 {
		t.Errorf("%d fields are filled, want 3", n)
	}
}

func TestIntervals(t *testing.T) {
	crossing := elements(t, Intervals([]Score{{"a", -1, 0, 1}, {"b", 0.5, 1, 2}}))
	if crossing["circle"] != 2 || crossing["line"] != 1+2*2 {
		t.Errorf("%v: want two points, and a line at zero", crossing)
	}
	if beyond := elements(t, Intervals([]Score{{"a", 2, 2.5, 3}})); beyond["line"] != 2 {
		t.Errorf("%v: a line at zero where the axis does not reach it", beyond)
	}
	if svg := Intervals([]Score{{"a", 1, 1, 1}}); strings.Contains(svg, "NaN") {
		t.Error("an interval without width gives NaN")
	}
}

func TestHistogram(t *testing.T) {
	svg := Histogram(-1, 1, 0, []Layer{{"right", Right, []float64{0.99, 1, 1}}, {"wrong", Wrong, []float64{-1, -3, math.Nextafter(1, 2)}}})
	got := elements(t, svg)
	if got["rect"] != 1+2+3 { // the ground, the key, one bar of right, two of wrong
		t.Errorf("%d rectangles, want 6", got["rect"])
	}
}
