// Package pjrt opens the GoMLX backend that everything in goblip computes on.
//
// Open decides once for the whole process: what GOMLX_BACKEND demands, else the
// best installed PJRT plugin (CUDA, TPU, CPU), else the pure-Go backend with a
// warning. Nothing here downloads unless Install is called.
//
// In reading order: pjrt.go (Open, Info), choose.go (which backend), find.go
// (where plugins lie), install.go and wheel.go ("goblip setup"), devices.go
// (several devices on one CPU), memory.go (peak memory of the process),
// hugepages.go (fewer page faults), overwrite.go and buffers.go (training
// steps that update in place), xnnpack.go (and multiply with what was updated), products.go (bfloat16 on accelerators), export.go (programs for devices that are not here).
package pjrt

import (
	"fmt"
	"os"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	_ "github.com/gomlx/gomlx/backends/default" // registers the "xla" and "go" backends
)

// Info says which backend was opened, and what a user should know about it.
type Info struct {
	// Config is the value of GOMLX_BACKEND that opens the same backend again.
	Config string `json:"config"`
	// Kind is "cpu", "cuda", "tpu" (or another plugin's name), or "go".
	Kind string `json:"kind"`
	// Plugin is the path of the PJRT plugin, empty for the pure-Go backend.
	Plugin string `json:"plugin,omitempty"`
	// Devices is how many devices one step can be spread over.
	Devices int `json:"devices"`
	// Description is the backend's own words.
	Description string `json:"description"`
	// SIMD tells whether the pure-Go backend was built with GOEXPERIMENT=simd.
	SIMD bool `json:"simd"`
	// Warnings are single lines for the user, in order.
	Warnings []string `json:"warnings,omitempty"`
}

// Require returns an error if the backend has fewer than n devices.
func (i Info) Require(n int) error {
	if n > i.Devices {
		return fmt.Errorf("%d devices wanted, the %s backend has %d", n, i.Kind, i.Devices)
	}
	return nil
}

var (
	openOnce    sync.Once
	openBackend compute.Backend
	openInfo    Info
	openErr     error
)

// Open returns the backend of this process and what it is. The first call opens
// it, later calls return the same one, so callers must not finalize it.
//
// GOMLX_BACKEND is obeyed where it is set: a backend that it demands and that
// does not open is an error. Otherwise a plugin that does not open is a warning,
// and the next one is tried, the pure-Go backend last.
//
// The choice also becomes compute.DefaultConfig, so that code that asks GoMLX
// itself for a backend gets the same.
func Open() (compute.Backend, Info, error) {
	openOnce.Do(func() {
		setting, demanded := os.LookupEnv(compute.ConfigEnvVar)
		openBackend, openInfo, openErr = open(setting, demanded, Plugins())
		if openErr == nil {
			compute.DefaultConfig = openInfo.Config
		}
	})
	return openBackend, openInfo, openErr
}

func open(setting string, demanded bool, plugins []Plugin) (compute.Backend, Info, error) {
	choices, err := choose(setting, demanded, plugins)
	if err != nil {
		return nil, Info{}, err
	}
	var warnings []string
	for _, c := range choices {
		if c.onCPU() {
			if err := withoutXNNPACK(); err != nil {
				return nil, Info{}, err
			}
		}
		opened, err := newBackend(c.config)
		if err == nil {
			if c.kind == "go" && !demanded {
				warnings = append(warnings, goWarning(len(warnings) > 0))
			}
			info := Info{
				Config: c.config, Kind: c.kind, Plugin: c.path, SIMD: simd, Warnings: warnings,
				Devices: opened.NumDevices(), Description: opened.Description(),
			}
			if x, ok := opened.(*xla.Backend); ok {
				opened = &backend{Backend: x, short: !c.onCPU()}
			}
			return opened, info, nil
		}
		if demanded {
			return nil, Info{}, fmt.Errorf("%s=%q: %w", compute.ConfigEnvVar, setting, err)
		}
		warnings = append(warnings, fmt.Sprintf("the XLA plugin %s does not load (%v)", c.path, err))
	}
	return nil, Info{}, fmt.Errorf("no backend opens: %v", warnings)
}

// newBackend is compute.NewWithConfig, which panics for an unknown name, and
// prints its settings to standard output, where a command's results belong.
func newBackend(config string) (b compute.Backend, err error) {
	if null, openErr := os.OpenFile(os.DevNull, os.O_WRONLY, 0); openErr == nil {
		stdout := os.Stdout
		os.Stdout = null
		defer func() {
			os.Stdout = stdout
			_ = null.Close() // nothing was to be kept
		}()
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return compute.NewWithConfig(config)
}

func goWarning(afterFailure bool) string {
	s := "no XLA plugin found (goblip setup cpu installs it): computing in pure Go, "
	if afterFailure {
		s = "computing in pure Go, "
	}
	if simd {
		return s + "about twice as slow"
	}
	return s + "many times slower; on amd64 a build with GOEXPERIMENT=simd would help"
}
