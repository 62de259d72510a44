package infer

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/internal/golden"
	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/clip"
	"goblip/models/vit"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// fillFrom declares the tensors of classes for a start's config and fills them.
func fillFrom(t *testing.T, s *BLIPStart, classes ...string) (store *model.Store, started []string, err error) {
	t.Helper()
	store = model.NewStore()
	want := map[string]shapes.Shape{}
	for _, class := range classes {
		s.Config.Architectures = []string{class}
		build, inputs := BLIPGraph(s.Config)
		tensors, err := Declare(golden.Go(t), store, build, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, tensors)
	}
	started, err = s.Fill(golden.Go(t), store, want)
	return store, started, err
}

func valuesOf(t *testing.T, store *model.Store, name string) []float32 {
	t.Helper()
	value, err := golden.Variable(t, store, name).Value()
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](value)
}

// TestStartFromBLIP takes what a folder of another class has: the decoder's tensors for the encoder,
// one cross-attention for both of a pair's; heads start afresh.
func TestStartFromBLIP(t *testing.T) {
	f := tinyFolder(t, blip.CaptionClass)
	s, err := OpenBLIPStart(f.write(t), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	store, started, err := fillFrom(t, s, blip.RetrievalClass, blip.NLVRClass)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"cls_head.0.bias", "cls_head.0.weight", "cls_head.2.bias", "cls_head.2.weight", "itm_head.bias", "itm_head.weight",
		"text_encoder.encoder.layer.1.crossattention.output.merge_layer.bias", "text_encoder.encoder.layer.1.crossattention.output.merge_layer.weight",
		"text_proj.bias", "text_proj.weight", "vision_proj.bias", "vision_proj.weight"}
	if !slices.Equal(started, want) {
		t.Errorf("afresh: %q", started)
	}
	for name, source := range map[string]string{
		"vision_model.post_layernorm.bias":                                    "vision_model.post_layernorm.bias",
		"text_encoder.embeddings.word_embeddings.weight":                      "text_decoder.bert.embeddings.word_embeddings.weight",
		"text_encoder.encoder.layer.1.crossattention.self0.key.weight":        "text_decoder.bert.encoder.layer.1.crossattention.self.key.weight",
		"text_encoder.encoder.layer.1.crossattention.self1.key.weight":        "text_decoder.bert.encoder.layer.1.crossattention.self.key.weight",
		"text_encoder.encoder.layer.0.crossattention.output.dense1.bias":      "text_decoder.bert.encoder.layer.0.crossattention.output.dense.bias",
		"text_encoder.encoder.layer.0.crossattention.output.LayerNorm.weight": "text_decoder.bert.encoder.layer.0.crossattention.output.LayerNorm.weight",
	} {
		if !slices.Equal(valuesOf(t, store, name), tensors.MustCopyFlatData[float32](f.tensors[source])) {
			t.Errorf("%s is not %s", name, source)
		}
	}
}

// TestStartResizesPositions wants the positions of another grid, and nothing else, to be fitted.
func TestStartResizesPositions(t *testing.T) {
	s, err := OpenBLIPStart(tinyFolder(t, blip.RetrievalClass).write(t), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Config.Vision.ImageSize = 12 // 8 before, patches of 4
	store, started, err := fillFrom(t, s, blip.RetrievalClass)
	if err != nil || len(started) > 0 {
		t.Fatal(err, started)
	}
	if got := len(valuesOf(t, store, "vision_model.embeddings.position_embedding")); got != 10*16 {
		t.Errorf("%d values of positions, want 10 of 16", got)
	}
	s.Config.Text.IntermediateSize = 25
	_, _, err = fillFrom(t, s, blip.RetrievalClass)
	var mismatch *checkpoints.MismatchError
	if !errors.As(err, &mismatch) || len(mismatch.Shapes) != 3*2 || len(mismatch.Missing) > 0 {
		t.Errorf("another width: %v", err)
	}
}

// TestStartFromTowers takes the image tower of a dual encoder, all of its blocks, and the text of a
// BERT with old names and a pre-training head: its table of words gets two rows more.
func TestStartFromTowers(t *testing.T) {
	words, err := text.TrainWordPiece(slices.Values(sentences), 60)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := bert.Default()
	cfg.Architectures = []string{"BertForPreTraining"}
	cfg.VocabSize, cfg.HiddenSize, cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.IntermediateSize, cfg.MaxPositionEmbeddings = words.VocabSize(), 16, 2, 2, 24, 48
	build, inputs := BERTGraph(&cfg)
	want, err := Declare(golden.Go(t), model.NewStore(), build, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	for name, dims := range map[string][]int{"transform.dense.weight": {16, 16}, "transform.dense.bias": {16}, "transform.LayerNorm.weight": {16},
		"transform.LayerNorm.bias": {16}, "bias": {words.VocabSize()}} {
		want["cls.predictions."+name] = shapes.Make(dtypes.Float32, dims...)
	}
	f := &folder{words: words, config: &cfg, tensors: map[string]*tensors.Tensor{}}
	f.fill(want)
	old := map[string]*tensors.Tensor{}
	for name, value := range f.tensors {
		if !strings.HasPrefix(name, "cls.") {
			name = "bert." + name
		}
		old[strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(name)] = value
	}
	f.tensors = old
	bertDir := f.write(t)

	vision := func(layout vit.Config) string {
		tower := clip.Default()
		tower.Architectures = []string{"CLIPModel"}
		layout.HiddenSize, layout.IntermediateSize, layout.NumHiddenLayers, layout.NumAttentionHeads, layout.ImageSize, layout.PatchSize = 16, 24, 2, 2, 8, 4
		tower.Vision = layout
		want, err := Declare(golden.Go(t), model.NewStore(), func(scope *model.Scope, in []*Node) { clip.ImageFeatures(scope, &tower, in[0]) }, shapes.Make(dtypes.Float32, 1, 3, 8, 8))
		if err != nil {
			t.Fatal(err)
		}
		f := &folder{words: words, config: &tower, tensors: map[string]*tensors.Tensor{}}
		f.fill(want)
		return f.write(t)
	}
	if s, err := OpenBLIPStart("", vision(vit.DefaultCLIP()), ""); err == nil || !strings.Contains(err.Error(), "CLIP's layout") {
		t.Errorf("a tower in CLIP's layout: %v", err)
		s.Close()
	}
	s, err := OpenBLIPStart("", vision(vit.Default()), bertDir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Tower() || !s.Text() || s.Whole() || s.Config.Vision.NumHiddenLayers != 2 || s.Config.Text.VocabSize != words.VocabSize()+1 {
		t.Errorf("%+v", s.Config)
	}
	s.Config.ImageTextHiddenSize, s.Config.Text.EncoderHiddenSize = 8, 16
	store, started, err := fillFrom(t, s, blip.CaptionClass, blip.RetrievalClass)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range started {
		if !strings.Contains(name, ".crossattention.") && !strings.Contains(name, "_proj.") && !strings.HasPrefix(name, "itm_head.") {
			t.Errorf("%s started afresh", name)
		}
	}
	table := tensors.MustCopyFlatData[float32](old["bert.embeddings.word_embeddings.weight"])
	for _, name := range []string{"text_encoder.embeddings.word_embeddings.weight", "text_decoder.bert.embeddings.word_embeddings.weight"} {
		got := valuesOf(t, store, name)
		if len(got) != len(table)+16 || !slices.Equal(got[:len(table)], table) || got[len(table)] == 0 {
			t.Errorf("%s: %d values of %d", name, len(got), len(table))
		}
	}
	if got := valuesOf(t, store, "text_decoder.bert.encoder.layer.1.attention.output.LayerNorm.weight"); !slices.Equal(got, tensors.MustCopyFlatData[float32](old["bert.encoder.layer.1.attention.output.LayerNorm.gamma"])) {
		t.Error("the decoder's self-attention is not BERT's")
	}
	if got := valuesOf(t, store, "text_decoder.cls.predictions.transform.dense.bias"); !slices.Equal(got, tensors.MustCopyFlatData[float32](old["cls.predictions.transform.dense.bias"])) {
		t.Error("the word head is not BERT's")
	}
	if _, err := OpenBLIPStart("", "", filepath.Join(dir, "nowhere")); err == nil {
		t.Error("no error without a folder")
	}
}

// TestFolderOfTwoClasses opens one folder as what captions and as what searches; each is what a folder
// of that class alone is. A tensor of neither is still an error.
func TestFolderOfTwoClasses(t *testing.T) {
	caption, search := tinyFolder(t, blip.CaptionClass), tinyFolder(t, blip.RetrievalClass)
	both := &folder{words: caption.words, tensors: maps.Clone(caption.tensors)}
	cfg := *caption.config.(*blip.Config)
	cfg.Architectures = []string{blip.CaptionClass, blip.RetrievalClass}
	both.config = &cfg
	for name, value := range search.tensors {
		if !strings.HasPrefix(name, "vision_model.") {
			both.tensors[name] = value
		}
	}
	dir := both.write(t)
	w, err := OpenWriter(golden.Go(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	w.Finalize()
	r, err := OpenRetriever(golden.Go(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	features, err := r.TextFeatures([]string{"a red circle"})
	if err != nil || len(features) != 8 {
		t.Errorf("%d values, %v", len(features), err)
	}
	r.Finalize()
	both.tensors["text_encoder.stranger"] = both.tensors["itm_head.bias"]
	var mismatch *checkpoints.MismatchError
	if _, err := OpenWriter(golden.Go(t), both.write(t)); !errors.As(err, &mismatch) || !slices.Equal(mismatch.Unexpected, []string{"text_encoder.stranger"}) {
		t.Errorf("a strange tensor: %v", err)
	}
}
