package capfilt

import (
	"math"
	"testing"

	"goblip/models/blip"
)

// TestWorkOf holds the count against published figures and against itself.
func TestWorkOf(t *testing.T) {
	c := blip.Default() // ViT-B/16
	c.Vision.ImageSize, c.Vision.PatchSize = 224, 16
	texts := Texts{Web: 1, Each: 1, Tokens: 20}
	one := WorkOf([]*blip.Config{&c}, nil, texts, 64)
	if g := one.Images / 2e9; math.Abs(g-17.5) > 0.3 { // ViT-B/16 at 224 pixels: 17.5 thousand million multiply-adds
		t.Errorf("%.2f thousand million multiply-adds in ViT-B/16", g)
	}
	if one.Scoring != 0 || one.Writing <= 0 || one.Read <= 0 {
		t.Errorf("a captioner alone: %+v", one)
	}
	many := WorkOf([]*blip.Config{&c, &c}, []*blip.Config{&c}, Texts{Web: 3, Each: 5, Tokens: 20}, 64)
	filter := WorkOf(nil, []*blip.Config{&c}, texts, 64)
	if many.Images != 3*one.Images || many.Writing != 10*one.Writing || many.Read != 10*one.Read || math.Abs(many.Scoring/(13*filter.Scoring)-1) > 1e-12 {
		t.Errorf("two captioners and a filter: %+v, one of each %+v, %+v", many, one, filter)
	}
	// A layer of a text of one token with a picture of one token is its weights, read once, and two products of attention.
	c.Vision.ImageSize, c.Vision.PatchSize = 1, 16
	layers, _ := decoderSizes(&c)
	h := float64(c.Text.HiddenSize)
	if got, want := textFlops(&c, 1, true), 2*layers+float64(c.Text.NumHiddenLayers)*8*h; got != want {
		t.Errorf("%g operations of one token, want %g", got, want)
	}
}
