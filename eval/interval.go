package eval

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Interval is a mean and the bounds of its 95 % confidence interval, in the unit of the values.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// bootstrapResamples is enough for two digits of a 95 % bound.
const bootstrapResamples = 1000

// Bootstrap returns the mean of values with its percentile bootstrap interval. The same values and seed give the same
// interval. No values give the zero Interval.
func Bootstrap(values []float64, seed uint64) Interval {
	groups := make([][]float64, len(values))
	for i := range values {
		groups[i] = values[i : i+1]
	}
	return BootstrapGroups(groups, seed)
}

// BootstrapGroups is [Bootstrap] for values that come in groups, such as the five captions of one picture: whole
// groups are drawn, because values of one group are alike and would make the interval too narrow.
func BootstrapGroups(groups [][]float64, seed uint64) Interval {
	sums := make([]float64, len(groups))
	sum, count := 0.0, 0
	for i, group := range groups {
		for _, v := range group {
			sums[i] += v
		}
		sum += sums[i]
		count += len(group)
	}
	if count == 0 {
		return Interval{}
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	means := make([]float64, 0, bootstrapResamples)
	for range bootstrapResamples {
		s, n := 0.0, 0
		for range groups {
			i := rng.IntN(len(groups))
			s += sums[i]
			n += len(groups[i])
		}
		if n > 0 { // only empty groups may have been drawn
			means = append(means, s/float64(n))
		}
	}
	mean := sum / float64(count)
	if len(means) == 0 {
		return Interval{Mean: mean, Low: mean, High: mean}
	}
	return percentiles(mean, means)
}

// percentiles are the bounds of a 95 % interval: of values, those of resamples, which it sorts.
func percentiles(mean float64, values []float64) Interval {
	slices.Sort(values)
	last := float64(len(values) - 1)
	return Interval{Mean: mean, Low: values[int(0.025*last)], High: values[int(0.975*last+0.5)]}
}

// Statistic is a figure of a sample: draw names its members, possibly several times; nil stands for the whole sample.
type Statistic func(draw []int) float64

// meanOf is the mean of the values drawn; nil: of all.
func meanOf(values []float64, draw []int) float64 {
	sum, n := 0.0, len(values)
	if draw == nil {
		for _, v := range values {
			sum += v
		}
	} else {
		n = len(draw)
		for _, i := range draw {
			sum += values[i]
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// MeanOf is the mean as a [Statistic].
func MeanOf(values []float64) Statistic {
	return func(draw []int) float64 { return meanOf(values, draw) }
}

// GroupMeanOf is the mean of values that come in groups, as a [Statistic] of the groups: see [BootstrapGroups].
func GroupMeanOf(groups [][]float64) Statistic {
	sums, counts := make([]float64, len(groups)), make([]float64, len(groups))
	for g, values := range groups {
		for _, v := range values {
			sums[g] += v
		}
		counts[g] = float64(len(values))
	}
	return func(draw []int) float64 {
		return meanOf(sums, draw) / meanOf(counts, draw)
	}
}

// BootstrapOf returns a statistic of n members with its percentile bootstrap interval.
func BootstrapOf(n int, of Statistic, resamples int, seed uint64) Interval {
	scores := make([]float64, 0, resamples)
	for draw := range draws(n, resamples, seed) {
		scores = append(scores, of(draw))
	}
	whole := of(nil)
	if len(scores) == 0 {
		return Interval{Mean: whole, Low: whole, High: whole}
	}
	return percentiles(whole, scores)
}

// draws yields resamples of 0..n-1 with replacement. The same seed draws the same.
func draws(n, resamples int, seed uint64) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		if n == 0 {
			return
		}
		rng, draw := rand.New(rand.NewPCG(seed, 0)), make([]int, n)
		for range resamples {
			for i := range draw {
				draw[i] = rng.IntN(n)
			}
			if !yield(draw) {
				return
			}
		}
	}
}

// Paired is how two systems differ on the same members.
type Paired struct {
	Difference float64 `json:"difference"` // first minus second
	Low        float64 `json:"low"`        // of the 95 % interval
	High       float64 `json:"high"`
	P          float64 `json:"p"` // two-sided: how often chance alone would give as large a difference
}

// PairedBootstrap compares two systems by a statistic of the same n members, drawn together. A difference whose
// interval holds 0 (p above 0.05) may be chance.
func PairedBootstrap(n int, first, second Statistic, resamples int, seed uint64) (Paired, error) {
	if n == 0 || resamples < 1 {
		return Paired{}, fmt.Errorf("comparing %d members by %d resamples", n, resamples)
	}
	differences := make([]float64, 0, resamples)
	below, above := 1, 1 // the sample itself counts, so that p is never 0
	for draw := range draws(n, resamples, seed) {
		d := first(draw) - second(draw)
		differences = append(differences, d)
		if d <= 0 {
			below++
		}
		if d >= 0 {
			above++
		}
	}
	interval := percentiles(first(nil)-second(nil), differences)
	p := 2 * float64(min(below, above)) / float64(resamples+1)
	return Paired{Difference: interval.Mean, Low: interval.Low, High: interval.High, P: min(1, p)}, nil
}
