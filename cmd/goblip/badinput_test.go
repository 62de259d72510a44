package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/pjrt"
)

// untouched wants nothing at a path.
func untouched(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		var left []string
		_ = filepath.WalkDir(path, func(p string, _ os.DirEntry, _ error) error { left = append(left, p); return nil })
		t.Errorf("left behind: %q", left)
	}
}

// edit replaces words in a file.
func edit(t *testing.T, path string, oldNew ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(oldNew...).Replace(string(data))
	if changed == string(data) {
		t.Fatalf("%s holds none of %q", path, oldNew)
	}
	write(t, path, changed)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyOf copies a folder.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// without copies a model folder but for one tensor.
func without(t *testing.T, dir, tensor string) string {
	t.Helper()
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var config json.RawMessage
	if err := folder.Config(&config); err != nil {
		t.Fatal(err)
	}
	var named []checkpoints.Named
	for _, name := range folder.Names() {
		value, err := folder.File(name).Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != tensor {
			named = append(named, checkpoints.Named{Name: name, Tensor: value})
		}
	}
	if len(named) == len(folder.Names()) {
		t.Fatalf("%s has no tensor %s", dir, tensor)
	}
	to := copyOf(t, dir)
	if err := os.RemoveAll(filepath.Join(to, checkpoints.PretrainingFile)); err != nil {
		t.Fatal(err)
	}
	if err := checkpoints.Write(filepath.Join(to, checkpoints.ModelFile), named, nil); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestBadData wants one line that names the place, and no trace of a run.
func TestBadData(t *testing.T) {
	good := corpus(t, 12)
	vision, _ := towers(t, filepath.Join(good, "train.jsonl"))
	for _, test := range []struct {
		name  string
		spoil func(dir string) (data string)
		want  []string
	}{
		{"truncated picture", func(dir string) string {
			picture := filepath.Join(dir, "images", "train", "000003.png")
			if err := os.Truncate(picture, 300); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "train.jsonl")
		}, []string{"train.jsonl:4: ", "000003.png: damaged or truncated PNG picture"}},
		{"missing picture", func(dir string) string {
			edit(t, filepath.Join(dir, "train.jsonl"), "000003.png", "lost.png")
			return filepath.Join(dir, "train.jsonl")
		}, []string{"train.jsonl:4: picture path does not exist: ", "lost.png"}},
		{"empty caption", func(dir string) string {
			write(t, filepath.Join(dir, "x.jsonl"), `{"image": "images/train/000000.png", "caption": "a"}`+"\n"+`{"image": "images/train/000001.png", "captions": ["b", " "]}`+"\n")
			return filepath.Join(dir, "x.jsonl")
		}, []string{"x.jsonl:2: empty caption"}},
		{"empty text file", func(dir string) string {
			write(t, filepath.Join(dir, "images", "train", "000002.txt"), "\n")
			return filepath.Join(dir, "images", "train")
		}, []string{"000002.txt: empty caption"}},
		{"no captions", func(dir string) string { return filepath.Join(dir, "images", "train") }, []string{"000000.png: no caption", "000000.txt"}},
		{"bad JSON", func(dir string) string {
			edit(t, filepath.Join(dir, "train.jsonl"), `000004.png"`, `000004.png`)
			return filepath.Join(dir, "train.jsonl")
		}, []string{"train.jsonl:5: bad JSON"}},
		{"wrong type", func(dir string) string {
			write(t, filepath.Join(dir, "x.jsonl"), `{"image": 7, "caption": "a"}`+"\n")
			return filepath.Join(dir, "x.jsonl")
		}, []string{`x.jsonl:1: "image" must not be a JSON number`}},
		{"no such data", func(dir string) string { return filepath.Join(dir, "nowhere.jsonl") }, []string{"does not exist", "nowhere.jsonl"}},
		{"empty folder", func(dir string) string {
			empty := filepath.Join(dir, "empty")
			if err := os.Mkdir(empty, 0o755); err != nil {
				t.Fatal(err)
			}
			return empty
		}, []string{"empty: no records"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			data := test.spoil(copyOf(t, good))
			failOnce(t, exitFailed, test.want, flags("train blip2/stage1 --json --steps 2 --batch 4 --data", data, "--vision", vision, "--out", out, tiny1)...)
			untouched(t, out)
			failOnce(t, exitFailed, test.want, flags("train blip2/stage1 --json --steps 2 --batch 4 --data", data, "--out", out, tiny1)...)
			untouched(t, out)
		})
	}
}

// TestBadSettings covers the command line.
func TestBadSettings(t *testing.T) {
	data := filepath.Join(corpus(t, 12), "train.jsonl")
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "mine")
	for _, test := range []struct {
		args   string
		status int
		want   []string
	}{
		{"--set hidden_sise=16", exitUsage, []string{`--set: unknown setting "hidden_sise"`, "hidden_size"}},
		{"--set hidden_size=wide", exitUsage, []string{`hidden_size: "wide" is not a int`}},
		{"--set hidden_size", exitUsage, []string{`"hidden_size" is not name=value`}},
		{"--steps -1", exitUsage, []string{"--steps -1"}},
		{"--batch 13", exitFailed, []string{"batch 13 is larger than the data set of 12"}},
		{"--set batch=13", exitFailed, []string{"batch 13 is larger than the data set of 12"}},
		{"--devices 0", exitUsage, []string{"--devices 0"}},
		{"--set num_attention_heads=3", exitFailed, []string{"hidden_size", "3"}},
		{"--set learning_rate=-1", exitFailed, []string{"learning rate"}},
	} {
		out := filepath.Join(t.TempDir(), "run")
		failOnce(t, test.status, test.want, flags("train lm --json --steps 2 --data", data, "--out", out, tinyLM, test.args)...)
		untouched(t, out)
	}
	failOnce(t, exitUsage, []string{"--out " + file, "a file is there"}, flags("train lm --json --data", data, "--out", file, tinyLM)...)
	if got, _ := os.ReadFile(file); string(got) != "mine" {
		t.Errorf("the file holds %q", got)
	}
}

// TestBatchOverDevices needs a backend of several devices.
func TestBatchOverDevices(t *testing.T) {
	if len(pjrt.Plugins()) == 0 {
		t.Skip("no XLA plugin")
	}
	data, out := filepath.Join(corpus(t, 12), "train.jsonl"), filepath.Join(t.TempDir(), "run")
	cmd := program(flags("train lm --json --devices 2 --batch 3 --data", data, "--out", out, tinyLM)...)
	cmd.Env = append(os.Environ(), "GOBLIP_TEST_AS_PROGRAM=1")
	if o := finish(t, cmd); o.status != exitFailed || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "batch 3 does not divide over 2 devices") {
		t.Errorf("status %d: %s", o.status, o.stderr)
	}
	untouched(t, out)
}

// TestBadModel spoils model folders.
func TestBadModel(t *testing.T) {
	scenes := corpus(t, 12)
	data := filepath.Join(scenes, "train.jsonl")
	picture := filepath.Join(scenes, "images", "test", "000000.png")
	vision, llm := towers(t, data)
	stage1 := stage1Of(t, data, vision)
	dir := filepath.Join(t.TempDir(), "stage2")
	succeed(t, flags("train blip2/stage2 --json --steps 2 --batch 4 --data", data, "--init", stage1, "--llm", llm, "--out", dir)...)
	stage2 := filepath.Join(dir, "final")

	spoiled := func(dir string, oldNew ...string) string {
		to := copyOf(t, dir)
		edit(t, filepath.Join(to, "config.json"), oldNew...)
		return to
	}
	const lost = "vision_model.encoder.layers.0.mlp.fc1.bias"
	train := func(recipe string, more ...string) []string {
		return append(flags("train --json --steps 2 --batch 4", recipe, "--data", data), more...)
	}
	for _, test := range []struct {
		name string
		want []string
		args []string
	}{
		{"wrong type", []string{"config.json", "hidden_size", "string"}, train("blip2/stage1", "--vision", spoiled(vision, `"hidden_size": 16`, `"hidden_size": "16"`))},
		{"broken JSON", []string{"config.json:2: invalid"}, train("blip2/stage1", "--vision", spoiled(vision, "{", "["))},
		{"misspelt key", []string{"does not fit the model"}, train("blip2/stage1", "--vision", spoiled(vision, "intermediate_size", "intermediate_sise"))},
		{"impossible value", []string{"hidden_size 16 does not divide into 5 heads"}, train("blip2/stage1", "--vision", spoiled(vision, `"num_attention_heads": 2`, `"num_attention_heads": 5`))},
		{"lost tensor, stage 1", []string{"1 tensors missing", lost}, train("blip2/stage1", "--vision", without(t, vision, lost))},
		{"lost tensor, stage 2", []string{"1 tensors missing", "query_tokens"}, train("blip2/stage2", "--init", without(t, stage1, "query_tokens"), "--llm", llm)},
		{"lost tensor, llm", []string{"1 tensors missing", "fc1.bias"}, train("blip2/stage2", "--init", stage1, "--llm", without(t, llm, "model.decoder.layers.0.fc1.bias"))},
		{"another kind of model", []string{"model_type", "opt"}, train("blip2/stage1", "--vision", llm)},
		{"no model", []string{"no such file or directory", "nowhere"}, train("blip2/stage1", "--vision", filepath.Join(scenes, "nowhere"))},
		{"lost tensor, caption", []string{"1 tensors missing", lost}, []string{"caption", "--checkpoint", without(t, stage2, lost), picture}},
		{"stage 1 cannot caption", []string{"Blip2ForConditionalGeneration"}, []string{"caption", "--checkpoint", stage1, picture}},
		{"stage 2 cannot match", []string{"Blip2ForImageTextRetrieval"}, []string{"match", "--checkpoint", stage2, "--text", "a", picture}},
		{"long prompt", []string{"prompt has", "fit"}, []string{"ask", "--checkpoint", stage2, "--question", strings.Repeat("what is this ", 200), picture}},
		{"no such picture", []string{"picture path does not exist", "nowhere.png"}, []string{"caption", "--checkpoint", stage2, filepath.Join(scenes, "nowhere.png")}},
		{"not a picture", []string{"train.jsonl: not a JPEG"}, []string{"caption", "--checkpoint", stage2, data}},
	} {
		t.Run(test.name, func(t *testing.T) {
			args, out := test.args, filepath.Join(t.TempDir(), "run")
			if args[0] == "train" {
				args = append(args, "--out", out)
			}
			failOnce(t, exitFailed, test.want, args...)
			untouched(t, out)
		})
	}
	// Keys that goblip does not know are other programs' business.
	succeed(t, "caption", "--checkpoint", spoiled(stage2, "{\n  \"architectures\"", "{\n  \"somebody_elses\": 1,\n  \"architectures\""), picture)
}

// TestExplodingRun wants a run with an absurd learning rate to stop, to name the term, and to leave
// the last checkpoint usable.
func TestExplodingRun(t *testing.T) {
	data, out := filepath.Join(corpus(t, 12), "train.jsonl"), filepath.Join(t.TempDir(), "run")
	args := flags("train lm --json --steps 12 --batch 4 --checkpoint-every 1 --data", data, "--out", out, tinyLM, "--set learning_rate=1e30 --set warmup_steps=4")
	failOnce(t, exitFailed, []string{"lm: step ", `loss term "lm" is NaN`, "last checkpoint is unharmed"}, args...)
	untouched(t, filepath.Join(out, "final"))
	step, path, damaged, err := checkpoints.LatestUsable(filepath.Join(out, "checkpoints"))
	if err != nil || step == 0 || len(damaged) > 0 {
		t.Fatalf("step %d in %s, %v, %v", step, path, damaged, err)
	}
	failOnce(t, exitFailed, []string{"holds a run at step", "--resume"}, args...)
	failOnce(t, exitFailed, []string{`loss term "lm" is NaN`}, append(args, "--resume")...)
}

// TestDamagedCheckpoint resumes from the one before, and says so.
func TestDamagedCheckpoint(t *testing.T) {
	dir := corpus(t, 12)
	data := filepath.Join(dir, "train.jsonl")
	want, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "run")
	args := flags("train lm --steps 12 --batch 4 --checkpoint-every 4 --log-every 2 --data", data, tinyLM)
	succeed(t, append(args, "--out", want)...)
	args = append(args, "--resume", "--out", out)
	if !killAt(t, args, appears(out, "checkpoints", "step-00000008")) {
		t.Fatal("the run ended too early")
	}
	if err := os.RemoveAll(filepath.Join(out, "checkpoints", "step-00000012")); err != nil {
		t.Fatal(err)
	}
	newest := filepath.Join(out, "checkpoints", "step-00000008", "model.safetensors")
	spoil := func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-3] ^= 16
		write(t, path, string(data))
	}
	spoil(newest)
	other := filepath.Join(dir, "other.jsonl")
	raw, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	write(t, other, string(bytes.Join(bytes.SplitAfter(raw, []byte("\n"))[1:], nil)))
	failOnce(t, exitFailed, []string{"started with other data"}, append(args, "--json", "--data", other)...)
	failOnce(t, exitFailed, []string{"another configuration", "seed: 1, now 2"}, append(args, "--json", "--seed", "2")...)
	o := succeed(t, args...)
	if !strings.Contains(o.stderr, "passed over a damaged checkpoint: "+newest) || !strings.Contains(o.stderr, "continues after step 4 of 12") {
		t.Errorf("said: %s", o.stderr)
	}
	sameRun(t, out, want)

	spoil(filepath.Join(out, "checkpoints", "step-00000012", "model.safetensors"))
	if err := os.Truncate(filepath.Join(out, "checkpoints", "step-00000008", "optimizer.safetensors"), 99); err != nil {
		t.Fatal(err)
	}
	failOnce(t, exitFailed, []string{"no checkpoint of the run can be used", "step-00000012", "start again"}, append(args, "--json")...)
}
