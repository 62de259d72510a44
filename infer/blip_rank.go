package infer

import (
	"cmp"
	"fmt"
	"slices"

	"goblip/datasets/text"
	"goblip/models/blip"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Ranked is the best of some answers, with the score that the decoder gives it: minus the summed
// cross entropy of its words, smoothed as in training.
type Ranked struct {
	Answer string
	Score  float64
}

// rankedAnswers is how many of the answers, those with the likeliest first word, are scored whole, as
// in BLIP's rank_answer.
const rankedAnswers = 128

// Rank answers questions by the best of the given answers (paper, section 5.3): requests as in Write.
// It needs a folder that answers. Padding of questions is never visible.
func (b *BLIPWriter) Rank(f *Features, requests []Request, answers []string, progress func(done, total int)) ([]Ranked, error) {
	t := &b.Config.Text
	if !b.Answers() {
		return nil, fmt.Errorf("this model does not answer")
	}
	rows, length, err := b.answerRows(answers)
	if err != nil {
		return nil, err
	}
	questions, width := make([][]int32, len(requests)), 0
	for i, r := range requests {
		if questions[i] = b.encode(r.Prompt); len(questions[i]) > t.MaxPositionEmbeddings {
			return nil, fmt.Errorf("a question of %d tokens is more than the model's %d positions", len(questions[i]), t.MaxPositionEmbeddings)
		}
		width = max(width, len(questions[i]))
	}
	width = min((width+7)/8*8, t.MaxPositionEmbeddings)
	first, err := model.NewExec(b.backend, b.store, func(root *model.Scope, in []*Node) *Node { return b.firstWord(root.At("model"), in) })
	if err != nil {
		return nil, err
	}
	defer first.Finalize()
	whole, err := model.NewExec(b.backend, b.store, func(root *model.Scope, in []*Node) *Node {
		return blip.AnswerLosses(root.At("model"), b.Config, in[0], in[1], in[2], in[3], t.LabelSmoothing)
	})
	if err != nil {
		return nil, err
	}
	defer whole.Finalize()
	places := min(rankedAnswers, len(rows))
	var out []Ranked
	err = batches(len(requests), func(picked []int, n int) error {
		images, texts := make([]int, len(picked)), make([][]int32, len(picked))
		for i, k := range picked {
			images[i], texts[i] = requests[k].Image, questions[k]
		}
		flat, seen := text.Pad(texts, width, int32(t.PadTokenID), false)
		states, err := b.read.Call1(f.Batch(images), matrix(flat, len(picked)), matrix(seen, len(picked)))
		if err != nil {
			return err
		}
		words, err := first.Call1(states, matrix(seen, len(picked)))
		if err != nil {
			return err
		}
		likely, err := tensors.CopyFlatData[float32](words)
		if err != nil {
			return err
		}
		var chosen []int // places of each question in turn
		var candidates [][]int32
		for i := range picked {
			for _, a := range likeliest(likely[i*t.VocabSize:(i+1)*t.VocabSize], rows, places) {
				chosen, candidates = append(chosen, a), append(candidates, rows[a])
			}
		}
		ids, mask := text.Pad(candidates, length, int32(t.PadTokenID), false)
		losses, err := whole.Call1(states, matrix(seen, len(picked)), matrix(ids, len(candidates)), matrix(mask, len(candidates)))
		if err != nil {
			return err
		}
		values, err := tensors.CopyFlatData[float32](losses)
		if err != nil {
			return err
		}
		for i := range n {
			of := values[i*places : (i+1)*places]
			best := 0
			for k, v := range of {
				if v < of[best] {
					best = k
				}
			}
			out = append(out, Ranked{answers[chosen[i*places+best]], -float64(of[best])})
		}
		if progress != nil {
			progress(len(out), len(requests))
		}
		return states.FinalizeAll()
	})
	return out, err
}

// answerRows tokenizes answers: [DEC] answer [SEP], and the longest's length.
func (b *BLIPWriter) answerRows(answers []string) (rows [][]int32, longest int, err error) {
	if len(answers) == 0 {
		return nil, 0, fmt.Errorf("no answers to choose from")
	}
	for _, a := range answers {
		row := b.Words.Encode(a)
		if len(row) < 3 {
			return nil, 0, fmt.Errorf("answer %q has no words", a)
		}
		if len(row) > b.Config.Text.MaxPositionEmbeddings {
			return nil, 0, fmt.Errorf("answer %q is longer than the model's %d positions", a, b.Config.Text.MaxPositionEmbeddings)
		}
		row[0] = int32(b.Config.Text.BOSTokenID)
		rows, longest = append(rows, row), max(longest, len(row))
	}
	return rows, longest, nil
}

// firstWord gives the scores of an answer's first word: states [batch, text, hidden] and mask of the
// questions -> [batch, vocab].
func (b *BLIPWriter) firstWord(scope *model.Scope, in []*Node) *Node {
	states, mask := in[0], in[1]
	start := Slice(mask, AxisRange(), AxisRange(0, 1))
	start = ConstAs(start, b.Config.Text.BOSTokenID)
	start = BroadcastToDims(start, mask.Shape().Dim(0), 1)
	decoded := blip.DecoderStates(scope, b.Config, blip.Memory(scope, b.Config, states), mask, start, OnesLike(start))
	return blip.WordLogits(scope, b.Config, Squeeze(decoded, 1))
}

// likeliest are the n answers whose first words have the highest scores, in the order given among
// equals.
func likeliest(scores []float32, rows [][]int32, n int) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[rows[j][1]], scores[rows[i][1]]) })
	return order[:n]
}

// matrix is a tensor of rows of one length.
func matrix(flat []int32, rows int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(flat, rows, len(flat)/rows)
}
