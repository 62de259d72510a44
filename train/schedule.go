package train

import "math"

// Schedule gives the learning rate of a step, counted from 0.
type Schedule func(step int) float64

// WarmupCosine rises linearly from start to peak over warmup steps, then falls along a cosine that
// reaches min at the last of total steps (paper, section 3.4).
func WarmupCosine(start, peak, min float64, warmup, total int) Schedule {
	return func(step int) float64 {
		if step < warmup {
			return start + (peak-start)*float64(step)/float64(warmup)
		}
		left := total - 1 - warmup
		if left <= 0 {
			return peak
		}
		progress := math.Min(1, float64(step-warmup)/float64(left))
		return min + (peak-min)*0.5*(1+math.Cos(math.Pi*progress))
	}
}

// EpochCosine is what LAVIS does: the warm-up happens inside epoch 0 only, and from epoch 1 on the
// cosine moves once an epoch, so that the rate is constant inside it and a first epoch shorter than
// the warm-up jumps to the cosine's value.
func EpochCosine(start, peak, min float64, warmup, stepsPerEpoch, epochs int) Schedule {
	return func(step int) float64 {
		epoch := step / stepsPerEpoch
		if epoch == 0 {
			return math.Min(peak, start+(peak-start)*float64(step)/float64(max(warmup, 1)))
		}
		return min + (peak-min)*0.5*(1+math.Cos(math.Pi*float64(epoch)/float64(epochs)))
	}
}

// EpochDecay is BLIP's schedule of pre-training: the warm-up happens inside epoch 0 only, and the rate
// of epoch e is peak*decay^e, but at least min.
func EpochDecay(start, peak, min, decay float64, warmup, stepsPerEpoch int) Schedule {
	return func(step int) float64 {
		epoch := step / stepsPerEpoch
		if epoch == 0 {
			return math.Min(peak, start+(peak-start)*float64(step)/float64(max(warmup, 1)))
		}
		return math.Max(min, peak*math.Pow(decay, float64(epoch)))
	}
}
