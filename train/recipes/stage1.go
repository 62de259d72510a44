package recipes

import (
	"context"
	"fmt"

	"goblip/checkpoints"
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

// Stage1Settings of recipe "blip2/stage1".
type Stage1Settings struct {
	Common
	Encoding
	Queries        int     `json:"num_query_tokens" help:"learned queries" source:"BLIP-2 section 3.1: 32"`
	HiddenSize     int     `json:"hidden_size" help:"width of the Q-Former" source:"paper: 768"`
	Layers         int     `json:"num_hidden_layers" help:"blocks of the Q-Former" source:"paper: 12"`
	Heads          int     `json:"num_attention_heads" help:"attention heads" source:"paper: 12"`
	Intermediate   int     `json:"intermediate_size" help:"feed-forward width" source:"paper: 3072"`
	CrossFrequency int     `json:"cross_attention_frequency" help:"cross-attention in every n-th block" source:"BLIP-2 section 3.1: 2"`
	Projection     int     `json:"image_text_hidden_size" help:"width of the contrastive space" source:"LAVIS: 256"`
	Dropout        float64 `json:"dropout" help:"hidden and attention" source:"BERT: 0.1"`
	Smoothing      float64 `json:"label_smoothing" help:"of ITC and ITG" source:"LAVIS blip2_qformer.py: 0.1"`
	Keys           string  `json:"itc_keys" help:"compat: no gradient through the other side, as LAVIS; exact: gradient through both" source:"spec of LAVIS: compat"`
	ITCBatch       string  `json:"itc_batch,omitempty" help:"micro (also when empty): ITC and hard negatives see one micro-batch; step: all those of a step, with exact gradients, for another forward pass" source:"ours"`
	ITG            bool    `json:"itg" help:"image-grounded text generation" source:"BLIP-2 section 3.2 and table 6"`
	Alike          int     `json:"alike" help:"a batch holds pictures in groups of this many that look alike to the frozen encoder, which makes in-batch negatives hard; 1: any order" source:"ours"`
	VocabSize      int     `json:"vocab_size" help:"of the word list learnt from the captions, at most"`
}

// DefaultStage1 is the representation stage over a small frozen tower:
//
//	goblip train blip2/stage1 --data data/shapes/train.jsonl --vision runs/clip/final --out runs/stage1
//
// 2 cores, about 3 minutes.
func DefaultStage1() *Stage1Settings {
	return &Stage1Settings{
		Common: Common{Steps: 500, Batch: 64, Accumulate: 1, Seed: 1, LearningRate: 1.5e-3, MinRate: 1e-5, WarmupRate: 1e-6, WarmupSteps: 100,
			Schedule: "step", WeightDecay: 0.05, Beta1: 0.9, Beta2: 0.98, ClipNorm: 1, InitRange: 0.05, MaxTextLength: 32},
		Queries: 8, HiddenSize: 96, Layers: 4, Heads: 4, Intermediate: 192, CrossFrequency: 2, Projection: 64,
		Dropout: 0, Smoothing: 0.1, Keys: "compat", ITG: true, Alike: 2, VocabSize: 2000,
	}
}

// Stage1 trains the Q-Former on ITC, ITM and ITG over the frozen image tower of the folder vision,
// and writes OUT/final, a Blip2ForImageTextRetrieval.
func Stage1(ctx context.Context, backend compute.Backend, s *Stage1Settings, p *infer.Pictures, vision string, o Options) (train.Summary, error) {
	var none train.Summary
	if err := s.Validate(); err != nil {
		return none, fmt.Errorf("stage1: %w", err)
	}
	if err := s.prepare(o); err != nil {
		return none, fmt.Errorf("stage1: %w", err)
	}
	if s.Keys != "compat" && s.Keys != "exact" {
		return none, fmt.Errorf("stage1: itc_keys %q is not compat or exact", s.Keys)
	}
	if s.ITCBatch != "" && s.ITCBatch != "micro" && s.ITCBatch != "step" {
		return none, fmt.Errorf("stage1: itc_batch %q is not micro or step", s.ITCBatch)
	}
	whole, compared := s.ITCBatch == "step", s.Batch
	if whole {
		compared *= s.Accumulate
		if s.TextBuckets > 1 {
			return none, fmt.Errorf("stage1: itc_batch step needs texts of one length: text_buckets must be 0 or 1")
		}
	}
	if s.Alike < 1 {
		return none, fmt.Errorf("stage1: alike must be 1 or more")
	}
	if s.Batch < 2 {
		return none, fmt.Errorf("stage1: batch must be 2 or more, for negatives")
	}
	folder, err := checkpoints.OpenFolder(vision)
	if err != nil {
		return none, err
	}
	defer folder.Close()
	store := model.NewStore()
	cfg := blip2.Default()
	cfg.Architectures = []string{blip2.RetrievalClass}
	if cfg.Vision, err = infer.LoadVision(backend, store, folder); err != nil {
		return none, err
	}
	if p.Side != cfg.Vision.ImageSize {
		return none, fmt.Errorf("stage1: pictures of %d pixels, the image tower wants %d", p.Side, cfg.Vision.ImageSize)
	}
	// The words of questions too: recipe "blip2/vqa" reads them with this text side.
	words, err := text.TrainWordPiece(func(yield func(string) bool) {
		for i := range p.Set.Records {
			for t := range textsOf(&p.Set.Records[i]) {
				if !yield(t) {
					return
				}
			}
		}
	}, s.VocabSize)
	if err != nil {
		return none, fmt.Errorf("stage1: %w", err)
	}
	length, err := captionLength(p.Set, words, s.MaxTextLength)
	if err != nil {
		return none, err
	}
	cfg.NumQueryTokens, cfg.ImageTextHiddenSize = s.Queries, s.Projection
	q := &cfg.QFormer
	q.VocabSize, q.HiddenSize, q.NumHiddenLayers, q.NumAttentionHeads = words.VocabSize(), s.HiddenSize, s.Layers, s.Heads
	q.IntermediateSize, q.CrossAttentionFrequency, q.EncoderHiddenSize = s.Intermediate, s.CrossFrequency, cfg.Vision.HiddenSize
	q.HiddenDropoutProb, q.AttentionProbsDropoutProb = s.Dropout, s.Dropout
	q.UseQFormerTextInput, q.MaxPositionEmbeddings = true, max(s.MaxTextLength, 64)
	if err := cfg.Validate(); err != nil {
		return none, fmt.Errorf("stage1: %w", err)
	}
	decoder, _ := words.ID(text.DecToken)
	loss := objective.Stage1{Config: &cfg, DecoderID: int(decoder), Smoothing: s.Smoothing, ExactKeys: s.Keys == "exact", WithoutITG: !s.ITG, SendStates: o.Devices > 1}
	frozen := freezeEncoder(ctx, "stage1", backend, store, &cfg, loss.Objective(compared), &s.Encoding, s.Seed, p, o)
	r := &recipe{
		name: "stage1", backend: backend, store: store, objective: frozen.objective, common: &s.Common, settings: s,
		trainable: infer.Trainable, whole: whole,
		inputs: []shapes.Shape{frozen.shape(s.Batch), shapeInt32(s.Batch, length), shapeInt32(s.Batch, length), shapeInt32(s.Batch)},
	}
	batches := func(p *infer.Pictures) (batchFunc, error) {
		captions, _, err := encodeCaptions(p.Set, words, length)
		if err != nil {
			return nil, err
		}
		images, err := frozen.images(p)
		if err != nil {
			return nil, err
		}
		visits := visit(p.Set, s.Seed, s.Batch)
		if s.Alike > 1 {
			visits.alike = s.Alike
			if visits.classes, err = images.classes(); err != nil {
				return nil, err
			}
		}
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			texts := pickCaptions(captions, rows, s.Seed, epoch)
			ids, mask := padded(texts, s.bucket(texts, length), 0)
			numbers := make([]int32, len(rows))
			for j, row := range rows {
				numbers[j] = int32(visits.identity(row))
			}
			return []*tensors.Tensor{images.batch(rows, epoch), ids, mask, tensors.FromFlatDataAndDimensions(numbers, len(rows))}, nil
		}, nil
	}
	if err := r.feed(batches, p, o); err != nil {
		return none, err
	}
	summary, err := r.run(ctx, o)
	if err != nil {
		return summary, err
	}
	return summary, finalFolder{config: &cfg, pretraining: blip2.IsPretraining, words: words.Save, pictures: p}.write(finalDir(o.Dir), store)
}
