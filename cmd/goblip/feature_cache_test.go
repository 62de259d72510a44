package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// caches lists the folders of a feature cache.
func caches(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestFeatureCache wants runs from a cache in float32 to end with the bytes of runs without one, to share
// it between stages, and to leave features of anything else alone.
func TestFeatureCache(t *testing.T) {
	scenes := corpus(t, 24)
	data := filepath.Join(scenes, "train.jsonl")
	vision, llm := towers(t, data)
	dir := filepath.Join(t.TempDir(), "features")
	stage1 := flags("train blip2/stage1 --steps 7 --batch 8 --log-every 1 --val", filepath.Join(scenes, "val.jsonl"), "--data", data, "--vision", vision, tiny1)
	run := func(name string, args ...string) (string, outcome) {
		out := filepath.Join(t.TempDir(), name)
		return out, succeed(t, append(args, "--out", out)...)
	}
	want, _ := run("memory", stage1...)
	got, o := run("cached", append(stage1, flags("--set features=f32 --feature-cache", dir)...)...)
	if a, b := losses(t, got), losses(t, want); !reflect.DeepEqual(a, b) {
		t.Errorf("losses from the cache\n%v\nwant\n%v", a, b)
	}
	if a, b := readFile(t, got, "final", "model.safetensors"), readFile(t, want, "final", "model.safetensors"); a != b {
		t.Error("another model than without a cache")
	}
	if first := caches(t, dir); len(first) != 2 || strings.Count(o.stderr, "are to be encoded") != 2 {
		t.Errorf("training and held-out features lie in %v; said: %s", first, o.stderr)
	}
	// Stage 2 and questions have the same frozen tower; the same pictures in another place are the same.
	init := filepath.Join(want, "final")
	cached := flags("--set features=f32 --steps 2 --batch 8 --feature-cache", dir)
	moved := filepath.Join(copyOf(t, scenes), "train.jsonl")
	for _, args := range [][]string{
		flags("train blip2/stage2 --init", init, "--llm", llm, "--data", data, cached),
		flags("train blip2/vqa --init", init, "--llm", llm, "--data", moved, cached),
	} {
		if _, o := run("over", args...); len(caches(t, dir)) != 2 || strings.Contains(o.stderr, "encoded") {
			t.Errorf("%s: %v; said: %s", args[1], caches(t, dir), o.stderr)
		}
	}
	// Features of other weights, types or pictures are no features of this run.
	other, _ := run("other", flags("train clip --json --seed 2 --steps 1 --batch 4 --data", data, tinyCLIP)...)
	edit(t, moved, "000003.png", "000004.png")
	for _, test := range []struct {
		say  string
		args []string
	}{
		{"what it holds is of other weights;", []string{"--vision", filepath.Join(other, "final")}},
		{"what it holds is of another type (f32);", []string{"--set", "features=int8"}},
		{"what it holds is of other pictures;", []string{"--data", moved}},
	} {
		before := len(caches(t, dir))
		args := flags("train blip2/stage1 --steps 1 --batch 8 --set features=f32 --vision", vision, tiny1, "--feature-cache", dir, test.args)
		if test.args[0] != "--data" {
			args = append(args, "--data", data)
		}
		if _, o := run("other", args...); len(caches(t, dir)) != before+1 || strings.Count(o.stderr, test.say) != 1 {
			t.Errorf("%q: %d folders after %d; said: %s", test.say, len(caches(t, dir)), before, o.stderr)
		}
	}
	for _, test := range []struct {
		status int
		args   string
		want   string
	}{
		{exitUsage, "train lm --feature-cache " + dir, "--feature-cache is for the recipes blip2/"},
		{exitFailed, "train blip2/stage1 --set features=int8", "--feature-cache DIR keeps them, which is missing"},
		{exitFailed, "train blip2/stage1 --set features=int4 --feature-cache " + dir, `features "int4" is none of`},
		{exitFailed, "train blip2/stage1 --set augment=crop --feature-cache " + dir, "needs feature_crops=N"},
		{exitFailed, "train blip2/stage1 --set augment=cut", `augment "cut" is not none, crop or randaugment`},
	} {
		failOnce(t, test.status, []string{test.want}, flags(test.args, "--json --data", data, "--vision", vision, "--out", filepath.Join(t.TempDir(), "x"))...)
	}
}

// TestAugmentedStage1 wants kept crops to be those that the step would have cut, and a run that is
// killed in the middle of an epoch to go on with its crops.
func TestAugmentedStage1(t *testing.T) {
	data := filepath.Join(corpus(t, 24), "train.jsonl")
	vision, _ := towers(t, data)
	common := flags("train blip2/stage1 --batch 8 --checkpoint-every 1 --log-every 1 --set augment=crop --set alike=1 --data", data, "--vision", vision, tiny1)
	out := t.TempDir()
	want, plain, kept := filepath.Join(out, "crops"), filepath.Join(out, "plain"), filepath.Join(out, "kept")
	succeed(t, append(common, "--steps", "9", "--out", want)...)
	succeed(t, append(common, "--steps", "9", "--set", "augment=none", "--out", plain)...)
	dir := filepath.Join(out, "features")
	succeed(t, append(common, flags("--steps 9 --set features=f32 --set feature_crops=2 --feature-cache", dir, "--out", kept)...)...)
	crops, none, two := losses(t, want), losses(t, plain), losses(t, kept)
	for i := range crops {
		near := true
		for k, term := range crops[i].Terms {
			d := term.Value - two[i].Terms[k].Value
			near = near && d < 1e-4 && d > -1e-4
		}
		// 24 pictures are three steps: there are crops for two epochs, then the first ones come again.
		if near != (i < 6) {
			t.Errorf("step %d: losses %v of crops, %v of kept ones", i+1, crops[i].Terms, two[i].Terms)
		}
		if reflect.DeepEqual(crops[i].Terms, none[i].Terms) {
			t.Errorf("step %d: augmentation changes nothing", i+1)
		}
	}
	killed := filepath.Join(out, "killed")
	args := append(common, "--steps", "9", "--resume", "--out", killed)
	if !killAt(t, args, appears(killed, "checkpoints", "step-00000004")) {
		t.Fatal("the run ended too early")
	}
	succeed(t, args...)
	sameRun(t, killed, want)
}

func readFile(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFeatureCacheStops wants SIGINT while features are computed to end the program at once and cleanly, and the next run
// to end with the bytes of one that was not interrupted.
func TestFeatureCacheStops(t *testing.T) {
	data := filepath.Join(corpus(t, 24), "train.jsonl")
	vision, _ := towers(t, data)
	out := t.TempDir()
	args := func(name, crops string) []string {
		return flags("train blip2/stage1 --json --steps 1 --batch 8 --set augment=crop --set feature_crops="+crops, "--data", data, "--vision", vision, tiny1,
			"--feature-cache", filepath.Join(out, name, "features"), "--out", filepath.Join(out, name, "run"))
	}
	cmd, stderr, ended := start(t, args("stopped", "100000")) // far more than could be done
	if !waitFor(ended, appears(out, "stopped", "features", "*", ".shard-*")) {
		t.Fatalf("nothing was computed: %s", stderr)
	}
	signalled := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if s := stderr.String(); cmd.ProcessState.ExitCode() != 0 || strings.Count(s, "\n") != 1 || !strings.Contains(s, "stage1 stopped while pictures were encoded, feature cache ") ||
		!strings.Contains(s, "of 2400000 pictures; the same command with --resume continues") || time.Since(signalled) > 5*time.Second {
		t.Errorf("%v after %v, said: %s", cmd.ProcessState, time.Since(signalled), s)
	}
	if appears(out, "stopped", "features", "*", ".shard-*")() || appears(out, "stopped", "run")() {
		t.Error("a part of a shard, or of a run, is left")
	}
	cmd, _, ended = start(t, args("again", "400"))
	if waitFor(ended, appears(out, "again", "features", "*", ".shard-*")) {
		_ = cmd.Process.Signal(os.Interrupt) // it may just have ended
	}
	<-ended
	for _, name := range []string{"again", "whole"} {
		succeed(t, append(args(name, "400"), "--resume")...)
	}
	shards, _ := filepath.Glob(filepath.Join(out, "whole", "features", "*", "*.bin"))
	if len(shards) != 1 {
		t.Fatalf("shards: %v", shards)
	}
	if readFile(t, strings.Replace(shards[0], "whole", "again", 1)) != readFile(t, shards[0]) {
		t.Error("other features than of a run that was not interrupted")
	}
	sameRun(t, filepath.Join(out, "again", "run"), filepath.Join(out, "whole", "run"))
}
