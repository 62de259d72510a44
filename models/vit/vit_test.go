package vit

import (
	"math"
	"testing"
)

// TestDropPathRates wants them to rise from 0 at the first block to the whole at the last.
func TestDropPathRates(t *testing.T) {
	cfg := Config{NumHiddenLayers: 5, DropPath: 0.4}
	for i, want := range []float64{0, 0.1, 0.2, 0.3, 0.4} {
		if got := cfg.dropPath(i); math.Abs(got-want) > 1e-9 {
			t.Errorf("block %d: %g, want %g", i, got, want)
		}
	}
	if cfg.NumHiddenLayers = 1; cfg.dropPath(0) != 0 {
		t.Errorf("one block: %g, want 0", cfg.dropPath(0))
	}
}
