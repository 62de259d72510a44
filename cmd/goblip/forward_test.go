package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/golden"
)

// TestForward writes what a case asks for, a part of it, and nothing where the case is wrong.
func TestForward(t *testing.T) {
	c := golden.Open(t, "bert")
	out := filepath.Join(t.TempDir(), "out.safetensors")
	succeed(t, "forward", "--case", c.Dir(), "--output", out)
	file, err := checkpoints.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Names(), c.Expected(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range file.Names() {
		value, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		c.CheckAny(name, value)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if o := succeed(t, "forward", "--case", c.Dir(), "--output", out, "--only", "pooler*"); !strings.HasPrefix(o.stdout, "1 tensors in ") {
		t.Errorf("--only: %s", o.stdout)
	}
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	broken := copyOf(t, c.Dir())
	edit(t, filepath.Join(broken, "case.json"), `"pooler_output"`, `"attentions.1"`)
	failOnce(t, exitFailed, []string{broken, "expected", "attentions.1"}, "forward", "--case", broken, "--output", out)
	failOnce(t, exitFailed, []string{"case.json"}, "forward", "--case", filepath.Join(broken, "nowhere"), "--output", out)
	failOnce(t, exitFailed, []string{"pattern"}, "forward", "--case", c.Dir(), "--output", out, "--only", "[")
	failOnce(t, exitUsage, []string{"output"}, "forward", "--case", c.Dir())
	untouched(t, out)
}
