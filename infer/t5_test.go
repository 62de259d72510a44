package infer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/t5"
	"goblip/models/vit"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// tinyT5Folder is a BLIP-2 with a gated T5 whose head is not tied; instructed makes it an InstructBLIP.
func tinyT5Folder(t *testing.T, instructed bool) *folder {
	t.Helper()
	f := &folder{cfg: tinyConfig(blip2.GenerationClass), tensors: map[string]*tensors.Tensor{}}
	words, err := text.TrainBPE(slices.Values(sentences), 300)
	if err != nil {
		t.Fatal(err)
	}
	f.words = words
	if instructed {
		instructions, err := text.TrainWordPiece(slices.Values(sentences), 60)
		if err != nil {
			t.Fatal(err)
		}
		f.instructions, f.cfg.QFormer.VocabSize = instructions, instructions.VocabSize()
		f.cfg.Architectures, f.cfg.ModelType = []string{blip2.InstructClass}, "instructblip"
		f.cfg.Vision.ModelType, f.cfg.QFormer.ModelType = vit.InstructBLIP, "instructblip_qformer"
	}
	llm := t5.Default()
	llm.VocabSize, llm.DModel, llm.DKV, llm.DFF, llm.NumLayers, llm.NumDecoderLayers, llm.NumHeads = words.VocabSize(), 16, 6, 20, 1, 2, 2
	llm.RelativeAttentionNumBuckets, llm.RelativeAttentionMaxDistance = 8, 10
	llm.FeedForwardProj, llm.DenseActFn, llm.IsGatedAct, llm.ScaleDecoderOutputs, llm.UntiedHead = "gated-gelu", "gelu", true, false, true
	f.cfg.T5, f.cfg.QFormer.MaxPositionEmbeddings = &llm, 64
	want, err := captionerTensors(golden.Go(t), model.NewStore(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.fill(want)
	return f
}

// T5 tensors of a BLIP-2 that these tests move.
const (
	wordTable    = "language_model.shared.weight"
	encoderTable = "language_model.encoder.embed_tokens.weight"
	decoderTable = "language_model.decoder.embed_tokens.weight"
	head         = "language_model.lm_head.weight"
)

// TestT5Tables writes one model under the names that files have for its word table and head.
func TestT5Tables(t *testing.T) {
	captions := func(f *folder) ([]Text, error) {
		c, err := OpenCaptioner(golden.Go(t), f.write(t))
		if err != nil {
			return nil, err
		}
		defer c.Finalize()
		states, err := c.States(noise(2), nil)
		if err != nil {
			t.Fatal(err)
		}
		o := generate.Default()
		o.MaxNewTokens = 5
		texts, err := c.Write(states, []Request{{Image: 0, Prompt: "a red"}, {Image: 1}}, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return texts, nil
	}
	other := random(rand.New(rand.NewPCG(8, 8)), tinyT5Folder(t, false).tensors[wordTable].Shape().Dimensions...)
	rename := func(f *folder, from, to string) {
		f.tensors[to] = f.tensors[from]
		delete(f.tensors, from)
	}
	tied := func(f *folder) { f.tensors[head] = f.tensors[wordTable] }
	for _, test := range []struct {
		name         string
		base, change func(f *folder)
		want         string // of an error; "": writes what base writes
	}{
		{"copies", nil, func(f *folder) {
			f.tensors[encoderTable], f.tensors[decoderTable] = f.tensors[wordTable], f.tensors[wordTable]
		}, ""},
		{"the encoder's name", nil, func(f *folder) { rename(f, wordTable, encoderTable) }, ""},
		{"the decoder's name", nil, func(f *folder) { rename(f, wordTable, decoderTable) }, ""},
		{"a tied head", tied, func(f *folder) { delete(f.tensors, head) }, ""},
		{"the head's name", tied, func(f *folder) { delete(f.tensors, wordTable) }, ""},
		{"a bias that nobody reads", nil, func(f *folder) {
			f.tensors["language_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = other
		}, ""},
		{"another encoder table", nil, func(f *folder) { f.tensors[encoderTable] = other }, "tensor " + encoderTable + " is not a copy of " + wordTable},
		{"no table", nil, func(f *folder) {
			delete(f.tensors, wordTable)
			delete(f.tensors, head)
		}, "1 tensors missing (" + wordTable + ")"},
		{"one too many", nil, func(f *folder) { f.tensors["language_model.encoder.block.1.extra"] = other }, "1 tensors unexpected (language_model.encoder.block.1.extra)"},
	} {
		f := tinyT5Folder(t, false)
		if test.base != nil {
			test.base(f)
		}
		var want []Text
		if test.want == "" {
			var err error
			if want, err = captions(f); err != nil {
				t.Fatal(err)
			}
		}
		test.change(f)
		got, err := captions(f)
		switch {
		case test.want != "":
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		default:
			for i := range want {
				if got[i].Text != want[i].Text || got[i].Score != want[i].Score {
					t.Errorf("%s: got %q (%g), want %q (%g)", test.name, got[i].Text, got[i].Score, want[i].Text, want[i].Score)
				}
			}
		}
	}
}

// TestLoadT5 loads a T5 on its own under the names that it has in a BLIP-2.
func TestLoadT5(t *testing.T) {
	f := tinyT5Folder(t, false)
	alone := &folder{words: f.words, tensors: map[string]*tensors.Tensor{}}
	for name, value := range f.tensors {
		if own, ok := strings.CutPrefix(name, "language_model."); ok {
			alone.tensors[own] = value
		}
	}
	alone.tensors["encoder.embed_tokens.weight"] = alone.tensors["shared.weight"]
	open := func(config any) (*t5.Config, *model.Store, error) {
		alone.config = config
		opened, err := checkpoints.OpenFolder(alone.write(t))
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		store := model.NewStore()
		cfg, err := LoadT5(golden.Go(t), store, opened)
		return cfg, store, err
	}
	cfg, store, err := open(f.cfg.T5)
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.UntiedHead || cfg.DModel != 16 {
		t.Errorf("got %+v", cfg)
	}
	n := 0
	for v := range store.IterVariables() {
		name, _ := checkpoints.TensorName(v.Path())
		if value, err := v.Value(); err != nil || !value.Equal(f.tensors[name]) {
			t.Errorf("tensor %s differs (%v)", name, err)
		}
		n++
	}
	if want := len(alone.tensors) - 1; n != want {
		t.Errorf("%d tensors, want %d", n, want)
	}
	if _, _, err := open(map[string]any{"model_type": "mt5"}); err == nil || !strings.Contains(err.Error(), `model_type "mt5" is not a T5`) {
		t.Errorf("got %v", err)
	}
}

// TestPrompts: what the models' papers ask them with.
func TestPrompts(t *testing.T) {
	for _, test := range []struct {
		folder            *folder
		caption, question string
	}{
		{tinyFolder(t, blip2.GenerationClass), "", "Question: red? Answer:"},
		{tinyT5Folder(t, false), "", "Question: red? Short answer:"},
		{tinyT5Folder(t, true), "A short image caption.", "Question: red? Short Answer:"},
	} {
		c := &Captioner{Config: test.folder.cfg}
		if got := c.CaptionPrompt(); got != test.caption {
			t.Errorf("got %q, want %q", got, test.caption)
		}
		if got := c.QuestionPrompt("red"); got != test.question {
			t.Errorf("got %q, want %q", got, test.question)
		}
	}
}

// TestInstructionTooLong: what does not fit the Q-Former's positions is an error before anything runs.
func TestInstructionTooLong(t *testing.T) {
	f := tinyT5Folder(t, true)
	c, err := OpenCaptioner(golden.Go(t), f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Finalize()
	states, err := c.States(noise(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	request := []Request{{Prompt: strings.Repeat("circle ", 80)}}
	if _, err := c.Write(states, request, generate.Default(), nil); err == nil || !strings.Contains(err.Error(), "more than the Q-Former's 64 positions") {
		t.Errorf("got %v", err)
	}
}
