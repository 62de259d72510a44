package generate

import (
	"math/rand/v2"
	"slices"
)

// greedy takes the best token of each step, or draws one when sampling. A row that ended goes on
// with its end token, unheard, until all rows ended.
func greedy(d Decoder, prompts [][]int32, vocab int, o Options, streams []uint64) ([]Sequence, error) {
	rows := len(prompts)
	out := make([]Sequence, rows)
	history := make([][]int32, rows)
	randoms := make([]*rand.Rand, rows)
	tokens, parents := make([]int32, rows), make([]int32, rows)
	ended := make([]bool, rows)
	for r := range rows {
		history[r] = slices.Clone(prompts[r])
		parents[r] = int32(r)
		stream := uint64(r)
		if streams != nil {
			stream = streams[r]
		}
		randoms[r] = rand.New(rand.NewPCG(o.Seed, stream))
	}
	logits, err := d.First()
	var logProbs []float64
	scores := make([]float64, vocab)
	for n := 0; err == nil; n++ {
		left := 0
		for r := range rows {
			tokens[r] = int32(o.EOSTokenID)
			if ended[r] {
				continue
			}
			row := logits[r*vocab : (r+1)*vocab]
			logProbs = logSoftmax(row, logProbs)
			for i, x := range row { // processors see raw logits here, log-probabilities in beam search
				scores[i] = float64(x)
			}
			o.process(scores, history[r], n)
			token := 0
			if o.DoSample {
				o.warp(scores)
				token = draw(softmax(scores), randoms[r].Float64())
			} else {
				for i, s := range scores {
					if s > scores[token] {
						token = i
					}
				}
			}
			tokens[r] = int32(token)
			history[r] = append(history[r], int32(token))
			out[r].IDs = append(out[r].IDs, int32(token))
			out[r].LogProbs = append(out[r].LogProbs, logProbs[token])
			out[r].Score += logProbs[token]
			ended[r] = token == o.EOSTokenID
			if !ended[r] {
				left++
			}
		}
		if left == 0 || n+1 == o.MaxNewTokens {
			return out, nil
		}
		logits, err = d.Next(tokens, parents)
	}
	return nil, err
}

// draw inverts the cumulative distribution in the order of ids: one uniform number a token.
func draw(probabilities []float64, u float64) int {
	last := 0
	for i, p := range probabilities {
		if p > 0 {
			last = i
			if u < p {
				return i
			}
			u -= p
		}
	}
	return last
}
