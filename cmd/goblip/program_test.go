package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goblip/datasets/shapes"
)

// Settings of models that train in a second.
var (
	tinyCLIP = settings("hidden_size=16 num_hidden_layers=2 num_attention_heads=2 intermediate_size=16 text_hidden_size=16 text_num_hidden_layers=1 text_num_attention_heads=2 projection_dim=8 image_size=24")
	tinyLM   = settings("hidden_size=16 num_hidden_layers=1 num_attention_heads=2 ffn_dim=16")
	tiny1    = settings("hidden_size=16 num_hidden_layers=2 num_attention_heads=2 intermediate_size=16 image_text_hidden_size=8 num_query_tokens=2 dropout=0.1")
)

// settings makes --set flags, with a tower's prefix if there is one.
func settings(list string, prefix ...string) []string {
	var flags []string
	for _, s := range strings.Fields(list) {
		flags = append(flags, "--set", strings.Join(prefix, "")+s)
	}
	return flags
}

// forTower turns a recipe's settings into those of a tower that is trained first.
func forTower(name string, flags []string) []string {
	var out []string
	for i := 1; i < len(flags); i += 2 {
		out = append(out, "--set", name+"."+flags[i])
	}
	return out
}

// flags joins groups of arguments.
func flags(groups ...any) []string {
	var out []string
	for _, g := range groups {
		switch g := g.(type) {
		case string:
			out = append(out, strings.Fields(g)...)
		case []string:
			out = append(out, g...)
		}
	}
	return out
}

// program is the program itself in a process of its own, on the Go backend: it compiles nothing and
// rounds the same everywhere.
func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "GOBLIP_TEST_AS_PROGRAM=1", "GOMLX_BACKEND=go:parallelism=-1")
	return cmd
}

// outcome is how a process ended.
type outcome struct {
	status         int // -1: by a signal
	stdout, stderr string
}

// finish runs a process to its end.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeed runs the program and wants status 0.
func succeed(t *testing.T, args ...string) outcome {
	t.Helper()
	o := finish(t, program(args...))
	if o.status != 0 {
		t.Fatalf("%q: status %d:\n%s", args, o.status, o.stderr)
	}
	return o
}

// failOnce runs the program and wants the status and one line on standard error that has every word.
func failOnce(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	o := finish(t, program(args...))
	if o.status != status || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.HasPrefix(o.stderr, "goblip: ") {
		t.Fatalf("%q: status %d, want %d and one line, got:\n%s%s", args, o.status, status, o.stdout, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("%q: no %q in: %s", args, w, o.stderr)
		}
	}
}

// corpus makes a few scenes and returns the folder with train.jsonl and test.jsonl.
func corpus(t *testing.T, train int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := shapes.Generate(dir, shapes.Config{Train: train, Val: 8, Test: 8, Size: 24, Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// towers trains what stage 1 and 2 read: the folders of a CLIP and of an OPT.
func towers(t *testing.T, data string) (vision, llm string) {
	t.Helper()
	dir := t.TempDir()
	vision, llm = filepath.Join(dir, "clip"), filepath.Join(dir, "lm")
	succeed(t, flags("train clip --json --steps 3 --batch 4 --data", data, "--out", vision, tinyCLIP)...)
	succeed(t, flags("train lm --json --steps 3 --batch 4 --data", data, "--out", llm, tinyLM)...)
	return filepath.Join(vision, "final"), filepath.Join(llm, "final")
}

// waitFor polls until a condition holds; false if the process ended or a minute passed first.
func waitFor(ended <-chan struct{}, condition func() bool) bool {
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-ended:
			return false
		case <-deadline:
			return false
		case <-time.After(200 * time.Microsecond):
		}
	}
	return true
}
