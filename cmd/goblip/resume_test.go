package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"goblip/train/runlog"
)

// losses are a run's metrics without what a clock decides.
func losses(t *testing.T, run string) []runlog.Step {
	t.Helper()
	steps, err := runlog.Read(filepath.Join(run, runlog.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		steps[i].StepSeconds, steps[i].DataWaitSeconds, steps[i].DataWaitShare = 0, 0, 0
	}
	return steps
}

// sameRun wants two runs to have ended with the same bytes and the same log.
func sameRun(t *testing.T, got, want string) {
	t.Helper()
	for _, pattern := range []string{"final/*", "checkpoints/*/*", "vision/final/*", "llm/final/*"} {
		files, _ := filepath.Glob(filepath.Join(want, pattern))
		for _, file := range files {
			name, _ := filepath.Rel(want, file)
			a, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(got, name))
			if err != nil || !bytes.Equal(a, b) {
				t.Errorf("%s differs from that of the uninterrupted run (%v)", name, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(want, "final", "model.safetensors")); err != nil {
		t.Error(err)
	}
	for _, tower := range []string{"", "vision", "llm"} {
		if _, err := os.Stat(filepath.Join(want, tower, runlog.MetricsFile)); err == nil {
			if a, b := losses(t, filepath.Join(got, tower)), losses(t, filepath.Join(want, tower)); !reflect.DeepEqual(a, b) {
				t.Errorf("metrics of %q differ:\n%v\nwant\n%v", tower, a, b)
			}
		}
	}
	_ = filepath.WalkDir(got, func(path string, _ os.DirEntry, _ error) error {
		if strings.Contains(filepath.Base(path), ".tmp-") {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
}

// start begins a process; ended is closed when it is over.
func start(t *testing.T, args []string) (cmd *exec.Cmd, stderr *bytes.Buffer, ended <-chan struct{}) {
	t.Helper()
	cmd, stderr = program(args...), &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its status is looked at where it matters
		close(done)
	}()
	return cmd, stderr, done
}

// killAt starts the program and kills it when a condition holds; false if it ended before.
func killAt(t *testing.T, args []string, condition func() bool) bool {
	t.Helper()
	cmd, _, ended := start(t, args)
	hit := waitFor(ended, condition)
	if hit {
		_ = cmd.Process.Kill() // it may just have ended
	}
	<-ended
	return hit
}

// appears is a condition: a path of this pattern exists.
func appears(pattern ...string) func() bool {
	return func() bool {
		found, _ := filepath.Glob(filepath.Join(pattern...))
		return len(found) > 0
	}
}

// after is a condition: some time has passed.
func after(d time.Duration) func() bool {
	began := time.Now()
	return func() bool { return time.Since(began) > d }
}

// TestKilledRunResumes kills runs at random moments and at bad ones (a tower in training, a
// checkpoint half written, final/ half written): with --resume they end as if nothing had happened.
func TestKilledRunResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	data := filepath.Join(corpus(t, 24), "train.jsonl")
	vision, _ := towers(t, data)
	for _, test := range []struct {
		name string
		args []string
		bad  [][]string // patterns of paths at whose sight the run is killed
	}{
		{"lm", flags("train lm --resume --steps 30 --batch 4 --checkpoint-every 3 --log-every 4 --data", data, tinyLM),
			[][]string{{"checkpoints", ".step-*.tmp-*"}, {".final.tmp-*"}}},
		{"stage1", flags("train blip2/stage1 --resume --steps 12 --batch 4 --checkpoint-every 2 --log-every 3 --data", data, "--vision", vision, tiny1),
			[][]string{{"checkpoints", ".step-*.tmp-*", "model.safetensors"}, {".final.tmp-*", "model.safetensors"}}},
		{"stage1 with its tower", flags("train blip2/stage1 --resume --steps 4 --batch 4 --checkpoint-every 2 --data", data, tiny1,
			forTower("clip", tinyCLIP), "--set clip.steps=10 --set clip.batch=4"),
			[][]string{{"vision", "checkpoints", "step-00000002"}, {"vision", ".final.tmp-*"}, {"checkpoints", "step-00000002"}}},
		{"stage2 with its tower", flags("train blip2/stage2 --resume --steps 4 --batch 4 --checkpoint-every 2 --data", data, "--init", stage1Of(t, data, vision),
			forTower("lm", tinyLM), "--set lm.steps=6 --set lm.batch=4"),
			[][]string{{"llm", "checkpoints", "step-00000002"}, {"llm", "final"}, {"final"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want, got := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "killed")
			began := time.Now()
			succeed(t, append(test.args, "--out", want)...)
			took := time.Since(began)
			args := append(test.args, "--out", got)
			kills := 0
			for _, pattern := range test.bad {
				if killAt(t, args, appears(append([]string{got}, pattern...)...)) {
					kills++
				}
			}
			for range 2 {
				killAt(t, args, after(time.Duration(rand.Float64()*float64(took)))) // it may be finished by then
			}
			// The bad moments are short: on a busy machine some may be missed.
			if kills == 0 {
				t.Error("no kill came in time")
			}
			succeed(t, args...)
			sameRun(t, got, want)
		})
	}
}

// stage1Of trains a stage-1 folder.
func stage1Of(t *testing.T, data, vision string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stage1")
	succeed(t, flags("train blip2/stage1 --json --steps 2 --batch 4 --data", data, "--vision", vision, "--out", dir, tiny1)...)
	return filepath.Join(dir, "final")
}

// TestTermination wants SIGTERM to end a run cleanly: status 0, one line, a checkpoint.
func TestTermination(t *testing.T) {
	data := filepath.Join(corpus(t, 24), "train.jsonl")
	common := flags("train lm --steps 150 --batch 4 --checkpoint-every 0 --log-every 1 --json --data", data, tinyLM)
	want, got := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "stopped")
	succeed(t, append(common, "--out", want)...)
	cmd, stderr, ended := start(t, append(common, "--out", got))
	if !waitFor(ended, func() bool {
		steps, err := runlog.Read(filepath.Join(got, runlog.MetricsFile))
		return err == nil && len(steps) > 2
	}) {
		t.Fatalf("never trained: %s", stderr)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if s := stderr.String(); cmd.ProcessState.ExitCode() != 0 || strings.Count(s, "\n") != 1 || !strings.Contains(s, "lm stopped after step ") || !strings.Contains(s, "of 150") || !strings.Contains(s, "--resume") {
		t.Fatalf("%v, said: %s", cmd.ProcessState, s)
	}
	if !appears(got, "checkpoints", "step-*")() || appears(got, "final")() {
		t.Error("no checkpoint, or a final model of a run that is not finished")
	}
	o := succeed(t, append(common, "--out", got, "--resume")...)
	if o.stderr != "" {
		t.Errorf("with --json, said: %s", o.stderr)
	}
	// Without periodic checkpoints the two folders differ in which steps they kept.
	for _, run := range []string{want, got} {
		if err := os.RemoveAll(filepath.Join(run, "checkpoints")); err != nil {
			t.Fatal(err)
		}
	}
	sameRun(t, got, want)
}
