//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goblip/checkpoints"
)

// fill leaves free bytes on a file system; the file that takes the rest is returned.
func fill(t *testing.T, mount string, free int64) (filler string) {
	t.Helper()
	filler = filepath.Join(mount, "filler")
	var disk syscall.Statfs_t
	if err := syscall.Statfs(mount, &disk); err != nil {
		t.Fatal(err)
	}
	n := int64(disk.Bavail)*disk.Bsize - free
	if n < 0 {
		t.Fatalf("%d bytes fewer than wanted", -n)
	}
	write(t, filler, strings.Repeat("x", int(n)))
	return filler
}

// TestFullDisk trains onto a disk that is full when a checkpoint, and later the final model, is
// written: one line each time, nothing lost, and the run goes on when there is room again.
func TestFullDisk(t *testing.T) {
	mount := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a tmpfs: %s", strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { _ = exec.Command("umount", mount).Run() })
	data := filepath.Join(corpus(t, 12), "train.jsonl")
	want, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(mount, "run")
	args := flags("train lm --json --steps 9 --batch 4 --checkpoint-every 3 --log-every 1 --data", data, tinyLM)
	succeed(t, append(args, "--out", want)...)
	args = append(args, "--resume", "--out", out)
	if !killAt(t, args, appears(out, "checkpoints", "step-00000003")) {
		t.Fatal("the run ended too early")
	}
	for _, step := range []string{"step-00000006", "step-00000009"} { // it may have come further
		if err := os.RemoveAll(filepath.Join(out, "checkpoints", step)); err != nil {
			t.Fatal(err)
		}
	}
	intact := func(want int) {
		t.Helper()
		step, _, damaged, err := checkpoints.LatestUsable(filepath.Join(out, "checkpoints"))
		if err != nil || step != want || len(damaged) > 0 {
			t.Errorf("checkpoint %d, want %d; damaged %v, %v", step, want, damaged, err)
		}
		_ = filepath.WalkDir(out, func(path string, _ os.DirEntry, _ error) error {
			if strings.Contains(path, ".tmp-") {
				t.Errorf("left behind: %s", path)
			}
			return nil
		})
	}
	size := int64(0)
	files, _ := filepath.Glob(filepath.Join(out, "checkpoints", "step-00000003", "*"))
	for _, file := range files {
		stat, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		size += stat.Size()
	}

	filler := fill(t, mount, 20<<10)
	failOnce(t, exitFailed, []string{"writing " + filepath.Join(out, "checkpoints", "step-00000006") + "/", ".safetensors: no space left on device"}, args...)
	intact(3)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}

	// Room for the checkpoint of step 9, and little more.
	filler = fill(t, mount, size+30<<10)
	failOnce(t, exitFailed, []string{"writing " + filepath.Join(out, "final"), ": no space left on device"}, append(args, "--checkpoint-every", "0")...)
	intact(9)
	untouched(t, filepath.Join(out, "final"))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}

	succeed(t, args...)
	if err := os.RemoveAll(filepath.Join(want, "checkpoints", "step-00000006")); err != nil {
		t.Fatal(err)
	}
	sameRun(t, out, want)
}
