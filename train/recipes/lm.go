package recipes

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"

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
	HiddenSize int `json:"hidden_size" help:"width"`
	Layers     int `json:"num_hidden_layers" help:"blocks"`
	Heads      int `json:"num_attention_heads" help:"attention heads"`
	FFN        int `json:"ffn_dim" help:"feed-forward width"`
	VocabSize  int `json:"vocab_size" help:"byte-level BPE learnt from the texts, at most"`
	Positions  int `json:"max_position_embeddings" help:"longest sequence, soft prompt included"`
}

// DefaultLM trains a small OPT on text alone:
//
//	goblip train lm --data data/shapes/train.jsonl --out runs/lm
//
// 2 cores, about a minute.
func DefaultLM() *LMSettings {
	return &LMSettings{
		Common: Common{Steps: 800, Batch: 64, Accumulate: 1, Seed: 1, LearningRate: 2e-3, MinRate: 2e-5, WarmupRate: 1e-6, WarmupSteps: 50,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 64},
		HiddenSize: 128, Layers: 3, Heads: 4, FFN: 512, VocabSize: 2000, Positions: 160,
	}
}

// Document is one text to learn from: two pieces that are about the same thing, or one.
//
// A large language model has learnt from packed documents to use what stands before </s>; a small
// one learns it here, so that a soft visual prompt before </s> can take the place of a description.
type Document struct {
	Context string // may be empty
	Text    string
}

// CaptionDocuments pairs the captions of a picture, each with the next.
func CaptionDocuments(set *datasets.Set) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		for _, r := range set.Records {
			for i, c := range r.Captions {
				d := Document{Text: c}
				if next := (i + 1) % len(r.Captions); next != i {
					d.Context = r.Captions[next]
				}
				if !yield(d) {
					return
				}
			}
			for i, q := range r.Questions {
				if len(r.Captions) == 0 || len(q.Answers) == 0 {
					continue
				}
				d := Document{Context: r.Captions[i%len(r.Captions)], Text: infer.QuestionPrompt(q.Question) + " " + q.Answers[0]}
				if !yield(d) {
					return
				}
			}
		}
	}
}

func fingerprintOf(documents []Document) string {
	h := fnv.New64a()
	for _, d := range documents {
		fmt.Fprintf(h, "%q %q\n", d.Context, d.Text)
	}
	return fmt.Sprintf("%d texts %016x", len(documents), h.Sum64())
}

// LM trains an OPT and writes OUT/final.
func LM(ctx context.Context, backend compute.Backend, s *LMSettings, documents []Document, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("lm: %w", err)
	}
	words, err := text.TrainBPE(func(yield func(string) bool) {
		for _, d := range documents {
			// Each piece with and without a leading space: a word in front and the same word inside.
			for _, piece := range []string{d.Context, d.Text} {
				if piece != "" && !(yield(piece) && yield(" "+piece)) {
					return
				}
			}
		}
	}, s.VocabSize)
	if err != nil {
		return none, fmt.Errorf("lm: %w", err)
	}
	words.AddSpecial(infer.ImageToken)
	rows, longest := make([][]int32, len(documents)), 0
	for i, d := range documents {
		if d.Context != "" {
			rows[i] = words.Encode(d.Context)
		}
		rows[i] = append(rows[i], words.Encode(d.Text+"\n")...)
		if len(rows[i]) > s.MaxTextLength {
			rows[i] = rows[i][:s.MaxTextLength]
		}
		longest = max(longest, len(rows[i]))
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
	length := roundUp(longest, 8)
	visits := newOrder(s.Seed, len(rows), s.Batch)
	store := model.NewStore()
	r := &recipe{
		name: "lm", backend: backend, store: store, objective: objective.LM(&cfg), common: &s.Common, settings: s,
		decays: train.DecaysMatrices, records: len(rows), corpus: fingerprintOf(documents),
		inputs: []shapes.Shape{shapeInt32(s.Batch, length), shapeInt32(s.Batch, length)},
		data: func(i int) ([]*tensors.Tensor, error) {
			picked, _ := visits.rows(i)
			batch := make([][]int32, len(picked))
			for j, k := range picked {
				batch[j] = rows[k]
			}
			ids, mask := padded(batch, length, pad)
			return []*tensors.Tensor{ids, mask}, nil
		},
	}
	summary, err := r.run(ctx, o)
	if err != nil {
		return summary, err
	}
	return summary, writeModel(finalDir(o.Dir), store, &cfg, nil, words.Save)
}
