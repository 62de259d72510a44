package pjrt

import (
	"os"
	"strings"
)

const (
	flagsVariable = "XLA_FLAGS" // XLA reads it once, when a plugin is loaded
	xnnpackFlag   = "--xla_cpu_use_xnnpack"
)

// withoutXNNPACK tells XLA's CPU compiler not to multiply with XNNPACK, before a plugin is loaded. With it, steps
// that write over weights in place (Overwriter) computed wrong gradients from the second one on: right is the
// same program when the runtime copies what it is given, and any program without XNNPACK. Probably XNNPACK keeps
// packed weights by their address, which does not change in place. scripts/bench/run on small.json, four steps or
// more, notices it. A user's own setting stays.
func withoutXNNPACK() error {
	flags := os.Getenv(flagsVariable)
	if strings.Contains(flags, xnnpackFlag) {
		return nil
	}
	return os.Setenv(flagsVariable, strings.TrimSpace(flags+" "+xnnpackFlag+"=false"))
}
