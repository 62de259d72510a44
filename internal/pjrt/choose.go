package pjrt

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
)

// goConfig is the pure-Go backend with one goroutine an operation. Its default
// pool can wait for itself in a fused activation, and the step never ends.
const goConfig = "go:parallelism=-1"

// choice is one backend to try.
type choice struct {
	config string // for compute.NewWithConfig
	kind   string
	path   string // of the plugin; empty for others
}

// onCPU says whether XLA compiles for this machine's processors, as far as is known before it is opened.
func (c choice) onCPU() bool { return c.kind == "cpu" || c.kind == "xla" }

// choose lists the backends to try, best first. The configuration of an XLA
// backend always holds the plugin's absolute path: go-xla then neither searches
// nor downloads.
func choose(setting string, demanded bool, plugins []Plugin) ([]choice, error) {
	if !demanded {
		var out []choice
		for _, p := range plugins {
			if p.usable() {
				out = append(out, choice{"xla:" + p.Path, p.Kind, p.Path})
			}
		}
		return append(out, choice{config: goConfig, kind: "go"}), nil
	}
	name, rest, _ := strings.Cut(setting, ":")
	switch name {
	case "", "go":
		if rest == "" {
			return []choice{{config: goConfig, kind: "go"}}, nil
		}
		return []choice{{config: setting, kind: name}}, nil
	case "xla", "stablehlo", "hlo", "shlo":
	default:
		return []choice{{config: setting, kind: name}}, nil
	}
	wanted, options, hasOptions := strings.Cut(rest, ",")
	if hasOptions {
		options = "," + options
	}
	if filepath.IsAbs(wanted) {
		kind := kindOf(wanted)
		if kind == "" {
			kind = "xla"
		}
		return []choice{{setting, kind, wanted}}, nil
	}
	for _, p := range plugins {
		if wanted == p.Kind || wanted == p.name || wanted == "" && p.usable() {
			return []choice{{"xla:" + p.Path + options, p.Kind, p.Path}}, nil
		}
	}
	if wanted == "" {
		wanted = "cpu"
	}
	return nil, fmt.Errorf("%s=%q: no such plugin is installed; run: goblip setup %s", compute.ConfigEnvVar, setting, wanted)
}
