package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"goblip/capfilt"
	"goblip/datasets"
	"goblip/datasets/shapes"
)

// capfiltBLIP are settings of a BLIP with all heads that trains in a second.
var capfiltBLIP = "image_size=24 patch_size=12 hidden_size=16 num_hidden_layers=1 num_attention_heads=2 intermediate_size=16 text_hidden_size=16 text_num_hidden_layers=1 text_num_attention_heads=2 text_intermediate_size=16 image_text_hidden_size=8 queue_size=16"

// noisy makes a corpus with web.jsonl, one of whose pictures is broken.
func noisy(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := shapes.Generate(dir, shapes.Config{Train: 40, Val: 2, Test: 2, Human: 8, Noise: 0.5, Size: 24, Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "images", "train", "000007.png"), "no picture")
	return dir
}

// results are the files of a finished capfilt, settings.json excepted, which names the models' folders.
func results(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{capfilt.ManifestFile, capfilt.BadFile, capfilt.SummaryFile, capfilt.ReportFile, "kept.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

// TestCapfilt cleans a set in one go, and again with kills and a SIGTERM in between: the bytes are the same. Then
// it changes the rule, trains on the result, and refuses other work in the same folder.
func TestCapfilt(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	data := noisy(t)
	base := t.TempDir()
	succeed(t, flags("train blip/pretrain --json --steps 1 --batch 4 --data", filepath.Join(data, "human.jsonl"), "--out", filepath.Join(base, "blip"), settings(capfiltBLIP))...)
	blip := filepath.Join(base, "blip", "final")
	args := flags("capfilt --data", filepath.Join(data, "web.jsonl"), "--human", filepath.Join(data, "human.jsonl"), "--captioner", "w="+blip, "--filter", "f="+blip,
		"--captions 2 --max-new-tokens 6 --chunk 4 --threshold 0.01 --json")
	whole, killed := filepath.Join(base, "whole"), filepath.Join(base, "killed")
	began := time.Now()
	var summary capfilt.Summary
	decode(t, succeed(t, append(args, "--out", whole)...).stdout, &summary)
	took := time.Since(began)
	if summary.Pictures != 39 || summary.BadPictures != 1 || summary.Texts != 39*3 || summary.HumanPictures != 8 || summary.Truth == nil {
		t.Fatalf("%+v", summary)
	}
	kills := 0
	for _, name := range []string{"0000001.jsonl", "0000005.jsonl"} {
		if killAt(t, append(args, "--out", killed), appears(killed, "work", "0000", name)) {
			kills++
		}
	}
	for range 2 {
		killAt(t, append(args, "--out", killed), after(time.Duration(rand.Float64()*float64(took))))
	}
	if kills == 0 {
		t.Error("no kill came in time")
	}
	cmd, stderr, ended := start(t, append(args, "--out", killed))
	if waitFor(ended, after(took/3)) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	<-ended
	if cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("SIGTERM: status %d: %s", cmd.ProcessState.ExitCode(), stderr)
	}
	succeed(t, append(args, "--out", killed)...)
	want, got := results(t, whole), results(t, killed)
	for name := range want {
		if want[name] != got[name] {
			t.Errorf("%s differs after kills", name)
		}
	}

	if decode(t, succeed(t, append(args, "--out", whole, "--threshold", "2")...).stdout, &summary); summary.Kept != 0 {
		t.Errorf("a threshold of 2 keeps %d", summary.Kept)
	}
	failOnce(t, exitFailed, []string{whole, "chunks of 4"}, append(args, "--out", whole, "--chunk", "5")...)
	set, err := datasets.Open(filepath.Join(killed, "kept.jsonl"))
	if err != nil || set.Len() == 0 {
		t.Fatal(set, err)
	}
}

// TestCapfiltRounds trains, cleans and trains again.
func TestCapfiltRounds(t *testing.T) {
	if testing.Short() {
		t.Skip("trains four models")
	}
	data, out := noisy(t), filepath.Join(t.TempDir(), "rounds")
	o := succeed(t, flags("capfilt --json --rounds 1 --max-new-tokens 4 --threshold 0 --data", filepath.Join(data, "web.jsonl"), "--human", filepath.Join(data, "human.jsonl"), "--out", out,
		settings("steps=1 batch=4", "caption."), settings("steps=1 batch=4", "retrieval."), settings("steps=1 batch=4 "+capfiltBLIP, "pretrain."))...)
	var got struct{ Rounds []capfilt.Round }
	if err := json.Unmarshal([]byte(o.stdout), &got); err != nil || len(got.Rounds) != 1 {
		t.Fatal(o.stdout, err)
	}
	r := got.Rounds[0]
	for _, dir := range []string{r.Captioner, r.Filter, r.Model} {
		if !exists(filepath.Join(dir, "config.json")) {
			t.Errorf("no model in %s", dir)
		}
	}
	if r.Summary.Pictures != 39 || r.Summary.BadPictures != 1 || len(r.Summary.Sources) != 3 {
		t.Errorf("%+v", r.Summary)
	}
}

// TestCapfiltUsage wants one line about the flag that is wrong, and nothing written.
func TestCapfiltUsage(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	for want, args := range map[string][]string{
		"a filter is needed":            {},
		"--method":                      {"--method", "best"},
		"--decode":                      {"--method", "all", "--decode", "random"},
		"top_p is 1.5":                  {"--method", "all", "--captioner", dir, "--top-p", "1.5"},
		"--init and --set":              {"--method", "all", "--set", "pretrain.steps=3"},
		"set that people wrote":         {"--rounds", "1"},
		"--set steps=3":                 {"--rounds", "1", "--human", dir, "--set", "steps=3"},
		`unknown setting "stepz"`:       {"--rounds", "1", "--human", dir, "--set", "caption.stepz=3"},
		`the name "x" is taken`:         {"--filter", "x=" + dir, "--filter", "x=" + dir},
		"rounds: -1":                    {"--rounds", "-1", "--human", dir},
		"3 captions a picture need":     {"--method", "all", "--captioner", dir, "--captions", "3", "--decode", "beam"},
		"ensemble \"most\" is not":      {"--filter", dir, "--ensemble", "most"},
		"score \"good\" is not itm":     {"--filter", dir, "--score", "good"},
		"pictures in a chunk: 0 is out": {"--filter", dir, "--chunk", "0"},
	} {
		failOnce(t, exitUsage, []string{want}, append(flags("capfilt --data", dir, "--out", out), args...)...)
	}
	untouched(t, out)
}
