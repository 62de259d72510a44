package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"goblip/eval"
)

// METEOR and SPICE need programs and data that are their authors': the user's own Java and jar files.

// java starts a jar with a limit of its memory; in a folder of its own, because METEOR looks for its data beside the jar.
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

// meteor asks the METEOR jar for the statistics of tokenised captions, as coco-caption does.
func meteor(ctx context.Context, jar string, hyps []string, refs [][]string) ([]eval.MeteorStats, error) {
	command, said, err := java(ctx, "2G", jar, "-", "-", "-stdio", "-l", "en", "-norm")
	if err != nil {
		return nil, err
	}
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() { // what it reads and what it answers would block each other
		w := bufio.NewWriter(in)
		for i, hyp := range hyps {
			hyp = strings.ReplaceAll(strings.ReplaceAll(hyp, "|||", ""), "  ", " ")
			fmt.Fprintf(w, "SCORE ||| %s ||| %s\n", strings.Join(refs[i], " ||| "), hyp)
		}
		_ = w.Flush() // a program that ended early is noticed by its answers
		_ = in.Close()
	}()
	stats := make([]eval.MeteorStats, 0, len(hyps))
	lines := bufio.NewScanner(out)
	for len(stats) < len(hyps) && lines.Scan() {
		s, err := eval.ParseMeteorStats(lines.Text())
		if err != nil {
			_ = command.Process.Kill()
			_ = command.Wait()
			return nil, fmt.Errorf("%s: %w", jar, err)
		}
		stats = append(stats, s)
	}
	err = errors.Join(lines.Err(), command.Wait())
	if err == nil && len(stats) < len(hyps) {
		err = fmt.Errorf("answered %d of %d captions", len(stats), len(hyps))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", jar, lastLine(said, err))
	}
	return stats, nil
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
