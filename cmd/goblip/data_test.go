package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// data runs "goblip data ARGS" -> standard output.
func data(args ...string) (string, error) {
	command := newDataCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetErr(&out)
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetArgs(args)
	err := command.Execute()
	return out.String(), err
}

func TestDataMakeCheckStats(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shapes")
	out, err := data("make", "shapes", "--out", dir, "--train", "20", "--val", "2", "--test", "3")
	if err != nil || !strings.Contains(out, filepath.Join(dir, "test.jsonl")) {
		t.Fatalf("make: %q, %v", out, err)
	}
	file := filepath.Join(dir, "train.jsonl")
	if out, err := data("check", file); err != nil || !strings.Contains(out, "no problems") {
		t.Errorf("check: %q, %v", out, err)
	}
	out, err = data("stats", file)
	for _, want := range []string{"pictures    20 ", "captions    100, 5.0 a picture", "questions   80", "48x48        20"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("stats lack %q: %q, %v", want, out, err)
		}
	}
	// One bad picture and one bad line, both named.
	picture := filepath.Join(dir, "images", "train", "000003.png")
	bytes, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, bytes[:len(bytes)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, `{"image":"images/train/000000.png","caption":" "}`+"\n"...)
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err = data("check", file)
	if err == nil || err.Error() != "2 problems found" ||
		!strings.Contains(out, "000003.png: damaged or truncated PNG") || !strings.Contains(out, "train.jsonl:21: empty caption") {
		t.Errorf("check of a damaged set: %q, %v", out, err)
	}
	if out, err = data("check", "--json", file); err == nil || !strings.Contains(out, `"what": "empty caption"`) {
		t.Errorf("check --json: %q, %v", out, err)
	}
	if _, err := data("make", "shapes", "--out", dir, "--size", "7"); err == nil || !strings.Contains(err.Error(), "size: 7") {
		t.Errorf("size 7: %v", err)
	}
}
