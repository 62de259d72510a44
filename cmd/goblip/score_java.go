package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SPICE is its authors' program: the user's own Java and jar file.

// java is the command that runs a jar with a limit of its memory, in the jar's folder.
func java(ctx context.Context, memory, jar string, args ...string) (*exec.Cmd, *strings.Builder, error) {
	path, err := filepath.Abs(jar)
	if err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, nil, err
	}
	command := exec.CommandContext(ctx, "java", append([]string{"-Xmx" + memory, "-Dfile.encoding=UTF-8", "-jar", path}, args...)...)
	command.Dir = filepath.Dir(path)
	said := &strings.Builder{}
	command.Stderr = said
	return command, said, nil
}

// lastLine is what a program that failed said last.
func lastLine(said *strings.Builder, err error) error {
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

// spice asks the SPICE jar for the F-score of each image.
func spice(ctx context.Context, jar string, hyps []string, refs [][]string) ([]float64, error) {
	type item struct {
		ImageID int      `json:"image_id"`
		Test    string   `json:"test"`
		Refs    []string `json:"refs"`
	}
	items := make([]item, len(hyps))
	for i := range hyps {
		items[i] = item{i, hyps[i], refs[i]}
	}
	dir, err := os.MkdirTemp("", "goblip-spice-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	content, err := json.Marshal(items)
	if err != nil {
		return nil, err
	}
	in, out := filepath.Join(dir, "in.json"), filepath.Join(dir, "out.json")
	if err := os.WriteFile(in, content, 0o600); err != nil {
		return nil, err
	}
	command, said, err := java(ctx, "8G", jar, in, "-out", out, "-subset", "-silent")
	if err != nil {
		return nil, err
	}
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", jar, lastLine(said, err))
	}
	var results []struct {
		ImageID int `json:"image_id"`
		Scores  struct {
			All struct {
				F *float64 `json:"f"`
			}
		} `json:"scores"`
	}
	if err := readJSON(out, &results); err != nil {
		return nil, fmt.Errorf("%s: %w", jar, err)
	}
	scores, seen := make([]float64, len(hyps)), map[int]bool{}
	for _, r := range results {
		if r.ImageID < 0 || r.ImageID >= len(scores) || r.Scores.All.F == nil {
			return nil, fmt.Errorf("%s: a result without a score or of an unknown image", jar)
		}
		scores[r.ImageID] = *r.Scores.All.F
		seen[r.ImageID] = true
	}
	if len(seen) != len(scores) {
		return nil, fmt.Errorf("%s: scores of %d images, want %d", jar, len(seen), len(scores))
	}
	return scores, nil
}
