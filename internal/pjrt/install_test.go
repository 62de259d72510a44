package pjrt

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestInstall wants the next source after a failing one, and all their errors
// where none works.
func TestInstall(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pjrt")
	bad := source{"first", func(context.Context, string, func(string)) (string, error) { return "", errors.New("unreachable") }}
	good := source{"second", func(_ context.Context, folder string, _ func(string)) (string, error) {
		path := filepath.Join(folder, "plugin")
		return path, os.WriteFile(path, []byte("abc"), 0o755)
	}}
	var lines []string
	progress := func(s string) { lines = append(lines, s) }
	if err := install(t.Context(), folder, []source{bad, good}, progress); err != nil {
		t.Fatal(err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "first cannot be had: unreachable") || !strings.Contains(got, abc) {
		t.Errorf("progress: %s", got)
	}
	err := install(t.Context(), folder, []source{bad, bad}, progress)
	if err == nil || strings.Count(err.Error(), "first: unreachable") != 2 {
		t.Errorf("got error %v", err)
	}
}

// TestFromWheel lets stand-ins for pip fail in every way, and wants one clear
// line and an empty folder.
func TestFromWheel(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-ins are shell scripts")
	}
	tests := []struct{ name, python, want string }{
		{"no Python at all", "", "neither python3 nor pip was found"},
		{"no pip", "echo /usr/bin/python3: No module named pip >&2; exit 1", "No module named pip"},
		{"no such package", "echo ERROR: No matching distribution >&2; echo bye; exit 1", "python3 -m pip: No matching distribution"},
		{"nothing downloaded", "exit 0", "left 0 wheels"},
		{"another wheel", `while [ "$1" != -d ]; do shift; done; echo x >"$2/a.whl"`, "a.whl has sha256"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bin, folder := t.TempDir(), t.TempDir()
			t.Setenv("PATH", bin)
			if test.python != "" {
				if err := os.WriteFile(filepath.Join(bin, "python3"), []byte("#!/bin/sh\n"+test.python+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			_, err := fromWheel(t.Context(), folder, func(string) {})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got error %v, want %q", err, test.want)
			}
			if left, _ := os.ReadDir(folder); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestExtract(t *testing.T) {
	folder := t.TempDir()
	archive := filepath.Join(folder, "a.whl")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	entry, err := w.Create("dir/plugin.so")
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("plugin", 10_000)
	if _, err := entry.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	want, path := hex.EncodeToString(sum[:]), filepath.Join(folder, "out.so")

	for _, test := range []struct{ entry, sum, want string }{
		{"dir/plugin.so", strings.Repeat("0", 64), "has sha256 " + want},
		{"dir/other.so", want, "a.whl: open dir/other.so"},
		{"../plugin.so", want, "a.whl: open ../plugin.so"},
	} {
		if err := extract(archive, test.entry, test.sum, path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.entry, err, test.want)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("failures left files: %v", entries)
	}
	if err := extract(archive, "dir/plugin.so", want, path); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != content {
		t.Errorf("got %d bytes, want %d", len(got), len(content))
	}

	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := extract(archive, "dir/plugin.so", want, path); err == nil {
		t.Error("a truncated archive was accepted")
	}
}

func TestWithProgressEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	block := make(chan struct{})
	defer close(block)
	err := withProgress(ctx, nil, func() error { <-block; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
