package recipes

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/opt"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// LMSettings of recipe "lm".
type LMSettings struct {
	Common
	HiddenSize   int     `json:"hidden_size" help:"width"`
	Layers       int     `json:"num_hidden_layers" help:"blocks"`
	Heads        int     `json:"num_attention_heads" help:"attention heads"`
	FFN          int     `json:"ffn_dim" help:"feed-forward width"`
	VocabSize    int     `json:"vocab_size" help:"byte-level BPE learnt from the texts, at most"`
	AnswerWeight int     `json:"answer_weight" help:"how many times an answer's words count in the loss" source:"ours: they are few, and all that questions teach"`
	Texts        int     `json:"texts_per_document" help:"captions and questions of one picture that a training text holds"`
	AnswerFirst  float64 `json:"answer_first" help:"how often a question's answer stands before it too, so that the model learns to take answers from there" source:"ours: a large LLM can copy, and a soft prompt relies on it"`
	Positions    int     `json:"max_position_embeddings" help:"longest sequence, soft prompt included"`
}

// DefaultLM trains a small OPT on text alone:
//
//	goblip train lm --data data/shapes/train.jsonl --out runs/lm
//
// 2 cores, about a minute and a half.
func DefaultLM() *LMSettings {
	return &LMSettings{
		Common: Common{Steps: 1200, Batch: 16, Accumulate: 1, Seed: 1, LearningRate: 2e-3, MinRate: 2e-5, WarmupRate: 1e-6, WarmupSteps: 150,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 96},
		HiddenSize: 128, Layers: 3, Heads: 4, FFN: 512, AnswerWeight: 10, VocabSize: 2000, Texts: 4, AnswerFirst: 0.5, Positions: 160,
	}
}

// document is the texts of one record, tokenized: each starts with </s>.
//
// A large language model has learnt from packed texts to use what stands before </s>; a small one
// learns it here, from texts about one thing behind each other, so that a soft visual prompt before
// </s> can take the place of a description.
type document struct{ captions, questions []weighted }

// weighted is a text with how much each of its words counts.
type weighted struct {
	ids, weights []int32
	answer       []int32 // of a question: its answer as a text of its own
}

// pick lays texts of a document behind each other: a caption, then others drawn without repeats.
// Before some of the questions stands their answer.
func (d document) pick(texts int, answerFirst float64, rng *rand.Rand) weighted {
	first := rng.IntN(len(d.captions))
	rest := slices.Concat(d.captions[:first], d.captions[first+1:], d.questions)
	rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	var row weighted
	for _, t := range slices.Concat(d.captions[first:first+1], rest[:min(texts-1, len(rest))]) {
		if len(t.answer) > 0 && rng.Float64() < answerFirst {
			row.ids, row.weights = append(row.ids, t.answer...), append(row.weights, repeat(1, len(t.answer))...)
		}
		row.ids, row.weights = append(row.ids, t.ids...), append(row.weights, t.weights...)
	}
	return row
}

// longest is the length of the longest row that pick can make.
func (d document) longest(texts int) int {
	var lengths []int
	for _, t := range slices.Concat(d.captions, d.questions) {
		lengths = append(lengths, len(t.ids)+len(t.answer))
	}
	slices.Sort(lengths)
	total := 0
	for _, n := range lengths[max(0, len(lengths)-texts):] {
		total += n
	}
	return total
}

// LM trains an OPT on the captions and questions of records and writes OUT/final.
func LM(ctx context.Context, backend compute.Backend, s *LMSettings, records []datasets.Record, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("lm: %w", err)
	}
	if s.Texts < 1 {
		return none, fmt.Errorf("lm: texts_per_document must be 1 or more")
	}
	if s.AnswerFirst < 0 || s.AnswerFirst > 1 {
		return none, fmt.Errorf("lm: answer_first must lie in [0, 1]")
	}
	words, err := text.TrainBPE(func(yield func(string) bool) {
		for i := range records {
			for t := range textsOf(&records[i]) {
				// With and without a leading space: a word in front and the same word inside.
				if !(yield(t) && yield(" "+t)) {
					return
				}
			}
		}
	}, s.VocabSize)
	if err != nil {
		return none, fmt.Errorf("lm: %w", err)
	}
	words.AddSpecial(infer.ImageToken)
	documents, longest := make([]document, len(records)), 0
	for i, r := range records {
		if len(r.Captions) == 0 {
			return none, fmt.Errorf("lm: %s: record %d has no caption", r.Origin, i)
		}
		d := &documents[i]
		for _, c := range r.Captions {
			ids := words.Encode(c + "\n")
			d.captions = append(d.captions, weighted{ids: ids, weights: repeat(1, len(ids))})
		}
		for question, answer := range answered(&r) {
			ids := words.Encode(question)
			weights := repeat(1, len(ids))
			end := words.EncodePlain(" " + answer + "\n")
			d.questions = append(d.questions, weighted{append(ids, end...), append(weights, repeat(int32(s.AnswerWeight), len(end))...), words.Encode(answer + "\n")})
		}
		longest = max(longest, d.longest(s.Texts))
	}
	cfg := opt.Default()
	cfg.Architectures = []string{"OPTForCausalLM"}
	cfg.VocabSize, cfg.HiddenSize, cfg.WordEmbedProjDim = words.VocabSize(), s.HiddenSize, s.HiddenSize
	cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.FFNDim, cfg.MaxPositionEmbeddings = s.Layers, s.Heads, s.FFN, s.Positions
	cfg.Dropout = 0 // each text is seen about once
	if err := cfg.Validate(); err != nil {
		return none, fmt.Errorf("lm: %w", err)
	}
	pad, _ := words.ID(text.OPTPadToken)
	length := min(roundUp(longest, 8), s.MaxTextLength)
	visits := newOrder(s.Seed, len(documents), s.Batch)
	store := model.NewStore()
	r := &recipe{
		name: "lm", backend: backend, store: store, objective: objective.LM(&cfg), common: &s.Common, settings: s,
		decays: train.DecaysMatrices, records: len(documents), corpus: fingerprint(&datasets.Set{Records: records}),
		inputs: []shapes.Shape{shapeInt32(s.Batch, length), shapeInt32(s.Batch, length), shapeInt32(s.Batch, length)},
		data: func(i int) ([]*tensors.Tensor, error) {
			picked, epoch := visits.rows(i)
			batch, counts := make([][]int32, len(picked)), make([][]int32, len(picked))
			for j, k := range picked {
				row := documents[k].pick(s.Texts, s.AnswerFirst, datasets.Rand(s.Seed, 0x1a96, uint64(epoch), uint64(k)))
				batch[j], counts[j] = row.ids, row.weights
			}
			to := s.bucket(batch, length)
			ids, mask := padded(batch, to, pad)
			weights, _ := padded(counts, to, 0)
			return []*tensors.Tensor{ids, mask, weights}, nil
		},
	}
	summary, err := r.run(ctx, o)
	if err != nil {
		return summary, err
	}
	return summary, finalFolder{config: &cfg, words: words.Save}.write(finalDir(o.Dir), store)
}

// textsOf runs over a record's captions, then its questions with their answers as stage 2 asks them.
func textsOf(r *datasets.Record) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range r.Captions {
			if !yield(c) {
				return
			}
		}
		for question, answer := range answered(r) {
			if !yield(question + " " + answer) {
				return
			}
		}
	}
}

// answered runs over a record's questions, as stage 2 asks them, and their answers.
func answered(r *datasets.Record) iter.Seq2[string, string] {
	return func(yield func(question, answer string) bool) {
		for _, q := range r.Questions {
			if len(q.Answers) > 0 && !yield(infer.QuestionPrompt(q.Question), q.Answers[0]) {
				return
			}
		}
	}
}

func repeat(value int32, n int) []int32 { return slices.Repeat([]int32{value}, n) }
