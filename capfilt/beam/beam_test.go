package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"goblip/capfilt"
	"goblip/capfilt/capfilttest"
	"goblip/datasets"
	"goblip/internal/golden"
	"goblip/models/blip"
)

// TestMain lets a worker process of a runner, which is this test, do its work.
func TestMain(m *testing.M) {
	if err := os.Setenv("GOMLX_BACKEND", "go:parallelism=-1"); err != nil { // tiny graphs take it milliseconds
		panic(err)
	}
	os.Exit(m.Run())
}

// noisy is a set with bad pictures, and the arguments that clean it with two captioners and two filters.
func noisy(t *testing.T) (source string, args []string) {
	t.Helper()
	models := t.TempDir()
	for i, m := range []struct {
		flag, class string
		side        int
	}{{"captioner", blip.CaptionClass, 8}, {"captioner", blip.CaptionClass, 12}, {"filter", blip.RetrievalClass, 8}, {"filter", blip.RetrievalClass, 12}} {
		dir := filepath.Join(models, string(rune('a'+i)))
		capfilttest.BLIP(t, dir, m.class, m.side, uint64(i))
		args = append(args, "--"+m.flag, dir)
	}
	source = capfilttest.Pictures(t, 41, 2, 17, 40)
	return source, append(args, "--data", source, "--captions", "2", "--max-new-tokens", "6", "--min-new-tokens", "2",
		"--score", "itc", "--top-k", "2", "--chunk", "4", "--shard-size", "10", "--human", capfilttest.Pictures(t, 3))
}

// local does the same in order in this process, as "goblip capfilt" does.
func local(t *testing.T, out string, args []string) *capfilt.Summary {
	t.Helper()
	config := configOf(t, append(args, "--out", out))
	s, err := capfilt.Run(context.Background(), config, func() (*capfilt.Models, error) { return capfilt.OpenModels(golden.Go(t), config) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(context.Background(), args, &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	return stdout.String()
}

// lines are those of some files of a folder, sorted.
func lines(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	var all []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.SplitAfter(string(data), "\n")...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// TestEqualsLocal cleans a small set on Prism and in this process: the same texts, scores, decisions, bad pictures,
// counts and report. Models are loaded once a process; a second run with another rule loads none.
func TestEqualsLocal(t *testing.T) {
	_, args := noisy(t)
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	want := local(t, here, args)
	if want.Kept == 0 || want.Kept == want.Texts || want.BadPictures != 3 {
		t.Fatalf("%d of %d texts kept, %d bad pictures: this proves little", want.Kept, want.Texts, want.BadPictures)
	}
	before := workers.opened
	var got capfilt.Summary
	if err := json.Unmarshal([]byte(mustRun(t, append(args, "--out", there, "--json")...)), &got); err != nil {
		t.Fatal(err)
	}
	if n := workers.opened - before; n != 1 {
		t.Errorf("models were loaded %d times", n)
	}
	same := func() {
		t.Helper()
		for _, base := range []string{"kept", "manifest", "bad"} {
			if a, b := lines(t, here, base+"*.jsonl"), lines(t, there, base+"-*-of-00005.jsonl"); !slices.Equal(a, b) {
				t.Errorf("%s: %d lines, want %d:\n%s", base, len(b), len(a), strings.Join(b, ""))
			}
		}
		for _, pattern := range []string{filepath.Join("work", "*", "*"), capfilt.ReportFile} {
			if !slices.Equal(lines(t, here, pattern), lines(t, there, pattern)) {
				t.Errorf("%s differs", pattern)
			}
		}
	}
	same()
	if len(got.Files) != 5 {
		t.Errorf("files %q", got.Files)
	}
	onDisk, err := capfilt.ReadSummary(there)
	if err != nil || !reflect.DeepEqual(onDisk, &got) {
		t.Errorf("summary.json: %v, %+v, printed %+v", err, onDisk, got)
	}
	b, _ := capfilt.ReadSummary(here)
	if got.Files, b.Files = nil, nil; !reflect.DeepEqual(b, &got) {
		t.Errorf("summary %+v, want %+v", got, b)
	}

	// All parts are one source, whose pictures are found.
	set, err := datasets.Open(filepath.Join(there, "kept-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != want.PicturesKept+want.HumanPictures {
		t.Errorf("%d records, want %d and %d of people", set.Len(), want.PicturesKept, want.HumanPictures)
	}
	for _, r := range set.Records {
		if _, err := os.Stat(r.Image); err != nil {
			t.Error(err)
		}
	}

	args = append(args, "--ensemble", "min", "--top-k", "1")
	local(t, here, args)
	before = workers.opened
	if out := mustRun(t, append(args, "--out", there)...); !strings.Contains(out, "kept-*.jsonl") {
		t.Errorf("printed %q", out)
	}
	same()
	if workers.opened != before {
		t.Error("another rule on finished work loaded the models")
	}
}

// TestResume: chunks of an earlier run, here the local one's, are not done again, and what is missing is done.
func TestResume(t *testing.T) {
	_, args := noisy(t)
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	local(t, here, args)
	local(t, there, args)
	chunks, err := filepath.Glob(filepath.Join(there, "work", "*", "*"))
	if err != nil || len(chunks) != 11 {
		t.Fatalf("chunks %q, %v", chunks, err)
	}
	for _, i := range []int{0, 4, 5, 10} {
		if err := os.Remove(chunks[i]); err != nil {
			t.Fatal(err)
		}
	}
	stay, err := os.Stat(chunks[1])
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, append(args, "--out", there)...)
	if !slices.Equal(lines(t, here, "manifest.jsonl"), lines(t, there, "manifest-*.jsonl")) {
		t.Error("another manifest")
	}
	if now, err := os.Stat(chunks[1]); err != nil || !now.ModTime().Equal(stay.ModTime()) {
		t.Errorf("a finished chunk was done again (%v)", err)
	}
}

// TestFailures: mistakes end with one line and the status that goblip has for them.
func TestFailures(t *testing.T) {
	source, args := noisy(t)
	out := filepath.Join(t.TempDir(), "out")
	damaged := filepath.Join(t.TempDir(), "damaged") // a model's folder
	if err := os.CopyFS(damaged, os.DirFS(args[1])); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "model.safetensors"), []byte("no"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitUsage, "a source and a folder", []string{"--filter", args[5]}},
		{exitUsage, "unknown flag: --captons", []string{"--captons", "2"}},
		{exitUsage, "--decode", append(args, "--out", out, "--decode", "lucky")},
		{exitUsage, "unknown argument", append(args, "--out", out, "more")},
		{exitFailed, "does not exist", []string{"--data", source + "x", "--out", out, "--method", "all"}},
		{exitFailed, "damaged", []string{"--data", source, "--out", out, "--captioner", damaged, "--method", "all"}},
		{exitUsage, "none", append(args, "--out", out+"2", "--runner", "none")},
	} {
		var stdout, stderr bytes.Buffer
		if err := flag.Set("runner", ""); err != nil { // flags of Beam stay in the process
			t.Fatal(err)
		}
		status := run(context.Background(), test.args, &stdout, &stderr)
		if status != test.status || !strings.Contains(stderr.String(), test.want) || stdout.Len() > 0 {
			t.Errorf("%q: status %d, %s; want %d, %s", test.args, status, cmp.Or(stderr.String(), "nothing"), test.status, test.want)
		}
	}
}

func configOf(t *testing.T, args []string) capfilt.Config {
	t.Helper()
	c, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c.config
}
