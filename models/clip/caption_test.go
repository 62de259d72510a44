package clip_test

import (
	"testing"

	"goblip/checkpoints"
	"goblip/internal/golden"
	"goblip/models/clip"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestCaptionSeesWhatItMay wants a word's scores to depend on the words before it and on every
// image token, and on nothing that comes later.
func TestCaptionSeesWhatItMay(t *testing.T) {
	cfg := clip.Default()
	text := &cfg.Text
	text.VocabSize, text.HiddenSize, text.IntermediateSize, text.NumHiddenLayers, text.NumAttentionHeads = 11, 8, 16, 1, 2
	text.MaxPositionEmbeddings = 6
	const length, patches, width = 4, 3, 5
	store := model.NewStore()
	build := func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{clip.CaptionHead(scope, &cfg, 2, clip.TextStates(scope, &cfg, in[0], nil), in[1]).Logits()}
	}
	if err := nn.Declare(golden.Go(t), store, func(root *model.Scope, in []*Node) { build(root.At("model"), in) },
		shapes.Make(dtypes.Int32, 1, length), shapes.Make(dtypes.Float32, 1, patches, width)); err != nil {
		t.Fatal(err)
	}
	if err := nn.Initialize(store, 1, 0.3); err != nil {
		t.Fatal(err)
	}
	own := 0
	for v := range store.IterVariables() {
		if name, ok := checkpoints.TensorName(v.Path()); ok && clip.IsCaptionDecoder(name) {
			own++
		}
	}
	if own != 2*16+4 {
		t.Errorf("%d tensors are the decoder's own, want 16 a block and two norms", own)
	}
	f := golden.New(t, golden.Go(t), store, build)
	run := func(ids []int32, image []float32) []float32 {
		out := f.Run(tensors.FromFlatDataAndDimensions(ids, 1, length), tensors.FromFlatDataAndDimensions(image, 1, patches, width))
		return tensors.MustCopyFlatData[float32](out[0])
	}
	image := make([]float32, patches*width)
	for i := range image {
		image[i] = float32(i%7) - 3
	}
	before := run([]int32{1, 2, 3, 4}, image)
	changed := func(after []float32) (words []bool) {
		for w := range length {
			differs := false
			for i := w * text.VocabSize; i < (w+1)*text.VocabSize; i++ {
				differs = differs || after[i] != before[i]
			}
			words = append(words, differs)
		}
		return words
	}
	for word, differs := range changed(run([]int32{1, 2, 9, 4}, image)) {
		if differs != (word >= 2) {
			t.Errorf("another word 2: the scores at word %d changed: %v", word, differs)
		}
	}
	for token := range patches {
		other := append([]float32(nil), image...)
		other[token*width] += 2
		for word, differs := range changed(run([]int32{1, 2, 3, 4}, other)) {
			if !differs {
				t.Errorf("another image token %d: the scores at word %d stay", token, word)
			}
		}
	}
}
