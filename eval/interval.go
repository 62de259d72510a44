package eval

import (
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
