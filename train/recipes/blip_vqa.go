package recipes

import (
	"context"
	"fmt"
	"slices"

	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// BLIPVQASettings of recipe "blip/vqa".
type BLIPVQASettings struct {
	Common
	BLIPModel
	Answers      int     `json:"max_answers" help:"different answers of a question that are learnt, the most frequent first" source:"BLIP: all of 10 annotations"`
	AnswerLength int     `json:"max_answer_length" help:"tokens; longer answers are cut" source:"ours; BLIP: the longest of a batch"`
	SingleWeight float64 `json:"single_answer_weight" help:"weight of the answer where a question has one annotation alone" source:"ours; BLIP: 0.2 for Visual Genome"`
	Smoothing    float64 `json:"label_smoothing" help:"of the answers' words" source:"BLIP med.py: 0.1"`
}

// DefaultBLIPVQA tunes a small BLIP for questions:
//
//	goblip train blip/vqa --data data/shapes/train.jsonl --init runs/blip/final --out runs/vqa
//
// The paper's: image_size=480 batch=256 learning_rate=2e-5, 10 epochs, schedule=epoch warmup_steps=0
// min_learning_rate=0 clip_norm=0 max_text_length=35 dropout=0.1 beta2=0.999 augment=randaugment
// drop_path=0.1.
func DefaultBLIPVQA() *BLIPVQASettings {
	m := smallBLIP()
	m.MaxWords = 50
	return &BLIPVQASettings{Common: fineTuning(), BLIPModel: m, Answers: 10, AnswerLength: 10, SingleWeight: 1, Smoothing: 0.1}
}

// BLIPVQA tunes an encoder of questions and a decoder of answers, untied, and writes OUT/final, a
// BlipForQuestionAnswering.
func BLIPVQA(ctx context.Context, backend compute.Backend, s *BLIPVQASettings, p *infer.Pictures, start *infer.BLIPStart, o Options) (train.Summary, error) {
	const name = "blip/vqa"
	switch {
	case s.Answers < 1 || s.AnswerLength < 3:
		return noSummary, fmt.Errorf("%s: max_answers must be 1 or more, max_answer_length 3 or more", name)
	case s.SingleWeight <= 0:
		return noSummary, fmt.Errorf("%s: single_answer_weight must be positive", name)
	case s.Smoothing < 0 || s.Smoothing > 1:
		return noSummary, fmt.Errorf("%s: label_smoothing must lie in [0, 1]", name)
	}
	asked, err := s.asked(p.Set)
	if err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	var texts []string
	for _, q := range asked {
		texts = append(append(texts, q.question), q.answers...)
	}
	b, err := newBLIPRun(name, backend, &s.Common, &s.BLIPModel, s, p, start, texts, o)
	if err != nil {
		return noSummary, err
	}
	b.cfg.Text.LabelSmoothing = s.Smoothing
	if s.AnswerLength > b.cfg.Text.MaxPositionEmbeddings {
		return noSummary, fmt.Errorf("%s: max_answer_length %d is more than the model's %d positions", name, s.AnswerLength, b.cfg.Text.MaxPositionEmbeddings)
	}
	shape := b.shapeOf(asked, s)
	mean, std := p.Processor.Statistics()
	b.objective = objective.BLIPAnswer(b.cfg, mean, std, s.Smoothing)
	n := s.Batch
	b.inputs = []shapes.Shape{b.pixelShape(), shapeInt32(n, shape.question), shapeInt32(n, shape.question),
		shapeInt32(n*shape.places, shape.answer), shapeInt32(n*shape.places, shape.answer), shapeFloat32(n * shape.places)}
	if err := b.fill(nil); err != nil {
		return noSummary, err
	}
	batches := func(p *infer.Pictures) (batchFunc, error) {
		asked, err := s.asked(p.Set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		of := make([]int, len(asked))
		for i, q := range asked {
			of[i] = q.record
		}
		visits := visitEach(p.Set, of, s.Seed, n)
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			return b.answerBatch(p, asked, rows, epoch, shape), nil
		}, nil
	}
	if err := b.feed(batches, o); err != nil {
		return noSummary, err
	}
	b.records = len(asked)
	if o.HeldOut != nil {
		held, err := s.asked(o.HeldOut.Set)
		if err != nil {
			return noSummary, fmt.Errorf("%s: %w", name, err)
		}
		b.heldOut = len(held)
	}
	return b.finish(ctx, o, p, []string{blip.VQAClass}, nil)
}

// askedQuestion is a question of a record with its different answers, the most frequent first.
type askedQuestion struct {
	record   int
	question string
	answers  []string
	weights  []float32
}

// asked lists all questions of a set.
func (s *BLIPVQASettings) asked(set *datasets.Set) ([]askedQuestion, error) {
	var out []askedQuestion
	for i, r := range set.Records {
		for _, q := range r.Questions {
			one := askedQuestion{record: i, question: s.question(q.Question)}
			if one.question == "" {
				return nil, fmt.Errorf("%s: question %q has no words", r.Origin, q.Question)
			}
			if len(q.Answers) == 0 {
				return nil, fmt.Errorf("%s: no answers to %q", r.Origin, q.Question)
			}
			var err error
			if one.answers, one.weights, err = weighAnswers(q.Answers); err != nil {
				return nil, fmt.Errorf("%s: %w to %q", r.Origin, err, q.Question)
			}
			if len(q.Answers) == 1 {
				one.weights[0] = float32(s.SingleWeight)
			}
			kept := min(s.Answers, len(one.answers))
			one.answers, one.weights = one.answers[:kept], one.weights[:kept]
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no questions", set.Name)
	}
	return out, nil
}

// weighAnswers gives the different answers, each with its share of all: the most frequent first, among
// equals the one that comes first.
func weighAnswers(all []string) (answers []string, weights []float32, err error) {
	for _, a := range all {
		a = cleanSpace(a)
		if a == "" {
			return nil, nil, fmt.Errorf("empty answer")
		}
		at := slices.Index(answers, a)
		if at < 0 {
			at = len(answers)
			answers, weights = append(answers, a), append(weights, 0)
		}
		weights[at] += 1 / float32(len(all))
	}
	order := make([]int, len(answers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case weights[i] > weights[j]:
			return -1
		case weights[i] < weights[j]:
			return 1
		}
		return 0
	})
	sorted, shares := make([]string, len(order)), make([]float32, len(order))
	for i, k := range order {
		sorted[i], shares[i] = answers[k], weights[k]
	}
	return sorted, shares, nil
}

// answerShape is what a batch of questions is padded to.
type answerShape struct{ question, answer, places int }

func (b *blipRun) shapeOf(asked []askedQuestion, s *BLIPVQASettings) answerShape {
	var shape answerShape
	for _, q := range asked {
		shape.question = max(shape.question, len(b.words.Encode(q.question)))
		shape.places = max(shape.places, len(q.answers))
		for _, a := range q.answers {
			shape.answer = max(shape.answer, len(b.words.Encode(a)))
		}
	}
	shape.question = min(roundUp(shape.question, 2), s.MaxTextLength)
	shape.answer = min(shape.answer, s.AnswerLength)
	return shape
}

// answerBatch makes the inputs of objective.BLIPAnswer.
func (b *blipRun) answerBatch(p *infer.Pictures, asked []askedQuestion, rows []int, epoch int, shape answerShape) []*tensors.Tensor {
	t := &b.cfg.Text
	questions, answers := make([][]int32, len(rows)), make([][]int32, len(rows)*shape.places)
	weights, pictures := make([]float32, len(answers)), make([]int, len(rows))
	for i, row := range rows {
		q := asked[row]
		pictures[i] = q.record
		questions[i] = withFirst(text.EncodeMax(b.words, q.question, shape.question), t.EncTokenID())
		for j := range shape.places {
			at := i*shape.places + j
			if j >= len(q.answers) { // an empty place: something to read, nothing to learn
				answers[at] = []int32{int32(t.BOSTokenID)}
				continue
			}
			answers[at] = withFirst(text.EncodeMax(b.words, q.answers[j], shape.answer), t.BOSTokenID)
			weights[at] = q.weights[j]
		}
	}
	ids, mask := padded(questions, shape.question, int32(t.PadTokenID))
	words, seen := padded(answers, shape.answer, int32(t.PadTokenID))
	return []*tensors.Tensor{p.BatchAt(pictures, epoch), ids, mask, words, seen, tensors.FromFlatDataAndDimensions(weights, len(weights))}
}
