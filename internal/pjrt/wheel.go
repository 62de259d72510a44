package pjrt

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The wheel and what it holds, as measured when it was chosen.
const (
	wheelRequirement = "xla-cpu-pjrt==0.0.1"
	wheelSHA256      = "55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc"
	wheelEntry       = "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so"
	wheelEntrySHA256 = "88c3f28c5900f48ad4a82cab9e79bba9537809743395e341485f8794268820dc"
	maxPluginBytes   = 1 << 30 // the plugin has 259 MB
)

// fromWheel lets the user's own pip download the wheel, and takes the plugin out.
func fromWheel(ctx context.Context, folder string, progress func(string)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	tmp, err := os.MkdirTemp(folder, ".wheel-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	wheel, err := pipDownload(ctx, tmp, progress)
	if err != nil {
		return "", err
	}
	sum, err := fileSHA256(wheel)
	if err != nil {
		return "", err
	}
	if sum != wheelSHA256 {
		return "", fmt.Errorf("%s has sha256 %s, want %s", filepath.Base(wheel), sum, wheelSHA256)
	}
	path := filepath.Join(folder, "pjrt_c_api_cpu_plugin.so")
	return path, extract(wheel, wheelEntry, wheelEntrySHA256, path)
}

// pipDownload tries the names under which pip is commonly found.
func pipDownload(ctx context.Context, folder string, progress func(string)) (string, error) {
	var last error
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}} {
		program, err := exec.LookPath(pip[0])
		if err != nil {
			continue
		}
		args := append(pip[1:len(pip):len(pip)], "download", "--no-deps", "--only-binary", ":all:",
			"--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-d", folder, wheelRequirement)
		progress(fmt.Sprintf("%s download %s (63 MB)", strings.Join(pip, " "), wheelRequirement))
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.WaitDelay = 5 * time.Second // a grandchild may keep the pipe open
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			last = fmt.Errorf("%s: %s", strings.Join(pip, " "), pipError(output.String(), err))
			continue
		}
		wheels, err := filepath.Glob(filepath.Join(folder, "*.whl"))
		if err != nil || len(wheels) != 1 {
			last = fmt.Errorf("%s left %d wheels, want 1", strings.Join(pip, " "), len(wheels))
			continue
		}
		return wheels[0], nil
	}
	if last == nil {
		last = fmt.Errorf("neither python3 nor pip was found")
	}
	return "", last
}

// pipError finds the line that says why.
func pipError(output string, err error) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if msg, ok := strings.CutPrefix(lines[i], "ERROR: "); ok {
			return msg
		}
	}
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}

// extract writes one entry of a zip file to path, atomically, and only if it is
// what it should be.
func extract(archive, entry, wantSHA256, path string) (err error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer r.Close()
	in, err := r.Open(entry)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), ".plugin-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = os.Remove(out.Name())
		}
	}()
	h := sha256.New()
	// One byte more than allowed tells a file at the limit from a larger one.
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, maxPluginBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %s: %w", filepath.Base(archive), entry, err)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); n > maxPluginBytes || sum != wantSHA256 {
		return fmt.Errorf("%s: %s (%d bytes) has sha256 %s, want %s", filepath.Base(archive), entry, n, sum, wantSHA256)
	}
	if err = out.Chmod(0o755); err != nil {
		return err
	}
	if err = out.Sync(); err != nil {
		return err
	}
	if err = out.Close(); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
