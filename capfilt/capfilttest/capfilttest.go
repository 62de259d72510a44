// Package capfilttest makes what tests of cleaning need: models whose graphs take milliseconds, pictures with noisy texts.
package capfilttest

import (
	"fmt"
	stdimage "image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/internal/golden"
	"goblip/models/blip"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Words are the texts of the pictures, which are also what the tiny models' word lists are learnt from.
var Words = []string{"a red circle", "two small blue squares on the left of a red circle", "click to enlarge", "a large striped yellow star", "img 12"}

// BLIP writes a BLIP of a class with random weights, whose graphs take milliseconds, into dir.
func BLIP(t testing.TB, dir, class string, side int, seed uint64) {
	t.Helper()
	tokens, err := text.TrainWordPiece(slices.Values(Words), 90)
	if err != nil {
		t.Fatal(err)
	}
	tokens.AddSpecial(text.DecToken, "[ENC]")
	cfg := blip.Default()
	cfg.Architectures, cfg.ImageTextHiddenSize = []string{class}, 8
	v, w := &cfg.Vision, &cfg.Text
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 8, 12, 1, 2, side, 4
	w.HiddenSize, w.IntermediateSize, w.NumHiddenLayers, w.NumAttentionHeads, w.MaxPositionEmbeddings = 8, 12, 1, 2, 48
	dec, _ := tokens.ID(text.DecToken)
	sep, _ := tokens.ID(text.SepToken)
	w.VocabSize, w.BOSTokenID, w.SEPTokenID, w.EncoderHiddenSize = tokens.VocabSize(), int(dec), int(sep), 8
	build, inputs := infer.BLIPGraph(&cfg)
	want, err := infer.Declare(golden.Go(t), model.NewStore(), build, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	var named []checkpoints.Named
	for _, name := range slices.Sorted(maps.Keys(want)) {
		values := make([]float32, want[name].Size())
		for i := range values {
			values[i] = float32(rng.NormFloat64()) * 0.7
		}
		named = append(named, checkpoints.Named{Name: name, Tensor: tensors.FromFlatDataAndDimensions(values, want[name].Dimensions...)})
	}
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Config: &cfg, Tensors: named, Fill: tokens.Save}); err != nil {
		t.Fatal(err)
	}
}

// Pictures writes n pictures with a noisy text each, and returns the JSONL file. The numbers in broken get a file
// that is no picture.
func Pictures(t testing.TB, n int, broken ...int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(9, 9))
	var records []datasets.Record
	for i := range n {
		img := stdimage.NewRGBA(stdimage.Rect(0, 0, 9+i%3, 8))
		for y := range 8 {
			for x := range 9 + i%3 {
				img.Set(x, y, color.RGBA{uint8(rng.UintN(256)), uint8(rng.UintN(256)), uint8(rng.UintN(256)), 255})
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.png", i))
		f, err := os.Create(path)
		if err == nil {
			err = png.Encode(f, img)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		r := datasets.Record{ID: fmt.Sprintf("p%03d", i), Image: path}
		for range 1 + i%2 {
			r.Captions = append(r.Captions, Words[rng.IntN(len(Words))])
			r.Noise = append(r.Noise, []string{"", datasets.NoiseSwapped}[rng.IntN(2)])
		}
		records = append(records, r)
	}
	for _, i := range broken {
		if err := os.WriteFile(records[i].Image, []byte("\x89PNG\r\n\x1a\nnot really"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "web.jsonl")
	if err := datasets.WriteJSONL(path, records); err != nil {
		t.Fatal(err)
	}
	return path
}
