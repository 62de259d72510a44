package train

import (
	"math"
	"testing"
)

func TestWarmupCosine(t *testing.T) {
	const start, peak, least = 1e-6, 1e-4, 1e-5
	rate := WarmupCosine(start, peak, least, 10, 111)
	for _, test := range []struct {
		name string
		step int
		want float64
	}{
		{"first", 0, start},
		{"half of the warm-up", 5, (start + peak) / 2},
		{"peak", 10, peak},
		{"half of the cosine", 60, (peak + least) / 2},
		{"last", 110, least},
		{"behind the end", 500, least},
	} {
		if got := rate(test.step); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%s: got %g, want %g", test.name, got, test.want)
		}
	}
	for step := 10; step < 110; step++ {
		if rate(step+1) >= rate(step) {
			t.Errorf("the rate does not fall from step %d on", step)
		}
	}
	if got := WarmupCosine(0, peak, least, 0, 1)(0); got != peak {
		t.Errorf("a run of one step has rate %g, want the peak", got)
	}
	if got := WarmupCosine(0, peak, least, 20, 10)(5); math.Abs(got-peak/4) > 1e-12 {
		t.Errorf("in a warm-up longer than the run: got %g, want %g", got, peak/4)
	}
}

// TestEpochCosine: constant inside an epoch, and a first epoch shorter than the warm-up jumps to
// the cosine. TestOptimisationParity compares with LAVIS' numbers.
func TestEpochCosine(t *testing.T) {
	rate := EpochCosine(0, 1, 0, 100, 10, 4)
	for step, want := range map[int]float64{0: 0, 9: 0.09, 10: 0.5 * (1 + math.Cos(math.Pi/4)), 19: 0.5 * (1 + math.Cos(math.Pi/4)), 20: 0.5} {
		if got := rate(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: got %g, want %g", step, got, want)
		}
	}
}
