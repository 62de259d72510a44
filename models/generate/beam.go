package generate

import (
	"math"
	"slices"
)

// hypothesis is a running or finished beam.
type hypothesis struct {
	ids      []int32 // new tokens
	logProbs []float64
	sum      float64 // of processed log-probabilities
	score    float64 // sum / length^penalty, once finished
	row      int     // the decoder row that holds it
}

// search is the state of one item; items do not influence each other.
type search struct {
	running, finished []hypothesis
	done              bool
}

// beamSearch keeps NumBeams running beams an item. Of the 2*NumBeams best continuations those that
// end and rank among the first NumBeams finish; the best of the others run on. An item is done when
// NumBeams finished and no running beam can beat the worst of them (see Stopping), or at
// the maximum length, which finishes what runs.
func beamSearch(d Decoder, prompts [][]int32, vocab int, o Options) ([]Sequence, error) {
	k := o.NumBeams
	searches := make([]search, len(prompts))
	for i := range searches {
		for b := range k {
			h := hypothesis{row: i*k + b}
			if b > 0 {
				h.sum = -1e9 // the beams of an item start equal: only the first counts
			}
			searches[i].running = append(searches[i].running, h)
		}
	}
	rows := len(prompts) * k
	tokens, parents := make([]int32, rows), make([]int32, rows)
	logits, err := d.First()
	for n := 1; err == nil; n++ { // n: new tokens after this step
		allDone := true
		for i := range searches {
			s := &searches[i]
			if !s.done {
				s.step(logits, prompts[i], vocab, n, &o)
			}
			for b := range k {
				row := i*k + b
				tokens[row], parents[row] = int32(o.EOSTokenID), int32(row)
				if !s.done {
					h := &s.running[b]
					tokens[row], parents[row] = h.ids[n-1], int32(h.row)
					h.row = row
				}
			}
			allDone = allDone && s.done
		}
		if allDone {
			break
		}
		logits, err = d.Next(tokens, parents)
	}
	if err != nil {
		return nil, err
	}
	out := make([]Sequence, len(searches))
	for i, s := range searches {
		best := s.finished[0]
		out[i] = Sequence{IDs: best.ids, LogProbs: best.logProbs, Score: best.score}
	}
	return out, nil
}

// candidate is one continuation of a running beam.
type candidate struct {
	beam, token int
	sum         float64
	logProb     float64
}

// step advances one item to n new tokens.
func (s *search) step(logits []float32, prompt []int32, vocab, n int, o *Options) {
	k := o.NumBeams
	var best []candidate // descending, at most 2k
	var raw []float64
	scores := make([]float64, vocab)
	for b := range s.running {
		h := &s.running[b]
		raw = logSoftmax(logits[h.row*vocab:(h.row+1)*vocab], raw)
		copy(scores, raw)
		o.process(scores, append(slices.Clone(prompt), h.ids...), n-1)
		for token, p := range scores {
			c := candidate{b, token, h.sum + p, raw[token]}
			if len(best) == 2*k && c.sum <= best[2*k-1].sum {
				continue
			}
			at, _ := slices.BinarySearchFunc(best, c.sum, func(x candidate, sum float64) int {
				if x.sum >= sum { // equals stay before: the lower beam and id first
					return -1
				}
				return 1
			})
			best = slices.Insert(best, at, c)
			if len(best) > 2*k {
				best = best[:2*k]
			}
		}
	}
	atEnd := n == o.MaxNewTokens
	length := power(n, o.LengthPenalty)
	var running []hypothesis
	for rank, c := range best {
		ends := c.token == o.EOSTokenID || atEnd
		if ends && rank >= k {
			continue
		}
		from := s.running[c.beam]
		h := hypothesis{
			ids:      append(slices.Clone(from.ids), int32(c.token)),
			logProbs: append(slices.Clone(from.logProbs), c.logProb),
			sum:      c.sum, row: from.row,
		}
		switch {
		case ends:
			h.score = h.sum / length
			s.finish(h, k)
		case len(running) < k:
			running = append(running, h)
		}
	}
	s.running = running
	if atEnd {
		s.done = true
		return
	}
	s.done = len(s.finished) == k && o.EarlyStopping.ends(running[0].sum, s.finished[k-1].score, n, o)
}

// power is what divides the sum of a beam of n tokens.
func power(n int, penalty float64) float64 { return math.Pow(float64(n), penalty) }

// finish keeps the k best finished hypotheses, the earlier first among equals.
func (s *search) finish(h hypothesis, k int) {
	at, _ := slices.BinarySearchFunc(s.finished, h.score, func(x hypothesis, score float64) int {
		if x.score >= score {
			return -1
		}
		return 1
	})
	s.finished = slices.Insert(s.finished, at, h)
	if len(s.finished) > k {
		s.finished = s.finished[:k]
	}
}
