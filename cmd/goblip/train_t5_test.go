package main

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/internal/golden"
	"goblip/models/t5"
)

// tinyT5 writes a T5ForConditionalGeneration of random weights that knows the words of a data set.
func tinyT5(t *testing.T, data string) string {
	t.Helper()
	words := unigramOf(t, data)
	cfg := t5.Default()
	cfg.Architectures = []string{"T5ForConditionalGeneration"}
	cfg.VocabSize, cfg.DModel, cfg.DKV, cfg.DFF, cfg.NumLayers, cfg.NumDecoderLayers, cfg.NumHeads = words.VocabSize()+3, 16, 6, 20, 1, 2, 2
	cfg.FeedForwardProj, cfg.DenseActFn, cfg.IsGatedAct = "gated-gelu", "gelu_new", true
	cfg.TieWordEmbeddings, cfg.ScaleDecoderOutputs, cfg.UntiedHead = false, false, true // as FlanT5's
	want, err := infer.Declare(golden.Go(t), model.NewStore(), func(scope *model.Scope, in []*Node) {
		states := t5.Encode(scope, &cfg, t5.Embed(scope, &cfg, in[0]), in[0])
		decoded, _ := t5.Decode(scope, &cfg, in[0], nil, t5.Remember(scope, &cfg, states, in[0]))
		t5.Logits(scope, &cfg, decoded)
	}, shapes.Make(dtypes.Int32, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 5))
	var named []checkpoints.Named
	for _, name := range slices.Sorted(maps.Keys(want)) {
		values := make([]float32, want[name].Size())
		for i := range values {
			values[i] = float32(rng.NormFloat64()) / 2
			if strings.HasSuffix(name, "layer_norm.weight") {
				values[i]++
			}
		}
		named = append(named, checkpoints.Named{Name: name, Tensor: tensors.FromFlatDataAndDimensions(values, want[name].Dimensions...)})
	}
	dir := filepath.Join(t.TempDir(), "t5")
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Config: &cfg, Tensors: named, Fill: words.Save}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unigramOf makes a Unigram of a data set's words and of letters.
func unigramOf(t *testing.T, data string) text.Tokenizer {
	t.Helper()
	set, err := datasets.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"▁Question:": true, "▁Short": true, "▁answer:": true}
	for _, r := range set.Records {
		all := slices.Clone(r.Captions)
		for _, q := range r.Questions {
			all = append(append(all, q.Question), q.Answers...)
		}
		for _, word := range strings.Fields(strings.Join(all, " ")) {
			known["▁"+word] = true
		}
	}
	vocab := [][2]any{{"<pad>", 0}, {"</s>", 0}, {"<unk>", 0}, {"▁", -9}}
	for letter := 'a'; letter <= 'z'; letter++ {
		vocab = append(vocab, [2]any{string(letter), -9})
	}
	for _, word := range slices.Sorted(maps.Keys(known)) {
		vocab = append(vocab, [2]any{word, -3})
	}
	var special []map[string]any
	for id, token := range []string{"<pad>", "</s>", "<unk>"} {
		special = append(special, map[string]any{"id": id, "content": token, "special": true, "normalized": false,
			"single_word": false, "lstrip": false, "rstrip": false})
	}
	ends := map[string]any{"SpecialToken": map[string]any{"id": "</s>", "type_id": 0}}
	file, err := json.Marshal(map[string]any{
		"version": "1.0", "added_tokens": special, "normalizer": nil,
		"pre_tokenizer": map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
		"decoder":       map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single":         []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, ends},
			"pair":           []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, ends, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 0}}, ends},
			"special_tokens": map[string]any{"</s>": map[string]any{"id": "</s>", "ids": []int{1}, "tokens": []string{"</s>"}}}},
		"model": map[string]any{"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": false},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tokenizer.json"), string(file))
	words, err := text.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// TestStage2T5 trains over a T5, stops and goes on, and uses what came of it.
func TestStage2T5(t *testing.T) {
	scenes := corpus(t, 12)
	data, test := filepath.Join(scenes, "train.jsonl"), filepath.Join(scenes, "test.jsonl")
	vision, _ := towers(t, data)
	stage1, llm := stage1Of(t, data, vision), tinyT5(t, data)
	args := flags("train blip2/stage2 --steps 60 --batch 4 --checkpoint-every 30 --log-every 1 --json --data", data, "--init", stage1, "--llm", llm,
		"--set question_share=0.3 --set learning_rate=0.01 --set warmup_steps=5 --set text_buckets=2")
	run := filepath.Join(t.TempDir(), "whole")
	succeed(t, append(args, "--out", run)...)
	final := filepath.Join(run, "final")
	steps := losses(t, run)
	mean := func(of []float64) (sum float64) {
		for _, x := range of {
			sum += x / float64(len(of))
		}
		return sum
	}
	var lm []float64
	for _, s := range steps {
		lm = append(lm, s.Terms[0].Value)
	}
	// A T5 of random weights follows its soft prompt a little way only.
	if first, last := mean(lm[:10]), mean(lm[len(lm)-10:]); len(lm) != 60 || !(last < first-0.05) {
		t.Errorf("%d steps, loss from %g to %g", len(lm), first, last)
	}

	killed := filepath.Join(t.TempDir(), "killed")
	killAt(t, append(args, "--out", killed), appears(killed, "checkpoints", "step-00000030"))
	succeed(t, append(args, "--resume", "--out", killed)...)
	sameRun(t, killed, run)

	saved, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-00000060", "*.safetensors"))
	if err != nil || len(saved) == 0 {
		t.Errorf("no checkpoint (%v)", err)
	}
	for _, file := range saved {
		if strings.Contains(read(t, file), "language_model.") {
			t.Errorf("the frozen T5 lies in %s", file)
		}
	}
	for _, file := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json", "processor_config.json"} {
		if _, err := os.Stat(filepath.Join(final, file)); err != nil {
			t.Error(err)
		}
	}
	picture := firstPicture(t, data)
	for _, use := range [][]string{
		flags("caption --max-new-tokens 6 --checkpoint", final, []string{picture}),
		flags("ask --max-new-tokens 6 --checkpoint", final, "--question", []string{"what is red?", picture}),
		flags("eval caption --json --max-new-tokens 6 --checkpoint", final, "--data", test),
	} {
		if o := succeed(t, use...); o.stdout == "" {
			t.Errorf("%q wrote nothing", use)
		}
	}

	t.Run("refused", func(t *testing.T) {
		change := func(file string, oldNew ...string) string {
			dir := copyOf(t, llm)
			edit(t, filepath.Join(dir, file), oldNew...)
			return dir
		}
		endless := copyOf(t, llm)
		var words map[string]any
		decode(t, read(t, filepath.Join(endless, "tokenizer.json")), &words)
		words["post_processor"] = nil
		changed, err := json.Marshal(words)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(endless, "tokenizer.json"), string(changed))
		out := filepath.Join(t.TempDir(), "out")
		for _, test := range []struct {
			name, llm, set string
			want           []string
		}{
			{"another kind", change("config.json", `"model_type": "t5"`, `"model_type": "llama"`), "seed=1", []string{`model_type "llama"`, "opt, t5"}},
			{"no end", endless, "seed=1", []string{"does not end a text with </s>"}},
			{"long text", change("tokenizer_config.json", `"model_max_length": 512`, `"model_max_length": 8`), "seed=1", []string{"soft tokens", "model_max_length"}},
			{"long question", llm, "question_share=1 --set max_text_length=5", []string{"train.jsonl", "question", "max_text_length is 5"}},
			{"long prompt", llm, "prompt=aaaaaaaaaaaaaaaaaaa --set max_text_length=5", []string{"prompt", "max_text_length is 5"}},
			{"lost tensor", without(t, llm, "decoder.block.0.layer.1.EncDecAttention.q.weight"), "seed=1", []string{"1 tensors missing"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				failOnce(t, exitFailed, test.want, flags("train blip2/stage2 --json --steps 2 --batch 4 --data", data, "--init", stage1, "--llm", test.llm, "--out", out, "--set "+test.set)...)
			})
		}
		failOnce(t, exitFailed, []string{`model_type "t5" is not an OPT`}, flags("train blip2/vqa --json --steps 2 --batch 4 --data", data, "--init", stage1, "--llm", llm, "--out", out)...)
	})
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// firstPicture is one of a data set.
func firstPicture(t *testing.T, data string) string {
	t.Helper()
	set, err := datasets.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return set.Records[0].Image
}
