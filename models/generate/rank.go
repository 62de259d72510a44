package generate

import (
	"cmp"
	"fmt"
	"slices"
)

// rank chooses among o.Candidates: the NumBeams with the most likely first tokens are read to their ends, and the one
// with the largest score wins, the earlier of two equal ones (BLIP, appendix on VQA).
func rank(d Decoder, items, vocab int, o Options) ([]Sequence, error) {
	for i, c := range o.Candidates {
		if len(c) == 0 || len(c) > o.MaxNewTokens {
			return nil, fmt.Errorf("candidate %d has %d tokens, want 1 to max_new_tokens, %d", i, len(c), o.MaxNewTokens)
		}
		for _, id := range c {
			if id < 0 || int(id) >= vocab {
				return nil, fmt.Errorf("candidate %d has token %d, outside the vocabulary of %d", i, id, vocab)
			}
		}
	}
	for i, choices := range o.Choices {
		for _, c := range choices {
			if c < 0 || c >= len(o.Candidates) {
				return nil, fmt.Errorf("item %d may choose candidate %d, of %d", i, c, len(o.Candidates))
			}
		}
	}
	if o.Choices != nil && len(o.Choices) != items {
		return nil, fmt.Errorf("choices for %d of %d items", len(o.Choices), items)
	}
	k := o.NumBeams
	rows := items * k
	chosen := make([]int, rows) // candidate of each row
	logits, err := d.First()
	if err != nil {
		return nil, err
	}
	var logProbs []float64
	for i := range items {
		logProbs = logSoftmax(logits[i*k*vocab:(i*k+1)*vocab], logProbs)
		order := o.choices(i)
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(logProbs[o.Candidates[b][0]], logProbs[o.Candidates[a][0]])
		})
		for b := range k {
			chosen[i*k+b] = order[min(b, len(order)-1)]
		}
	}
	out := make([]Sequence, rows)
	tokens, parents := make([]int32, rows), make([]int32, rows)
	for n := 0; ; n++ {
		longer := false
		for r := range rows {
			c := o.Candidates[chosen[r]]
			tokens[r], parents[r] = int32(o.EOSTokenID), int32(r)
			if n >= len(c) {
				continue
			}
			tokens[r], longer = c[n], longer || n+1 < len(c)
			logProbs = logSoftmax(logits[r*vocab:(r+1)*vocab], logProbs)
			out[r].IDs = append(out[r].IDs, c[n])
			out[r].LogProbs = append(out[r].LogProbs, logProbs[c[n]])
			out[r].Score += (1 - o.LabelSmoothing) * logProbs[c[n]]
			if o.LabelSmoothing > 0 {
				mean := 0.0
				for _, p := range logProbs {
					mean += p / float64(vocab)
				}
				out[r].Score += o.LabelSmoothing * mean
			}
		}
		if !longer {
			break
		}
		if logits, err = d.Next(tokens, parents); err != nil {
			return nil, err
		}
	}
	best := make([]Sequence, items)
	for i := range best {
		at := i * k
		for r := i * k; r < (i+1)*k; r++ {
			if out[r].Score > out[at].Score || out[r].Score == out[at].Score && chosen[r] < chosen[at] {
				at = r
			}
		}
		best[i] = out[at]
	}
	return best, nil
}

// choices are the candidates that an item may have.
func (o *Options) choices(item int) []int {
	if o.Choices != nil && len(o.Choices[item]) > 0 {
		return slices.Clone(o.Choices[item])
	}
	all := make([]int, len(o.Candidates))
	for c := range all {
		all[c] = c
	}
	return all
}
