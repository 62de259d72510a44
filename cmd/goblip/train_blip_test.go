package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/models/blip"
)

var tinyBLIP = settings("hidden_size=16 num_hidden_layers=2 num_attention_heads=2 intermediate_size=16 text_hidden_size=16 text_num_hidden_layers=2 text_num_attention_heads=2 text_intermediate_size=16 image_text_hidden_size=8 queue_size=10 image_size=24")

// pretrained trains a BLIP for a few steps; queue_size 10 is no multiple of the batch.
func pretrained(t *testing.T, data string, more ...any) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blip")
	succeed(t, flags(append([]any{"train blip/pretrain --json --steps 6 --batch 4 --checkpoint-every 2 --data", data, "--out", dir, tinyBLIP}, more...)...)...)
	return dir
}

// pairs writes a data set of pairs of a corpus' pictures.
func pairs(t *testing.T, data string) string {
	t.Helper()
	set, err := datasets.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []datasets.Record
	for i := 0; i+1 < len(set.Records); i += 2 {
		out = append(out, datasets.Record{ID: fmt.Sprint(i), Image: set.Records[i].Image, Image2: set.Records[i+1].Image,
			Questions: []datasets.Question{{Question: "the left picture shows a circle", Answers: []string{[]string{"True", "false"}[i/2%2]}}}})
	}
	path := filepath.Join(filepath.Dir(data), "pairs.jsonl")
	if err := datasets.WriteJSONL(path, out); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBLIPRecipes trains a BLIP, tunes it for each task, and uses every folder that comes of it.
func TestBLIPRecipes(t *testing.T) {
	data := filepath.Join(corpus(t, 16), "train.jsonl")
	test := filepath.Join(filepath.Dir(data), "test.jsonl")
	picture := filepath.Join(filepath.Dir(data), "images", "test", "000000.png")
	whole := pretrained(t, data, "--val", test, "--eval-every 3")
	folder := filepath.Join(whole, "final")
	tuned := func(recipe, data string, more ...any) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "tuned")
		o := succeed(t, flags(append([]any{"train", recipe, "--steps 2 --batch 4 --data", data, "--init", folder, "--out", dir}, more...)...)...)
		if strings.Contains(o.stderr, "random values") != (recipe == "blip/nlvr") { // its classifier is new
			t.Errorf("%s said: %s", recipe, o.stderr)
		}
		return filepath.Join(dir, "final")
	}
	captions := func(folder string) {
		t.Helper()
		if out := succeed(t, flags("caption --max-new-tokens 4 --checkpoint", folder, picture)...).stdout; !strings.HasPrefix(out, picture) {
			t.Errorf("%s: caption printed %q", folder, out)
		}
		succeed(t, flags("eval caption --json --max-new-tokens 4 --checkpoint", folder, "--data", test)...)
	}
	searches := func(folder string) {
		t.Helper()
		var got struct{ ITM, ITC float64 }
		decode(t, succeed(t, append(flags("match --json --checkpoint", folder, picture), "--text", "a red circle")...).stdout, &got)
		if got.ITM <= 0 || got.ITM >= 1 || got.ITC == 0 {
			t.Errorf("%s: %+v", folder, got)
		}
		succeed(t, flags("eval retrieval --json --top 2 --checkpoint", folder, "--data", test)...)
	}
	t.Run("pretrain", func(t *testing.T) {
		captions(folder)
		searches(folder)
		out := succeed(t, "inspect", folder).stdout
		if !strings.Contains(out, "names and shapes are those of BlipForConditionalGeneration") || strings.Contains(out, "momentum") || strings.Contains(out, "queue") {
			t.Errorf("inspect said:\n%s", out)
		}
	})
	t.Run("caption", func(t *testing.T) {
		dir := tuned("blip/caption", data, "--set freeze=vision_model.*")
		captions(dir)
		var cfg blip.Config
		if err := checkpoints.ReadConfig(dir, &cfg); err != nil || cfg.CaptionPrompt != "a picture of" {
			t.Errorf("prompt %q, %v", cfg.CaptionPrompt, err)
		}
		for name, want := range map[string]bool{"vision_model.post_layernorm.weight": true, "text_decoder.cls.predictions.bias": false} {
			if got := sameIn(t, name, folder, dir); got != want {
				t.Errorf("%s: unchanged %v, want %v", name, got, want)
			}
		}
	})
	t.Run("retrieval", func(t *testing.T) { searches(tuned("blip/retrieval", data, "--set image_size=32")) })
	t.Run("vqa", func(t *testing.T) {
		dir := tuned("blip/vqa", data, "--val", test)
		succeed(t, append(flags("ask --max-new-tokens 3 --checkpoint", dir, picture), "-q", "what colour is it?")...)
		answers := filepath.Join(t.TempDir(), "answers.txt")
		write(t, answers, "red\ntwo\nyes\n")
		predictions := filepath.Join(t.TempDir(), "p.jsonl")
		for _, how := range []string{"--max-new-tokens 3", "--answers " + answers} {
			var got vqaResult
			decode(t, succeed(t, flags("eval vqa --json --checkpoint", dir, "--data", test, "--predictions", predictions, how)...).stdout, &got)
			sum := 0.0
			all := lines[struct{ Accuracy float64 }](t, predictions)
			for _, a := range all {
				sum += a.Accuracy
			}
			if got.Questions != len(all) || got.Questions < 8 || math.Abs(got.Accuracy.Mean-100*sum/float64(len(all))) > 1e-9 {
				t.Errorf("%s: %+v, the predictions have %g right of %d", how, got, sum, len(all))
			}
		}
	})
	t.Run("nlvr", func(t *testing.T) {
		two := pairs(t, data)
		dir := tuned("blip/nlvr", two, "--val", two)
		var got struct {
			Pairs    int
			Accuracy struct{ Mean float64 }
			Chance   float64
		}
		decode(t, succeed(t, flags("eval nlvr --json --checkpoint", dir, "--data", two)...).stdout, &got)
		if got.Pairs != 8 || got.Chance != 50 {
			t.Errorf("%+v", got)
		}
		if out := succeed(t, "inspect", dir).stdout; !strings.Contains(out, "names and shapes are those of BlipForNLVR") {
			t.Errorf("inspect said:\n%s", out)
		}
	})
	t.Run("resume", func(t *testing.T) { // with momentum copies, queues and pointer
		cut := copyOf(t, whole)
		for _, gone := range []string{"final", filepath.Join("checkpoints", "step-00000006")} {
			if err := os.RemoveAll(filepath.Join(cut, gone)); err != nil {
				t.Fatal(err)
			}
		}
		succeed(t, flags("train blip/pretrain --json --resume --steps 6 --batch 4 --checkpoint-every 2 --data", data, "--val", test, "--eval-every 3 --out", cut, tinyBLIP)...)
		sameRun(t, cut, whole)
	})
	t.Run("augmented", func(t *testing.T) { // and resumed, with paths dropped, from files instead of memory, of a mixture
		mixture := []any{"--data", test + "#weight=2", "--set augment=randaugment --set drop_path=0.5"}
		whole := pretrained(t, data, mixture...)
		cut := copyOf(t, whole)
		for _, gone := range []string{"final", filepath.Join("checkpoints", "step-00000006")} {
			if err := os.RemoveAll(filepath.Join(cut, gone)); err != nil {
				t.Fatal(err)
			}
		}
		succeed(t, flags(append([]any{"train blip/pretrain --json --resume --picture-memory 0 --steps 6 --batch 4 --checkpoint-every 2 --data", data, "--out", cut, tinyBLIP}, mixture...)...)...)
		sameRun(t, cut, whole)
		failOnce(t, exitFailed, []string{"augment \"more\""}, flags("train blip/caption --json --steps 2 --batch 4 --data", data, "--init", folder, "--out", filepath.Join(t.TempDir(), "x"), "--set augment=more")...)
	})
	t.Run("damaged", func(t *testing.T) { // found when its batch comes: the next record takes its place
		dir := copyOf(t, filepath.Dir(data))
		spoilt := filepath.Join(dir, "images", "train", "000003.png")
		bytes, err := os.ReadFile(spoilt)
		if err != nil {
			t.Fatal(err)
		}
		copy(bytes[strings.Index(string(bytes), "IDAT")+4:], "not compressed at all")
		write(t, spoilt, string(bytes))
		o := succeed(t, flags("train blip/retrieval --json --picture-memory 0 --on-bad skip --steps 5 --batch 4 --data", filepath.Join(dir, "train.jsonl"), "--init", folder, "--out", filepath.Join(t.TempDir(), "x"))...)
		if !strings.Contains(o.stdout, `"left_out": 1`) {
			t.Errorf("no count in %s", o.stdout)
		}
	})
	t.Run("towers", func(t *testing.T) {
		vision, _ := towers(t, data)
		dir := pretrained(t, data, "--vision", vision)
		captions(filepath.Join(dir, "final"))
	})
}

// sameIn says whether a tensor is the same in two folders.
func sameIn(t *testing.T, name, a, b string) bool {
	t.Helper()
	read := func(dir string) string {
		folder, err := checkpoints.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		value, err := folder.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(value.Value())
	}
	return read(a) == read(b)
}

// TestBLIPBadInput wants one line that names what is wrong, and no trace of a run.
func TestBLIPBadInput(t *testing.T) {
	good := corpus(t, 8)
	data := filepath.Join(good, "train.jsonl")
	folder := filepath.Join(pretrained(t, data), "final")
	records := func(name string, lines ...map[string]any) string {
		var b strings.Builder
		for i, l := range lines {
			if l["image"] == nil {
				l["image"] = fmt.Sprintf("images/train/%06d.png", i)
			}
			line, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(line, '\n'))
		}
		path := filepath.Join(good, name)
		write(t, path, b.String())
		return path
	}
	type record = map[string]any
	asked := func(answers ...string) record { return record{"question": "what?", "answers": answers} }
	out := filepath.Join(t.TempDir(), "out")
	for _, test := range []struct {
		name   string
		status int
		args   []string
		want   []string
	}{
		{"unknown setting", exitUsage, flags("blip/pretrain --set queue_sise=3 --data", data), []string{`unknown setting "queue_sise"`, "queue_size"}},
		{"sharing", exitFailed, flags("blip/pretrain --set sharing=some --data", data, tinyBLIP), []string{`sharing "some"`, "all_but_sa"}},
		{"negatives", exitFailed, flags("blip/retrieval --set negatives=far --data", data, tinyBLIP), []string{`negatives "far"`}},
		{"schedule", exitFailed, flags("blip/caption --set schedule=decay:2 --data", data, "--init", folder), []string{`schedule "decay:2"`}},
		{"freeze", exitFailed, flags("blip/caption --set freeze=visual.* --data", data, "--init", folder), []string{"freeze", `"visual.*" fits no tensor`}},
		{"a pattern", exitFailed, flags("blip/caption --set freeze=[ --data", data, "--init", folder), []string{`"[" is not a pattern`}},
		{"two starts", exitUsage, flags("blip/pretrain --data", data, "--init", folder, "--vision", folder), []string{"--init"}},
		{"text elsewhere", exitUsage, flags("clip --text x --data", data), []string{"--text"}},
		{"a tensor missing", exitFailed, flags("blip/caption --data", data, "--init", without(t, folder, "vision_model.post_layernorm.bias")), []string{"1 tensors missing", "vision_model.post_layernorm.bias"}},
		{"another width", exitFailed, flags("blip/caption --data", data, "--init", narrower(t, folder)), []string{"of another shape", "text_decoder.bert.encoder.layer.0.intermediate.dense.weight"}},
		{"no id", exitFailed, flags("blip/retrieval --data", records("ids.jsonl", record{"caption": "a", "id": "x"}, record{"caption": "b"}), "--init", folder),
			[]string{`ids.jsonl:2: no "id"`}},
		{"empty answer", exitFailed, flags("blip/vqa --data", records("empty.jsonl", asked("a"), asked("b", " ")), "--init", folder), []string{"empty.jsonl:2: empty answer"}},
		{"no answer", exitFailed, flags("blip/vqa --data", records("none.jsonl", asked("a"), asked()), "--init", folder), []string{"none.jsonl:2: no answers"}},
		{"no question", exitFailed, flags("blip/vqa --data", records("captions.jsonl", record{"caption": "a"}), "--init", folder), []string{"captions.jsonl: no questions"}},
		{"one picture", exitFailed, flags("blip/nlvr --data", records("one.jsonl", asked("true")), "--init", folder), []string{`one.jsonl:1: no "image2"`}},
		{"maybe", exitFailed, flags("blip/nlvr --data", records("maybe.jsonl", record{"image2": "images/train/000001.png", "question": "q", "answers": []string{"maybe"}}), "--init", folder),
			[]string{"maybe.jsonl:1", `"maybe" is not true or false`}},
		{"no words", exitFailed, flags("blip/caption --data", records("dots.jsonl", record{"caption": "..."}), "--init", folder), []string{"dots.jsonl:1", "has no words"}},
		{"long prompt", exitFailed, append(flags("blip/caption --set max_text_length=4 --data", data, "--init", folder), "--set", "prompt=a picture of the"), []string{"prompt", "max_text_length 4"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			failOnce(t, test.status, test.want, append(append([]string{"train"}, test.args...), "--steps", "2", "--batch", "2", "--json", "--out", out)...)
			untouched(t, out)
		})
	}
	failOnce(t, exitFailed, []string{"answers questions"}, flags("caption --checkpoint", asVQA(t, folder), filepath.Join(good, "images", "test"))...)
}

// narrower copies a folder whose config says another feed-forward width.
func narrower(t *testing.T, dir string) string {
	to := copyOf(t, dir)
	var config map[string]any
	if err := checkpoints.ReadConfig(dir, &config); err != nil {
		t.Fatal(err)
	}
	config["text_config"].(map[string]any)["intermediate_size"] = 12
	return withConfig(t, to, config)
}

// asVQA copies a folder under the class that answers, whose tensors it has too.
func asVQA(t *testing.T, dir string) string {
	to := copyOf(t, dir)
	var config map[string]any
	if err := checkpoints.ReadConfig(dir, &config); err != nil {
		t.Fatal(err)
	}
	config["architectures"] = []string{blip.VQAClass, blip.RetrievalClass}
	return withConfig(t, to, config)
}

func withConfig(t *testing.T, dir string, config map[string]any) string {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, checkpoints.ConfigFile), string(data))
	return dir
}
