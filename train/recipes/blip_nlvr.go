package recipes

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// BLIPNLVRSettings of recipe "blip/nlvr".
type BLIPNLVRSettings struct {
	Common
	BLIPModel
	Swap float64 `json:"swap" help:"how often the two pictures change places, and the words left and right with them" source:"BLIP data/nlvr_dataset.py: 0.5"`
}

// DefaultBLIPNLVR tunes a small BLIP to judge texts about two pictures:
//
//	goblip train blip/nlvr --data nlvr.jsonl --init runs/blip/final --out runs/nlvr
//
// The paper's: image_size=384 batch=256 learning_rate=3e-5, 15 epochs, schedule=epoch warmup_steps=0
// min_learning_rate=0 clip_norm=0 dropout=0.1 beta2=0.999 augment=randaugment drop_path=0.1.
func DefaultBLIPNLVR() *BLIPNLVRSettings {
	m := smallBLIP()
	m.MaxWords = 40
	return &BLIPNLVRSettings{Common: fineTuning(), BLIPModel: m, Swap: 0.5}
}

// PairSet lists the first pictures of a set's pairs and behind them, in the same order, the second ones.
func PairSet(set *datasets.Set) (*datasets.Set, error) {
	out := &datasets.Set{Name: set.Name, Parts: slices.Concat(set.Parts, set.Parts)}
	for _, r := range set.Records {
		if r.Image2 == "" {
			return nil, fmt.Errorf("%s: no \"image2\", the second picture of the pair", r.Origin)
		}
		out.Records = append(out.Records, r)
	}
	for _, r := range set.Records {
		out.Records = append(out.Records, datasets.Record{ID: r.ID + "/2", Image: r.Image2, Origin: r.Origin})
	}
	return out, nil
}

// BLIPNLVR tunes the encoder of pairs and writes OUT/final, a blip.NLVRClass. Pictures are those of a
// PairSet; a record's question is the text, its answer says whether it is true.
func BLIPNLVR(ctx context.Context, backend compute.Backend, s *BLIPNLVRSettings, p *infer.Pictures, start *infer.BLIPStart, o Options) (train.Summary, error) {
	const name = "blip/nlvr"
	if s.Swap < 0 || s.Swap > 1 {
		return noSummary, fmt.Errorf("%s: swap must lie in [0, 1]", name)
	}
	said, err := s.Truths(p.Set)
	if err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	var texts []string
	for _, one := range said {
		texts = append(texts, one.Text, exchangeSides(one.Text))
	}
	b, err := newBLIPRun(name, backend, &s.Common, &s.BLIPModel, s, p, start, texts, o)
	if err != nil {
		return noSummary, err
	}
	length := 0
	for _, t := range texts {
		length = max(length, len(b.words.Encode(t)))
	}
	length = min(roundUp(length, 2), s.MaxTextLength)
	mean, std := p.Processor.Statistics()
	b.objective = objective.BLIPJudge(b.cfg, mean, std)
	n, side := s.Batch, b.cfg.Vision.ImageSize
	b.inputs = []shapes.Shape{shapeUint8(n, 2, side, side, 3), shapeInt32(n, length), shapeInt32(n, length), shapeInt32(n)}
	if err := b.fill(nil); err != nil {
		return noSummary, err
	}
	batches := func(p *infer.Pictures) (batchFunc, error) {
		said, err := s.Truths(p.Set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		of := make([]int, len(said))
		for i := range of {
			of[i] = i
		}
		visits := visitEach(p.Set, of, s.Seed, n)
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			return s.judgeBatch(b, p, said, rows, epoch, length, p == o.HeldOut)
		}, nil
	}
	if err := b.feed(batches, o); err != nil {
		return noSummary, err
	}
	b.records, b.heldOut = len(said), b.heldOut/2
	return b.finish(ctx, o, p, []string{blip.NLVRClass}, nil)
}

// Statement is a prepared text about a pair of pictures.
type Statement struct {
	Text string
	True bool
}

// Truths reads the texts of a PairSet, one for each record of its first half.
func (s *BLIPNLVRSettings) Truths(pairs *datasets.Set) ([]Statement, error) {
	var out []Statement
	half := pairs.Len() / 2
	for i, r := range pairs.Records[:half] {
		if second := pairs.Records[half+i]; second.Image != r.Image2 {
			return nil, fmt.Errorf("%s: one picture of a pair was left out", pairs.Name)
		}
		if len(r.Questions) != 1 || len(r.Questions[0].Answers) != 1 {
			return nil, fmt.Errorf("%s: a pair of pictures needs one \"question\", the text, with one answer, true or false", r.Origin)
		}
		q := r.Questions[0]
		one := Statement{Text: s.caption(q.Question)}
		switch strings.ToLower(strings.TrimSpace(q.Answers[0])) {
		case "true", "yes", "1":
			one.True = true
		case "false", "no", "0":
		default:
			return nil, fmt.Errorf("%s: answer %q is not true or false", r.Origin, q.Answers[0])
		}
		if one.Text == "" {
			return nil, fmt.Errorf("%s: text %q has no words", r.Origin, q.Question)
		}
		out = append(out, one)
	}
	return out, nil
}

// judgeBatch makes the inputs of objective.BLIPJudge. Held-out pairs are not swapped.
func (s *BLIPNLVRSettings) judgeBatch(b *blipRun, p *infer.Pictures, said []Statement, rows []int, epoch, length int, held bool) ([]*tensors.Tensor, error) {
	texts, labels := make([][]int32, len(rows)), make([]int32, len(rows))
	pictures := make([]int, 0, 2*len(rows))
	for i, row := range rows {
		words, first, second := said[row].Text, row, len(said)+row
		if !held && datasets.Rand(s.Seed, swapped, uint64(epoch), uint64(row)).Float64() < s.Swap {
			words, first, second = exchangeSides(words), second, first
		}
		texts[i] = withFirst(text.EncodeMax(b.words, words, length), b.cfg.Text.EncTokenID())
		pictures = append(pictures, first, second)
		if said[row].True {
			labels[i] = 1
		}
	}
	ids, mask := padded(texts, length, int32(b.cfg.Text.PadTokenID))
	side := p.Side
	pixels, err := tensors.CopyFlatData[uint8](p.BatchAt(pictures, epoch))
	return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, len(rows), 2, side, side, 3), ids, mask,
		tensors.FromFlatDataAndDimensions(labels, len(rows))}, err
}

// swapped names the random stream of swaps.
const swapped = 0x51de5

// exchangeSides says of two pictures in the other order what a text says of them: the words left and
// right change places.
func exchangeSides(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		switch w {
		case "left":
			words[i] = "right"
		case "right":
			words[i] = "left"
		}
	}
	return strings.Join(words, " ")
}
