package blip2

import (
	"slices"
	"testing"

	"goblip/internal/golden"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const stage1Case = "blip2-qformer-stage1"

// lavisModel is the stage-1 model of the case, under our names. ln_vision has LAVIS' epsilon, 1e-5,
// in the second config.
func lavisModel(t *testing.T, c *golden.Case) (store *model.Store, vision, cfg Config) {
	t.Helper()
	weights, err := ConvertLAVIS(c.Weights("model"))
	if err != nil {
		t.Fatal(err)
	}
	c.JSON("model_hf/config.json", &vision)
	cfg = vision
	cfg.Vision.LayerNormEps = 1e-5
	return golden.Store(t, weights), vision, cfg
}

// lastState runs the frozen encoder: pixels -> states before the final norm.
func lastState(scope *model.Scope, cfg *Config, pixels *Node) *Node {
	states := vit.Encode(scope.At("vision_model"), &cfg.Vision, pixels)
	return states[len(states)-1]
}

// What forward computes for a batch of pictures and as many texts.
const (
	outQueries = iota // [batch, queries, hidden]
	outText           // features [batch, projection]
	outSimilar        // [batch, batch]
	outMatch          // [batch, 2]
	outWords          // logits [batch, text, vocab]
)

// forward is everything that stage 1 reads off the Q-Former: inputs pixels, ids, mask.
func forward(t *testing.T) (f *golden.Func, pixels, ids, mask *tensors.Tensor) {
	t.Helper()
	c := golden.Open(t, stage1Case)
	store, vision, cfg := lavisModel(t, c)
	f = golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		im := EncodeImages(scope, &cfg, lastState(scope, &vision, in[0]))
		ProjectImages(scope, &cfg, &im)
		text, _ := TextFeatures(scope, &cfg, in[1], in[2])
		return []*Node{im.Output, text, Similarity(im.Features, text), Match(scope, &cfg, im.Queries, im.KV, in[1], in[2]),
			GenerateText(scope, &cfg, im.Past, in[1], in[2])}
	})
	return f, c.Input("pixel_values"), c.Input("input_ids"), c.Input("attention_mask")
}

// TestPaddingIsInvisible adds columns of padding, and puts words into them.
func TestPaddingIsInvisible(t *testing.T) {
	f, pixels, ids, mask := forward(t)
	want := f.Run(pixels, ids, mask)
	for _, filler := range []int32{0, 223} {
		got := f.Run(pixels, widen(ids, 5, filler), widen(mask, 5, 0))
		for _, i := range []int{outQueries, outText, outSimilar, outMatch} {
			golden.Near(t, "output", got[i], want[i], 1e-5, 0)
		}
		visible := golden.Masked(golden.Middle(got[outWords], 0, 12), mask)
		golden.Near(t, "words", visible, golden.Masked(want[outWords], mask), 1e-5, 0)
	}
}

// TestWhoSeesText changes one word: queries alone and words before it must not notice, everything
// else must.
func TestWhoSeesText(t *testing.T) {
	const changed = 4 // column, visible in every row
	f, pixels, ids, mask := forward(t)
	before := f.Run(pixels, ids, mask)
	other := tensors.MustCopyFlatData[int32](ids)
	for i := changed; i < len(other); i += 12 {
		other[i] = 15
	}
	after := f.Run(pixels, tensors.FromFlatDataAndDimensions(other, 4, 12), mask)
	golden.Near(t, "query outputs", after[outQueries], before[outQueries], 0, 0)
	golden.Near(t, "earlier words", golden.Middle(after[outWords], 0, changed), golden.Middle(before[outWords], 0, changed), 0, 0)
	for i, name := range map[int]string{outText: "text features", outMatch: "match logits"} {
		if after[i].InDelta(before[i], 1e-3) {
			t.Errorf("%s do not depend on the text", name)
		}
	}
	for column := changed; column < 8; column++ { // 8 words are visible in the shortest row
		if golden.Middle(after[outWords], column, column+1).InDelta(golden.Middle(before[outWords], column, column+1), 1e-3) {
			t.Errorf("the word logits of column %d do not see column %d", column, changed)
		}
	}
}

// TestTextSeesPictures changes the pictures of word logits and match logits.
func TestTextSeesPictures(t *testing.T) {
	f, pixels, ids, mask := forward(t)
	before := f.Run(pixels, ids, mask)
	flat := tensors.MustCopyFlatData[float32](pixels)
	slices.Reverse(flat)
	after := f.Run(tensors.FromFlatDataAndDimensions(flat, 4, 3, 28, 28), ids, mask)
	golden.Near(t, "text features", after[outText], before[outText], 0, 0)
	for i, name := range map[int]string{outWords: "word logits", outMatch: "match logits", outQueries: "query outputs"} {
		if after[i].InDelta(before[i], 1e-3) {
			t.Errorf("%s do not depend on the picture", name)
		}
	}
}

// TestBatchEqualsSingles runs four pairs at once and one by one.
func TestBatchEqualsSingles(t *testing.T) {
	f, pixels, ids, mask := forward(t)
	batch := f.Run(pixels, ids, mask)
	for row := range 4 {
		single := f.Run(rows[float32](pixels, row), rows[int32](ids, row), rows[int32](mask, row))
		for _, i := range []int{outQueries, outText, outMatch, outWords} {
			golden.Near(t, "output", single[i], rows[float32](batch[i], row), 1e-5, 0)
		}
		similarity := tensors.MustCopyFlatData[float32](batch[outSimilar])[row*4+row]
		golden.Near(t, "similarity", single[outSimilar], tensors.FromValue([][]float32{{similarity}}), 1e-5, 0)
	}
}

// TestSimilarity computes the best query's score by hand, for fewer texts than pictures.
func TestSimilarity(t *testing.T) {
	features := tensors.FromValue([][][]float32{{{1, 0}, {0, 1}}, {{-1, 0}, {0.6, 0.8}}, {{0, -1}, {0, -1}}})
	text := tensors.FromValue([][]float32{{1, 0}, {0.6, -0.8}})
	got := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{Similarity(in[0], in[1])}
	}).Run(features, text)
	golden.Near(t, "similarity", got[0], tensors.FromValue([][]float32{{1, 0.6}, {0.6, -0.28}, {0, 0.8}}), 1e-6, 0)
}

// TestBesideImages wants of three judgements for each text those of its own picture, of the other one
// that was asked for, and of its own again.
func TestBesideImages(t *testing.T) {
	c := golden.Open(t, stage1Case)
	store, vision, cfg := lavisModel(t, c)
	others := []int32{3, 0, 3, 1}
	pictures := []int32{0, 3, 0, 1, 0, 1, 2, 3, 2, 3, 1, 3}
	out := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		im := EncodeImages(scope, &cfg, lastState(scope, &vision, in[0]))
		ids, mask := Triple(in[1], in[1], in[1]), Triple(in[2], in[2], in[2])
		queries := Take(im.Queries, in[4])
		var taken []KV
		for _, kv := range im.KV {
			if kv.Key != nil {
				kv = KV{Take(kv.Key, in[4]), Take(kv.Value, in[4])}
			}
			taken = append(taken, kv)
		}
		return []*Node{Match(scope, &cfg, queries, BesideImages(im.KV, TakeKV(im.KV, in[3])), ids, mask), Match(scope, &cfg, queries, taken, ids, mask)}
	}).Run(c.Input("pixel_values"), c.Input("input_ids"), c.Input("attention_mask"), tensors.FromValue(others), tensors.FromValue(pictures))
	golden.Near(t, "pairs", out[0], out[1], 1e-6, 0)
	if d := out[0].Shape().Dimensions; !slices.Equal(d, []int{12, 2}) {
		t.Errorf("shape %v, want [12 2]", d)
	}
}

// widen adds columns of one value on the right: int32 [rows, n] -> [rows, n+more].
func widen(x *tensors.Tensor, more int, value int32) *tensors.Tensor {
	d := x.Shape().Dimensions
	flat := tensors.MustCopyFlatData[int32](x)
	var wide []int32
	for row := range d[0] {
		wide = append(wide, flat[row*d[1]:(row+1)*d[1]]...)
		wide = append(wide, slices.Repeat([]int32{value}, more)...)
	}
	return tensors.FromFlatDataAndDimensions(wide, d[0], d[1]+more)
}

// rows takes one row of a batch: [batch, ...] -> [1, ...].
func rows[T float32 | int32](x *tensors.Tensor, row int) *tensors.Tensor {
	d := slices.Clone(x.Shape().Dimensions)
	size := x.Size() / d[0]
	d[0] = 1
	return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[T](x)[row*size:(row+1)*size], d...)
}
