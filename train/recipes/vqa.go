package recipes

import (
	"context"
	"fmt"
	"path/filepath"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// VQASettings of recipe "blip2/vqa".
type VQASettings struct {
	Common
	Encoding
	MaxQuestionLength int `json:"max_question_length" help:"tokens of the Q-Former's question; longer ones are cut" source:"LAVIS InstructBLIP max_txt_len: 128"`
}

// DefaultVQA fine-tunes the Q-Former of stage 1 on questions, over a small frozen OPT:
//
//	goblip train blip2/vqa --data data/shapes/train.jsonl --init runs/stage1/final --llm runs/lm/final --out runs/vqa
//
// 2 cores, about a minute.
func DefaultVQA() *VQASettings {
	return &VQASettings{
		Common: Common{Steps: 700, Batch: 32, Accumulate: 1, Seed: 1, LearningRate: 1.2e-3, MinRate: 1e-5, WarmupRate: 1e-6, WarmupSteps: 100,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 40},
		MaxQuestionLength: 64,
	}
}

// asked is a question of a picture, as the Q-Former and as the language model read it.
type asked struct {
	question []int32
	answers  []sample // all that were given: one of them is drawn, so that frequent ones count more
}

// VQA trains a Q-Former that reads the question (paper, section 4.3) to prompt the frozen OPT of the
// folder llm, starting from the stage-1 folder init, and writes OUT/final, an
// InstructBlipForConditionalGeneration, which is the same graph.
func VQA(ctx context.Context, backend compute.Backend, s *VQASettings, p *infer.Pictures, init, llm string, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("vqa: %w", err)
	}
	if err := s.prepare(o); err != nil {
		return none, fmt.Errorf("vqa: %w", err)
	}
	if s.MaxQuestionLength < 4 {
		return none, fmt.Errorf("vqa: max_question_length must be 4 or more")
	}
	store := model.NewStore()
	cfg, err := infer.LoadInstructed(backend, store, init)
	if err != nil {
		return none, err
	}
	if p.Side != cfg.Vision.ImageSize {
		return none, fmt.Errorf("vqa: pictures of %d pixels, the image tower wants %d", p.Side, cfg.Vision.ImageSize)
	}
	reader, err := infer.OpenWordPiece(init)
	if err != nil {
		return none, err
	}
	folder, err := checkpoints.OpenFolder(llm)
	if err != nil {
		return none, err
	}
	defer folder.Close()
	if cfg.Text, err = infer.LoadOPT(backend, store, folder); err != nil {
		return none, err
	}
	texts, err := s.texts(cfg, reader, llm, p.Set)
	if err != nil {
		return none, err
	}
	r := &recipe{name: "vqa", backend: backend, store: store, common: &s.Common, settings: s}
	return r.prompt(ctx, cfg, texts, &s.Encoding, p, o)
}

// texts prepares questions for the Q-Former, whose tokenizer is reader, and for the OPT of the folder
// llm, and completes cfg.
func (s *VQASettings) texts(cfg *blip2.Config, reader *text.WordPiece, llm string, set *datasets.Set) (llmTexts, error) {
	var none llmTexts
	words, err := infer.OpenBPE(llm)
	if err != nil {
		return none, err
	}
	if err := endAtNewline(cfg, words); err != nil {
		return none, fmt.Errorf("%s: %w", llm, err)
	}
	limit := min(s.MaxQuestionLength, cfg.QFormer.MaxPositionEmbeddings)
	_, longest, err := s.asked(set, reader, words, limit)
	if err != nil {
		return none, err
	}
	questionLength, length := min(roundUp(longest.question, 4), limit), min(roundUp(longest.text, 4), s.MaxTextLength)
	if need := cfg.NumQueryTokens + length; need > cfg.Text.MaxPositionEmbeddings {
		return none, fmt.Errorf("vqa: %d soft tokens and %d of text are more than the %d positions of %s", cfg.NumQueryTokens, length, cfg.Text.MaxPositionEmbeddings, llm)
	}
	batches := func(set *datasets.Set) (textBatch, error) {
		questions, _, err := s.asked(set, reader, words, limit)
		return func(rows []int, epoch int) []*tensors.Tensor {
			read, texts := make([][]int32, len(rows)), make([]sample, len(rows))
			for j, row := range rows {
				rng := datasets.Rand(s.Seed, 0x70a, uint64(epoch), uint64(row))
				one := questions[row][rng.IntN(len(questions[row]))]
				read[j], texts[j] = one.question, one.answers[rng.IntN(len(one.answers))]
			}
			question, seen := padded(read, questionLength, int32(cfg.QFormer.PadTokenID))
			return append([]*tensors.Tensor{question, seen}, s.learnable(texts, length, int32(cfg.Text.PadTokenID))...)
		}, err
	}
	save := func(dir string) error {
		if err := words.Save(dir); err != nil {
			return err
		}
		return reader.Save(filepath.Join(dir, infer.InstructionTokenizer))
	}
	question, answer := shapeInt32(s.Batch, questionLength), shapeInt32(s.Batch, length)
	return llmTexts{objective.VQA(cfg), []shapes.Shape{question, question, answer, answer, answer}, batches, save}, nil
}

// askedLengths are the most tokens of a set's texts.
type askedLengths struct{ question, text int }

// asked tokenizes the questions of every record that have an answer.
func (s *VQASettings) asked(set *datasets.Set, reader *text.WordPiece, words *text.BPE, limit int) (all [][]asked, longest askedLengths, err error) {
	for _, r := range set.Records {
		var of []asked
		for _, q := range r.Questions {
			if len(q.Answers) == 0 {
				continue
			}
			prompt := infer.QuestionPrompt(q.Question)
			one := asked{question: text.EncodeMax(reader, prompt, limit)}
			longest.question = max(longest.question, len(one.question))
			for _, answer := range q.Answers {
				a := promptedSample(words, prompt, answer, s.MaxTextLength)
				longest.text = max(longest.text, len(a.ids))
				one.answers = append(one.answers, a)
			}
			of = append(of, one)
		}
		if len(of) == 0 {
			return nil, longest, fmt.Errorf("%s: picture %s has no question with an answer", r.Origin, r.Image)
		}
		all = append(all, of)
	}
	return all, longest, nil
}
