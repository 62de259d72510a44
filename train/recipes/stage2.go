package recipes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

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

// Stage2Settings of recipe "blip2/stage2".
type Stage2Settings struct {
	Common
	Encoding
	Prompt        string  `json:"prompt" help:"put before every caption and left out of the loss; a T5 then learns whole captions instead of split ones" source:"LAVIS pretrain_stage2: none; caption fine-tuning: \"a photo of\""`
	QuestionShare float64 `json:"question_share" help:"how often a picture that has questions shows one of them instead of a caption" source:"LAVIS pretrain_stage2: 0; blip2/vqa teaches questions"`
	FromStage1    bool    `json:"from_stage1" help:"false: start from a random Q-Former (the paper's figure 5)" source:"BLIP-2 section 3.3"`
}

// DefaultStage2 is the generative stage over the Q-Former of stage 1 and a small frozen OPT (or a T5):
//
//	goblip train blip2/stage2 --data data/shapes/train.jsonl --init runs/stage1/final --llm runs/lm/final --out runs/stage2
//
// 2 cores, about a minute.
func DefaultStage2() *Stage2Settings {
	return &Stage2Settings{
		Common: Common{Steps: 1000, Batch: 32, Accumulate: 1, Seed: 1, LearningRate: 1.2e-3, MinRate: 1e-5, WarmupRate: 1e-6, WarmupSteps: 100,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 40},
		FromStage1: true,
	}
}

// sample is one text of a picture with the number of leading tokens that are not learnt.
type sample struct {
	ids    []int32
	prefix int
}

// promptedSample is an OPT's text of at most limit tokens: </s> prompt answer "\n".
func promptedSample(words *text.BPE, prompt, answer string, limit int) sample {
	ids := words.Encode(prompt)
	prefix := len(ids)
	if prompt != "" {
		answer = " " + answer
	}
	ids = append(ids, words.EncodePlain(answer+"\n")...)
	ids = ids[:min(len(ids), limit)]
	return sample{ids, min(prefix, len(ids))}
}

// learnable makes ids, mask and targets, int32 [batch, length]: all but the prefixes is learnt. length is
// at most limit.
func (c *Common) learnable(texts []sample, limit int, pad int32) []*tensors.Tensor {
	all, learnt := make([][]int32, len(texts)), make([][]int32, len(texts))
	for i, one := range texts {
		all[i], learnt[i] = one.ids, make([]int32, len(one.ids))
		for k := one.prefix; k < len(one.ids); k++ {
			learnt[i][k] = 1
		}
	}
	length := c.bucket(all, limit)
	ids, mask := padded(all, length, pad)
	targets, _ := padded(learnt, length, 0)
	return []*tensors.Tensor{ids, mask, targets}
}

// llmTexts is what stands behind the soft prompt of pictures, for one kind of language model.
type llmTexts struct {
	objective objective.Objective // its inputs are the pictures' states and what batches give
	inputs    []shapes.Shape      // of the longest texts
	batches   func(set *datasets.Set) (textBatch, error)
	save      func(dir string) error // writes the tokenizer
}

// textBatch makes the texts that pictures show in an epoch: a function of seed, epoch and record.
type textBatch func(rows []int, epoch int) []*tensors.Tensor

// Stage2 trains the Q-Former to prompt the frozen language model of the folder llm, an OPT or a T5,
// starting from the stage-1 folder init, and writes OUT/final, a Blip2ForConditionalGeneration.
func Stage2(ctx context.Context, backend compute.Backend, s *Stage2Settings, p *infer.Pictures, init, llm string, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("stage2: %w", err)
	}
	if err := s.prepare(o); err != nil {
		return none, fmt.Errorf("stage2: %w", err)
	}
	if s.QuestionShare < 0 || s.QuestionShare > 1 {
		return none, fmt.Errorf("stage2: question_share must lie in [0, 1]")
	}
	store := model.NewStore()
	cfg, err := infer.LoadStage1(backend, store, init, s.FromStage1)
	if err != nil {
		return none, err
	}
	if p.Side != cfg.Vision.ImageSize {
		return none, fmt.Errorf("stage2: pictures of %d pixels, the image tower wants %d", p.Side, cfg.Vision.ImageSize)
	}
	folder, err := checkpoints.OpenFolder(llm)
	if err != nil {
		return none, err
	}
	defer folder.Close()
	if err := infer.LoadLLM(backend, store, folder, cfg); err != nil {
		return none, err
	}
	cfg.Architectures = []string{blip2.GenerationClass}
	textsFor := s.optTexts
	if cfg.T5 != nil {
		textsFor = s.t5Texts
	}
	texts, err := textsFor(cfg, llm, p.Set)
	if err != nil {
		return none, err
	}
	r := &recipe{name: "stage2", backend: backend, store: store, common: &s.Common, settings: s}
	return r.prompt(ctx, cfg, texts, &s.Encoding, p, o)
}

// prompt trains a Q-Former to prompt a frozen language model, both in the store, with texts behind the
// prompt, and writes OUT/final.
func (r *recipe) prompt(ctx context.Context, cfg *blip2.Config, texts llmTexts, e *Encoding, p *infer.Pictures, o Options) (train.Summary, error) {
	frozen := freezeEncoder(ctx, r.name, r.backend, r.store, cfg, texts.objective, e, r.common.Seed, p, o)
	r.objective, r.trainable = frozen.objective, infer.Trainable
	r.inputs = append([]shapes.Shape{frozen.shape(r.common.Batch)}, texts.inputs...)
	batches := func(p *infer.Pictures) (batchFunc, error) {
		show, err := texts.batches(p.Set)
		if err != nil {
			return nil, err
		}
		images, err := frozen.images(p)
		if err != nil {
			return nil, err
		}
		visits := visit(p.Set, r.common.Seed, r.common.Batch)
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			return append([]*tensors.Tensor{images.batch(rows, epoch)}, show(rows, epoch)...), nil
		}, nil
	}
	if err := r.feed(batches, p, o); err != nil {
		return train.Summary{}, err
	}
	summary, err := r.run(ctx, o)
	if err != nil {
		return summary, err
	}
	return summary, finalFolder{config: cfg, words: texts.save, pictures: p}.write(finalDir(o.Dir), r.store)
}

// optTexts prepares texts for the OPT of the folder llm and completes cfg.
func (s *Stage2Settings) optTexts(cfg *blip2.Config, llm string, set *datasets.Set) (llmTexts, error) {
	var none llmTexts
	words, err := infer.OpenBPE(llm)
	if err != nil {
		return none, err
	}
	if err := endAtNewline(cfg, words); err != nil {
		return none, fmt.Errorf("%s: %w", llm, err)
	}
	_, _, longest, err := s.samples(set, words)
	if err != nil {
		return none, err
	}
	length := min(roundUp(longest, 4), s.MaxTextLength)
	if need := cfg.NumQueryTokens + length; need > cfg.Text.MaxPositionEmbeddings {
		return none, fmt.Errorf("stage2: %d soft tokens and %d of text are more than the %d positions of %s", cfg.NumQueryTokens, length, cfg.Text.MaxPositionEmbeddings, llm)
	}
	batches := func(set *datasets.Set) (textBatch, error) {
		captions, questions, _, err := s.samples(set, words)
		return func(rows []int, epoch int) []*tensors.Tensor {
			texts := make([]sample, len(rows))
			for j, row := range rows {
				texts[j], _ = pick(s, captions[row], questions[row], row, epoch)
			}
			return s.learnable(texts, length, int32(cfg.Text.PadTokenID))
		}, err
	}
	text := shapeInt32(s.Batch, length)
	return llmTexts{objective.Stage2(cfg), []shapes.Shape{text, text, text}, batches, words.Save}, nil
}

// samples tokenizes every caption and question: </s> prompt text "\n".
func (s *Stage2Settings) samples(set *datasets.Set, words *text.BPE) (captions, questions [][]sample, longest int, err error) {
	make1 := func(prompt, answer string) sample {
		one := promptedSample(words, prompt, answer, s.MaxTextLength)
		longest = max(longest, len(one.ids))
		return one
	}
	prompt := strings.TrimRight(s.Prompt, " ")
	for _, r := range set.Records {
		if len(r.Captions) == 0 {
			return nil, nil, 0, fmt.Errorf("%s: picture %s has no caption", r.Origin, r.Image)
		}
		var c, q []sample
		for _, caption := range r.Captions {
			c = append(c, make1(prompt, caption))
		}
		for _, question := range r.Questions {
			if len(question.Answers) > 0 {
				q = append(q, make1(infer.QuestionPrompt(question.Question), question.Answers[0]))
			}
		}
		captions, questions = append(captions, c), append(questions, q)
	}
	return captions, questions, longest, nil
}

// pick chooses what a picture shows in an epoch, a function of seed, epoch and record; rng goes on from there.
func pick[T any](s *Stage2Settings, captions, questions []T, row, epoch int) (one T, rng *rand.Rand) {
	rng = datasets.Rand(s.Seed, 0x57a6e2, uint64(epoch), uint64(row))
	if len(questions) > 0 && rng.Float64() < s.QuestionShare {
		return questions[rng.IntN(len(questions))], rng
	}
	return captions[rng.IntN(len(captions))], rng
}

// endAtNewline sets the tokens that end a text and stand for a picture.
func endAtNewline(cfg *blip2.Config, words *text.BPE) error {
	cfg.QFormer.UseQFormerTextInput = false
	newline := words.EncodePlain("\n")
	if len(newline) != 1 {
		return fmt.Errorf("the tokenizer splits a newline into %d tokens; BLIP-2 ends a text by one", len(newline))
	}
	cfg.Text.EOSTokenID = int(newline[0])
	if id, ok := words.ID(infer.ImageToken); ok {
		index := int(id)
		cfg.ImageTokenIndex = &index
	}
	return nil
}
