package recipes

import (
	"context"
	"fmt"
	"slices"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/train"

	"github.com/gomlx/compute"
)

// BLIPPretrainSettings of recipe "blip/pretrain".
type BLIPPretrainSettings struct {
	Common
	BLIPModel
	BLIPContrast
	Sharing   string  `json:"sharing" help:"what the text decoder shares with the text encoder: all, all_but_ca (all but cross-attention), all_but_sa (all but self-attention) or none" source:"BLIP section 3.1 and table 3: all_but_sa"`
	Smoothing float64 `json:"label_smoothing" help:"of LM" source:"BLIP med.py: 0.1"`
}

// DefaultBLIPPretrain trains a small BLIP on a CPU in minutes:
//
//	goblip train blip/pretrain --data data/shapes/train.jsonl --out runs/blip
//
// A step takes about 0.3 s of processor time; after 600 of them search and captions are far above
// chance (docs/training.md).
//
// The paper's: image_size=224 patch_size=16 hidden_size=768 num_hidden_layers=12 num_attention_heads=12
// intermediate_size=3072, --vision and --text for the towers it starts from, batch=2880 queue_size=57600
// learning_rate=3e-4 warmup_steps=3000 schedule=decay:0.9 clip_norm=0 max_text_length=30 dropout=0.1
// image_text_hidden_size=256 negatives=local beta2=0.999 augment=randaugment (and drop_path=0.1 for ViT-L).
func DefaultBLIPPretrain() *BLIPPretrainSettings {
	m := smallBLIP()
	m.MinCrop = 0.2
	return &BLIPPretrainSettings{
		Common: Common{Steps: 3000, Batch: 32, Accumulate: 1, Seed: 1, LearningRate: 1e-3, MinRate: 1e-6, WarmupRate: 1e-6, WarmupSteps: 200,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 30},
		BLIPModel:    m,
		BLIPContrast: BLIPContrast{Queue: 1024, Momentum: 0.995, ITCAlpha: 0.4, AlphaEpochs: 2, Negatives: "global"},
		Sharing:      string(blip.ShareAllButSelf), Smoothing: 0.1,
	}
}

// BLIPPretrain trains a BLIP on ITC, ITM and LM and writes OUT/final: one folder with all heads, that
// transformers opens as BlipForConditionalGeneration and as BlipForImageTextRetrieval.
func BLIPPretrain(ctx context.Context, backend compute.Backend, s *BLIPPretrainSettings, p *infer.Pictures, start *infer.BLIPStart, o Options) (train.Summary, error) {
	const name = "blip/pretrain"
	if err := s.validate(&s.Common); err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	sharing := blip.Sharing(s.Sharing)
	if err := sharing.Validate(); err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	if s.Smoothing < 0 || s.Smoothing > 1 {
		return noSummary, fmt.Errorf("%s: label_smoothing must lie in [0, 1]", name)
	}
	texts, err := s.prepared(p.Set)
	if err != nil {
		return noSummary, err
	}
	b, err := newBLIPRun(name, backend, &s.Common, &s.BLIPModel, s, p, start, texts, o)
	if err != nil {
		return noSummary, err
	}
	b.cfg.Text.LabelSmoothing = s.Smoothing
	length, err := b.captionLength(p.Set)
	if err != nil {
		return noSummary, err
	}
	loss, err := s.loss(b, o.Devices)
	if err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	loss.Sharing, loss.Smoothing = sharing, s.Smoothing
	mean, std := p.Processor.Statistics()
	b.objective, b.inputs = loss.Objective(s.Batch, mean, std), pairShapes(b, length)
	if err := b.fill(loss.Carried); err != nil {
		return noSummary, err
	}
	if err := b.feed(s.pairBatches(b, length, o, nil), o); err != nil {
		return noSummary, err
	}
	return b.finish(ctx, o, p, []string{blip.CaptionClass, blip.RetrievalClass}, withDecoder(loss.Carried))
}

// without leaves out what only training needs.
func without(carried func(name string) bool) func([]checkpoints.Named) []checkpoints.Named {
	return func(named []checkpoints.Named) []checkpoints.Named {
		return slices.DeleteFunc(slices.Clone(named), func(n checkpoints.Named) bool { return carried(n.Name) })
	}
}

// withDecoder is without, and gives the decoder the tensors that it shares with the encoder under its
// own names.
func withDecoder(carried func(name string) bool) func([]checkpoints.Named) []checkpoints.Named {
	return func(named []checkpoints.Named) []checkpoints.Named {
		out := without(carried)(named)
		has := map[string]bool{}
		for _, n := range out {
			has[n.Name] = true
		}
		for _, n := range out {
			if second, ok := blip.DecoderName(n.Name); ok && !has[second] {
				out = append(out, checkpoints.Named{Name: second, Tensor: n.Tensor})
			}
		}
		return out
	}
}
