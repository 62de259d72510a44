package pjrt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gomlx/go-xla/installer"
	"github.com/gomlx/go-xla/pjrt"
)

// stall is how long a download may show no progress before the next source.
const stall = 60 * time.Second

// source is one way to get the CPU plugin into a folder; it returns the path of
// the plugin.
type source struct {
	name string
	get  func(ctx context.Context, folder string, progress func(string)) (string, error)
}

// Install puts the XLA CPU plugin into CacheFolder: from the releases of go-xla,
// else from the Python wheel through the user's own pip, which knows the user's
// mirrors and proxies. The plugin appears whole or not at all. progress gets
// single lines. An error leaves everything as it was: Open still works, with
// the pure-Go backend.
func Install(ctx context.Context, progress func(string)) error {
	folder, err := CacheFolder()
	if err != nil {
		return err
	}
	return install(ctx, folder, []source{
		{"go-xla release " + pjrt.DefaultCPUVersion, fromGoXLA},
		{"Python wheel " + wheelRequirement, fromWheel},
	}, progress)
}

func install(ctx context.Context, folder string, sources []source, progress func(string)) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var failures []error
	for _, s := range sources {
		progress("trying the " + s.name)
		path, err := s.get(ctx, folder, progress)
		if err == nil {
			var sum string
			if sum, err = fileSHA256(path); err == nil {
				progress(fmt.Sprintf("installed %s (sha256 %s)", path, sum))
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		progress(fmt.Sprintf("the %s cannot be had: %v", s.name, err))
		failures = append(failures, fmt.Errorf("%s: %w", s.name, err))
	}
	return errors.Join(failures...)
}

// fromGoXLA runs go-xla's installer. It cannot be cancelled, so it runs beside
// and is left alone after a while without progress: it writes to temporary
// names and ends with the process.
func fromGoXLA(ctx context.Context, folder string, _ func(string)) (string, error) {
	platform := runtime.GOOS + "_" + runtime.GOARCH
	if !slices.Contains(installer.CPUSupportedPlatforms, platform) {
		return "", fmt.Errorf("no release for %s", platform)
	}
	watched := []string{folder}
	if cache, err := os.UserCacheDir(); err == nil {
		watched = append(watched, filepath.Join(cache, "go-xla")) // where it downloads to
	}
	err := withProgress(ctx, watched, func() error {
		return installer.CPUInstall(platform, pjrt.DefaultCPUVersion, folder, true, installer.Quiet)
	})
	if err != nil {
		return "", err
	}
	for _, name := range []string{"pjrt_c_api_cpu_plugin.so", "pjrt_c_api_cpu_plugin.dylib", "pjrt_c_api_cpu_plugin.dll",
		"pjrt_c_api_cpu_" + pjrt.DefaultCPUVersion + "_plugin.dylib"} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the installer left no plugin in %s", folder)
}

// InstallAccelerator runs go-xla's installer for "cuda" or "tpu", which places
// the plugin, and for CUDA NVIDIA's libraries, in go-xla's own folder.
func InstallAccelerator(ctx context.Context, kind string, progress func(string)) error {
	lib, err := installer.DefaultHomeLibPath()
	if err != nil {
		return err
	}
	folder := filepath.Join(lib, "go-xla")
	run, err := acceleratorInstaller(kind)
	if err != nil {
		return err
	}
	progress(fmt.Sprintf("installing the %s plugin into %s", kind, folder))
	watched := []string{folder}
	if cache, err := os.UserCacheDir(); err == nil {
		watched = append(watched, filepath.Join(cache, "go-xla"))
	}
	return withProgress(ctx, watched, func() error { return run(folder) })
}

// withProgress runs f until it ends, ctx does, or the watched folders do not
// grow for a while.
func withProgress(ctx context.Context, watched []string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	size, since := int64(-1), time.Now()
	for {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if now := folderSize(watched); now != size {
				size, since = now, time.Now()
			} else if time.Since(since) > stall {
				return fmt.Errorf("no progress for %v", stall)
			}
		}
	}
}

func folderSize(folders []string) (total int64) {
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if info, err := d.Info(); err == nil {
					total += info.Size()
				}
			}
			return nil // files come and go while we look
		})
	}
	return total
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
