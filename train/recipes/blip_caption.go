package recipes

import (
	"context"
	"fmt"
	"strings"

	"goblip/datasets"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// BLIPCaptionSettings of recipe "blip/caption".
type BLIPCaptionSettings struct {
	Common
	BLIPModel
	Prompt    string  `json:"prompt" help:"put before every caption and left out of the loss; the folder keeps it, and goblip caption begins with it" source:"BLIP: \"a picture of \""`
	Smoothing float64 `json:"label_smoothing" help:"of LM" source:"BLIP med.py: 0.1"`
}

// DefaultBLIPCaption tunes a small BLIP for captions:
//
//	goblip train blip/caption --data data/shapes/train.jsonl --init runs/blip/final --out runs/captioner
//
// The paper's: image_size=384 batch=256 learning_rate=1e-5 (2e-6 for ViT-L), 5 epochs, schedule=epoch
// warmup_steps=0 min_learning_rate=0 clip_norm=0 max_text_length=40 dropout=0.1 beta2=0.999
// augment=randaugment.
func DefaultBLIPCaption() *BLIPCaptionSettings {
	common := fineTuning()
	common.MaxTextLength = 40
	return &BLIPCaptionSettings{Common: common, BLIPModel: smallBLIP(), Prompt: "a picture of", Smoothing: 0.1}
}

// fineTuning are the settings that BLIP's fine-tunings share.
func fineTuning() Common {
	return Common{Steps: 1000, Batch: 32, Accumulate: 1, Seed: 1, LearningRate: 3e-4, MinRate: 0, WarmupRate: 1e-6, WarmupSteps: 0,
		Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 35}
}

// BLIPCaption tunes the decoder on captions and writes OUT/final, a BlipForConditionalGeneration.
func BLIPCaption(ctx context.Context, backend compute.Backend, s *BLIPCaptionSettings, p *infer.Pictures, start *infer.BLIPStart, o Options) (train.Summary, error) {
	const name = "blip/caption"
	if s.Smoothing < 0 || s.Smoothing > 1 {
		return noSummary, fmt.Errorf("%s: label_smoothing must lie in [0, 1]", name)
	}
	s.Prompt = strings.TrimSpace(s.Prompt)
	texts, err := s.prepared(p.Set)
	if err != nil {
		return noSummary, err
	}
	b, err := newBLIPRun(name, backend, &s.Common, &s.BLIPModel, s, p, start, append(texts, s.Prompt, s.Prompt), o)
	if err != nil {
		return noSummary, err
	}
	b.cfg.CaptionPrompt, b.cfg.Text.LabelSmoothing = s.Prompt, s.Smoothing
	prefix := 1 + len(b.words.EncodePlain(s.Prompt))
	if prefix >= s.MaxTextLength {
		return noSummary, fmt.Errorf("%s: the prompt leaves no room for a caption: it has %d of max_text_length %d tokens", name, prefix, s.MaxTextLength)
	}
	captioned := func(set *datasets.Set, limit int) (ids [][][]int32, longest int, err error) {
		clean, err := s.cleaned(set)
		if err != nil {
			return nil, 0, err
		}
		return encodeCaptions(prompted(clean, s.Prompt), b.words, limit)
	}
	_, longest, err := captioned(p.Set, s.MaxTextLength)
	if err != nil {
		return noSummary, err
	}
	length := min(roundUp(longest, 2), s.MaxTextLength)
	mean, std := p.Processor.Statistics()
	b.objective = objective.BLIPCaption(b.cfg, mean, std, s.Smoothing)
	n := s.Batch
	b.inputs = []shapes.Shape{b.pixelShape(), shapeInt32(n, length), shapeInt32(n, length), shapeInt32(n, length)}
	if err := b.fill(nil); err != nil {
		return noSummary, err
	}
	batches := func(p *infer.Pictures) (batchFunc, error) {
		captions, _, err := captioned(p.Set, length)
		if err != nil {
			return nil, err
		}
		visits := visit(p.Set, s.Seed, n)
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			texts := make([]sample, n)
			for j, ids := range pickCaptions(captions, rows, s.Seed, epoch) {
				texts[j] = sample{withFirst(ids, b.cfg.Text.BOSTokenID), prefix}
			}
			return append([]*tensors.Tensor{p.BatchAt(rows, epoch)}, s.learnable(texts, length, int32(b.cfg.Text.PadTokenID))...), nil
		}, nil
	}
	if err := b.feed(batches, o); err != nil {
		return noSummary, err
	}
	return b.finish(ctx, o, p, []string{blip.CaptionClass}, nil)
}

// prompted is a set whose captions stand behind a prompt.
func prompted(set *datasets.Set, prompt string) *datasets.Set {
	if prompt == "" {
		return set
	}
	out := &datasets.Set{Name: set.Name}
	for _, r := range set.Records {
		captions := make([]string, len(r.Captions))
		for i, c := range r.Captions {
			captions[i] = prompt + " " + c
		}
		r.Captions = captions
		out.Records = append(out.Records, r)
	}
	return out
}

// withFirst is a copy of ids with another first token.
func withFirst(ids []int32, first int) []int32 {
	return append([]int32{int32(first)}, ids[1:]...)
}
