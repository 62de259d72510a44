package pjrt

import (
	"os"
	"strings"
)

const (
	flagsVariable = "XLA_FLAGS" // XLA reads it once, when a plugin is loaded
	xnnpackFlag   = "--xla_cpu_use_xnnpack"
)

// withoutXNNPACK tells XLA's CPU compiler not to multiply with XNNPACK, before a plugin is loaded. XNNPACK packs the
// right side of a product once and takes it for the same as long as it lies at the same address, and a program that
// writes over its weights (Overwriter) has new ones there: products, gradients above all, were with the weights of an
// earlier step. A user's own setting stays.
func withoutXNNPACK() error {
	flags := os.Getenv(flagsVariable)
	if strings.Contains(flags, xnnpackFlag) {
		return nil
	}
	return os.Setenv(flagsVariable, strings.TrimSpace(flags+" "+xnnpackFlag+"=false"))
}
