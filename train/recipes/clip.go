package recipes

import (
	"context"
	"fmt"

	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/clip"
	"goblip/models/vit"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// CLIPSettings of recipe "clip".
type CLIPSettings struct {
	Common
	Vision        string  `json:"vision" help:"layout of the image tower: eva (transformers opens the BLIP-2 made of it) or clip" source:"BLIP-2 section 3.4"`
	ImageSize     int     `json:"image_size" help:"pixels a side"`
	PatchSize     int     `json:"patch_size" help:"pixels a side"`
	Alpha         string  `json:"alpha" help:"transparent pictures: white lays them on white; drop shows the colour stored under transparent pixels, often black, as BLIP does; stage 1 and 2 follow the tower" source:"transformers 5: white; LAVIS: drop"`
	HiddenSize    int     `json:"hidden_size" help:"width of the image tower"`
	Layers        int     `json:"num_hidden_layers" help:"blocks of the image tower; BLIP-2 leaves the last out" source:"BLIP-2 section 3.4"`
	Heads         int     `json:"num_attention_heads" help:"of the image tower"`
	Intermediate  int     `json:"intermediate_size" help:"feed-forward width of the image tower"`
	TextHidden    int     `json:"text_hidden_size" help:"width of the text tower"`
	TextLayers    int     `json:"text_num_hidden_layers" help:"blocks of the text tower"`
	TextHeads     int     `json:"text_num_attention_heads" help:"of the text tower"`
	Projection    int     `json:"projection_dim" help:"width of the shared space"`
	Negatives     bool    `json:"hard_negatives" help:"for each picture a wrong caption that differs in one word" source:"NegCLIP, arXiv 2210.01936, section 5"`
	Augment       string  `json:"augment" help:"none; crop: random crop and flip; randaugment: and two operations of RandAugment at level 5; pictures are then decoded anew in each epoch" source:"BLIP: randaugment; BLIP-2: crop"`
	MinCrop       float64 `json:"min_crop" help:"share of a picture's area that a random crop keeps at least" source:"LAVIS: 0.5; BLIP pre-training: 0.2"`
	CaptionLayers int     `json:"caption_layers" help:"blocks of a caption decoder that learns with the towers; 0: none" source:"CoCa, arXiv 2205.01917"`
	CaptionWeight float64 `json:"caption_weight" help:"of the caption loss beside the contrastive one" source:"CoCa: 2"`
	VocabSize     int     `json:"vocab_size" help:"of the word list learnt from the captions, at most"`
}

// DefaultCLIP trains a small tower on a CPU in minutes:
//
//	goblip train clip --data data/shapes/train.jsonl --out runs/clip
//
// 2 cores, about 4 minutes on 24,000 pictures of 48 pixels.
func DefaultCLIP() *CLIPSettings {
	return &CLIPSettings{
		Common: Common{Steps: 4900, Batch: 32, Accumulate: 1, Seed: 1, LearningRate: 1.2e-3, MinRate: 1e-5, WarmupRate: 1e-6, WarmupSteps: 200,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.06, MaxTextLength: 32},
		Vision: "eva", ImageSize: 48, PatchSize: 8, Alpha: "white", HiddenSize: 96, Layers: 4, Heads: 4, Intermediate: 192,
		TextHidden: 64, TextLayers: 2, TextHeads: 4, Projection: 64, Negatives: true, Augment: "none", MinCrop: 0.5, CaptionLayers: 1, CaptionWeight: 1, VocabSize: 2000,
	}
}

func (s *CLIPSettings) config(vocab, sep int) (*clip.Config, error) {
	cfg := clip.Default()
	cfg.ProjectionDim = s.Projection
	switch s.Vision {
	case "eva":
		cfg.Vision = vit.Default()
	case "clip":
		cfg.Vision = vit.DefaultCLIP()
	default:
		return nil, fmt.Errorf("vision %q is not eva or clip", s.Vision)
	}
	v := &cfg.Vision
	v.HiddenSize, v.NumHiddenLayers, v.NumAttentionHeads, v.IntermediateSize = s.HiddenSize, s.Layers, s.Heads, s.Intermediate
	v.ImageSize, v.PatchSize = s.ImageSize, s.PatchSize
	t := &cfg.Text
	t.HiddenSize, t.NumHiddenLayers, t.NumAttentionHeads, t.IntermediateSize = s.TextHidden, s.TextLayers, s.TextHeads, 4*s.TextHidden
	t.VocabSize, t.MaxPositionEmbeddings, t.HiddenAct, t.ProjectionDim = vocab, s.MaxTextLength, "gelu", s.Projection
	t.EOSTokenID, t.BOSTokenID, t.PadTokenID = sep, 0, 0
	return &cfg, cfg.Validate()
}

// CLIP trains a dual encoder on pictures and their captions and writes OUT/final, and beside it the
// caption decoder that it had.
func CLIP(ctx context.Context, backend compute.Backend, s *CLIPSettings, p *infer.Pictures, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("clip: %w", err)
	}
	words, err := text.TrainWordPiece(infer.Captions(p.Set), s.VocabSize)
	if err != nil {
		return none, fmt.Errorf("clip: %w", err)
	}
	sep, _ := words.ID(text.SepToken)
	cfg, err := s.config(words.VocabSize(), int(sep))
	if err != nil {
		return none, fmt.Errorf("clip: %w", err)
	}
	length, err := captionLength(p.Set, words, s.MaxTextLength)
	if err != nil {
		return none, err
	}
	training, err := augmented(p, s.Augment, s.MinCrop, s.Seed)
	if err != nil {
		return none, fmt.Errorf("clip: %w", err)
	}
	store := model.NewStore()
	loss := objective.CLIP{Config: cfg, Mean: infer.Mean(), Std: infer.Std(), HardNegatives: s.Negatives, CaptionLayers: s.CaptionLayers, CaptionWeight: s.CaptionWeight}
	r := &recipe{
		name: "clip", backend: backend, store: store, objective: loss.Objective(), common: &s.Common, settings: s,
		decays: train.DecaysMatrices, records: p.Len(),
		inputs: []shapes.Shape{shapeUint8(s.Batch, s.ImageSize, s.ImageSize, 3), shapeInt32(s.Batch, length)},
	}
	if s.Negatives {
		r.inputs = append(r.inputs, shapeInt32(s.Batch, length))
	}
	batches := func(p *infer.Pictures) (batchFunc, error) {
		captions, _, err := encodeCaptions(p.Set, words, length)
		if err != nil {
			return nil, err
		}
		visits := visit(p.Set, s.Seed, s.Batch)
		var wrong *substitutes
		if s.Negatives {
			wrong = newSubstitutes(captions)
		}
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			picked := pickCaptions(captions, rows, s.Seed, epoch)
			ids, _ := padded(picked, length, 0)
			batch := []*tensors.Tensor{p.BatchAt(rows, epoch), ids}
			if wrong != nil {
				for j, row := range rows {
					picked[j] = wrong.wrong(picked[j], row, datasets.Rand(s.Seed, 0x9e6a, uint64(epoch), uint64(row)))
				}
				negatives, _ := padded(picked, length, 0)
				batch = append(batch, negatives)
			}
			return batch, nil
		}, nil
	}
	if err := r.feed(batches, training, o); err != nil {
		return none, err
	}
	summary, err := r.run(ctx, o)
	if err != nil {
		return summary, err
	}
	return summary, finalFolder{config: cfg, pretraining: clip.IsCaptionDecoder, words: words.Save, pictures: p}.write(finalDir(o.Dir), store)
}
