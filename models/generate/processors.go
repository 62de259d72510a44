package generate

import (
	"math"
	"slices"
)

// process changes scores in place before a choice: history are all ids so far, prompt included.
func (o *Options) process(scores []float64, history []int32, newTokens int) {
	if p := o.RepetitionPenalty; p != 1 {
		seen := map[int32]bool{}
		for _, id := range history {
			if seen[id] || int(id) >= len(scores) || id < 0 {
				continue
			}
			seen[id] = true
			if scores[id] < 0 {
				scores[id] *= p
			} else {
				scores[id] /= p
			}
		}
	}
	if n := o.NoRepeatNgramSize; n > 0 && len(history)+1 >= n {
		last := history[len(history)-n+1:]
		for i := 0; i+n <= len(history); i++ {
			if id := history[i+n-1]; int(id) < len(scores) && slices.Equal(history[i:i+n-1], last) {
				scores[id] = math.Inf(-1)
			}
		}
	}
	if newTokens < o.MinNewTokens || len(history) < o.MinLength {
		scores[o.EOSTokenID] = math.Inf(-1)
	}
}

// warp narrows a sampling distribution: temperature, then top-k, then top-p (nucleus).
func (o *Options) warp(scores []float64) {
	if o.Temperature != 1 {
		for i := range scores {
			scores[i] /= o.Temperature
		}
	}
	if o.TopK > 0 && o.TopK < len(scores) {
		order := descending(scores)
		least := scores[order[o.TopK-1]]
		for i, s := range scores {
			if s < least {
				scores[i] = math.Inf(-1)
			}
		}
	}
	if o.TopP < 1 {
		order := descending(scores)
		probabilities := softmax(scores)
		// Words are dropped from the least likely up while those dropped sum to at most 1-p;
		// the most likely one always stays.
		dropped := 0.0
		for i := len(order) - 1; i > 0; i-- {
			dropped += probabilities[order[i]]
			if dropped > 1-o.TopP {
				break
			}
			scores[order[i]] = math.Inf(-1)
		}
	}
}

// descending lists indices by score, the best first, the lower index first among equals.
func descending(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	return order
}

func softmax(scores []float64) []float64 {
	top := slices.Max(scores)
	out, sum := make([]float64, len(scores)), 0.0
	for i, s := range scores {
		out[i] = math.Exp(s - top)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
