package recipes

import (
	"context"
	"fmt"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/models/nn"
	"goblip/train"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPModel are the settings that all BLIP recipes have. Sizes count where a part starts from nothing;
// one that starts from a folder has those of the folder.
type BLIPModel struct {
	ImageSize        int     `json:"image_size" help:"pixels a side; 0: that of the folder it starts from, or 48; another one resizes the folder's positions" source:"BLIP: 224, fine-tuned at 384 or 480"`
	PatchSize        int     `json:"patch_size" help:"pixels a side" source:"ours; BLIP: 16"`
	Alpha            string  `json:"alpha" help:"transparent pictures: white lays them on white; drop shows the colour stored under transparent pixels, as BLIP does; empty: as the folder it starts from, or white" source:"transformers 5: white; BLIP: drop"`
	HiddenSize       int     `json:"hidden_size" help:"width of the image tower" source:"ours; BLIP: 768 (ViT-B), 1024 (ViT-L)"`
	Layers           int     `json:"num_hidden_layers" help:"blocks of the image tower" source:"ours; BLIP: 12, 24"`
	Heads            int     `json:"num_attention_heads" help:"of the image tower" source:"ours; BLIP: 12, 16"`
	Intermediate     int     `json:"intermediate_size" help:"feed-forward width of the image tower" source:"ours; BLIP: 3072, 4096"`
	TextHidden       int     `json:"text_hidden_size" help:"width of text encoder and decoder" source:"ours; BERT-base: 768"`
	TextLayers       int     `json:"text_num_hidden_layers" help:"layers of each" source:"ours; BERT-base: 12"`
	TextHeads        int     `json:"text_num_attention_heads" help:"of each" source:"ours; BERT-base: 12"`
	TextIntermediate int     `json:"text_intermediate_size" help:"feed-forward width of each" source:"ours; BERT-base: 3072"`
	Projection       int     `json:"image_text_hidden_size" help:"width of the contrastive space" source:"ours; BLIP: 256"`
	VocabSize        int     `json:"vocab_size" help:"of the word list learnt from the texts, at most" source:"ours; BERT: 30522"`
	Dropout          float64 `json:"dropout" help:"of the text side, hidden and attention" source:"ours, few epochs; BLIP: 0.1"`
	Clean            bool    `json:"clean_text" help:"lower-case, punctuation out, as BLIP prepares captions and questions" source:"BLIP data/utils.py"`
	MaxWords         int     `json:"max_words" help:"words of a text that are kept" source:"BLIP data: 30; questions 50, NLVR2 40"`
	Freeze           string  `json:"freeze" help:"patterns of tensor names that are not trained, with commas between: vision_model.*,text_encoder.embeddings.*" source:"none in BLIP"`
	Augment          string  `json:"augment" help:"none; crop: random crop and flip; randaugment: and two operations of RandAugment at level 5; pictures are then decoded anew in each epoch" source:"ours; BLIP: randaugment"`
	MinCrop          float64 `json:"min_crop" help:"share of a picture's area that a random crop keeps at least" source:"BLIP data/__init__.py: 0.2 in pre-training, 0.5 in fine-tuning"`
	DropPath         float64 `json:"drop_path" help:"how often the last block of the image tower is passed by, each half of it for each picture; rises from 0 at the first" source:"ours; BLIP: 0 for ViT-B, 0.1 for VQA, NLVR2 and ViT-L"`
}

// smallBLIP trains on a CPU in minutes.
func smallBLIP() BLIPModel {
	return BLIPModel{PatchSize: 8, HiddenSize: 96, Layers: 4, Heads: 4, Intermediate: 192,
		TextHidden: 96, TextLayers: 3, TextHeads: 4, TextIntermediate: 192, Projection: 64, VocabSize: 2000, Clean: true, MaxWords: 30,
		Augment: "none", MinCrop: 0.5}
}

// BLIPParts are the parts that the settings of all BLIP recipes have; nil for other settings.
func BLIPParts(settings any) (*Common, *BLIPModel) {
	switch s := settings.(type) {
	case *BLIPPretrainSettings:
		return &s.Common, &s.BLIPModel
	case *BLIPCaptionSettings:
		return &s.Common, &s.BLIPModel
	case *BLIPRetrievalSettings:
		return &s.Common, &s.BLIPModel
	case *BLIPVQASettings:
		return &s.Common, &s.BLIPModel
	case *BLIPNLVRSettings:
		return &s.Common, &s.BLIPModel
	}
	return nil, nil
}

// Processor says how pictures are prepared for a model that starts from there.
func (m *BLIPModel) Processor(start *infer.BLIPStart) (image.Processor, error) {
	p := image.Processor{Alpha: image.AlphaWhite, Size: 48}
	if start.Tower() {
		from, err := start.Processor()
		if err != nil {
			return p, err
		}
		p = from
	}
	switch {
	case m.ImageSize != 0 && p.Crop > 0:
		p.Size, p.Crop = p.Size*m.ImageSize/p.Crop, m.ImageSize
	case m.ImageSize != 0:
		p.Size = m.ImageSize
	}
	if m.Alpha != "" {
		alpha, err := image.ParseAlpha(m.Alpha)
		if err != nil {
			return p, err
		}
		p.Alpha = alpha
	}
	return p, nil
}

// blipRun is a BLIP recipe under way.
type blipRun struct {
	*recipe
	m     *BLIPModel
	start *infer.BLIPStart
	cfg   *blip.Config
	words *text.WordPiece
	shown *infer.Pictures // what is trained on, augmented
	note  func(format string, args ...any)
}

// newBLIPRun completes the model's config by settings and pictures; texts are what a word list is
// learnt from where the start has none.
func newBLIPRun(name string, backend compute.Backend, common *Common, m *BLIPModel, settings any, p *infer.Pictures, start *infer.BLIPStart, texts []string, o Options) (*blipRun, error) {
	if err := common.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := &blipRun{m: m, start: start, cfg: start.Config, note: o.Note, recipe: &recipe{name: name, backend: backend, store: model.NewStore(),
		common: common, settings: settings, decays: func(string, shapes.Shape) bool { return true }}}
	var err error
	if b.shown, err = augmented(p, m.Augment, m.MinCrop, common.Seed); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v, t := &b.cfg.Vision, &b.cfg.Text
	if !start.Tower() {
		v.HiddenSize, v.NumHiddenLayers, v.NumAttentionHeads, v.IntermediateSize = m.HiddenSize, m.Layers, m.Heads, m.Intermediate
		v.PatchSize, v.LayerNormEps, v.InitializerRange = m.PatchSize, 1e-6, common.InitRange
	}
	v.ImageSize = p.Side
	v.DropPath = m.DropPath
	m.ImageSize, m.Alpha = p.Side, p.Processor.Alpha.String() // as it is, for the run's config
	if !start.Text() {
		words, err := text.TrainWordPiece(sliceOf(texts), m.VocabSize-1) // [ENC] comes on top
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := start.UseWords(words); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.HiddenSize, t.NumHiddenLayers, t.NumAttentionHeads, t.IntermediateSize = m.TextHidden, m.TextLayers, m.TextHeads, m.TextIntermediate
		t.MaxPositionEmbeddings, t.InitializerRange = max(common.MaxTextLength, 64), common.InitRange
	}
	b.words = start.Words
	if !start.Whole() {
		b.cfg.ImageTextHiddenSize = m.Projection
	}
	t.EncoderHiddenSize, t.HiddenDropoutProb, t.AttentionProbsDropoutProb = v.HiddenSize, m.Dropout, m.Dropout
	switch {
	case m.MaxWords < 1:
		return nil, fmt.Errorf("%s: max_words must be 1 or more", name)
	case m.DropPath < 0 || m.DropPath >= 1:
		return nil, fmt.Errorf("%s: drop_path must lie in [0, 1)", name)
	case common.MaxTextLength > t.MaxPositionEmbeddings:
		return nil, fmt.Errorf("%s: max_text_length %d is more than the model's %d positions", name, common.MaxTextLength, t.MaxPositionEmbeddings)
	}
	if err := b.cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// fill makes the model's variables and sets those that the start has. carried names what only
// training needs; nil: nothing.
func (b *blipRun) fill(carried func(name string) bool) error {
	rng := shapes.Make(dtypes.Uint64, RNGStateShape.Dimensions...)
	want, err := infer.Declare(b.backend, b.store, func(scope *model.Scope, in []*Node) {
		nn.Train(in[0])
		b.objective.Build(scope, in[1:])
	}, append([]shapes.Shape{rng}, b.inputs...)...)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	for name := range want {
		if carried != nil && carried(name) {
			delete(want, name)
		}
	}
	started, err := b.start.Fill(b.backend, b.store, want)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	if b.start.Whole() && len(started) > 0 && b.note != nil {
		b.note("%s: %d tensors are not in the folder and start from random values: %s", b.name, len(started), strings.Join(parts(started), ", "))
	}
	frozen, err := freeze(b.m.Freeze, want)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	b.trainable = func(name string) bool { return !frozen(name) && (carried == nil || !carried(name)) }
	return nil
}

// parts shortens tensor names to the parts of the model that they are in.
func parts(names []string) (out []string) {
	for _, name := range names {
		words := strings.SplitN(name, ".", 3)
		part := strings.Join(words[:min(len(words), 2)], ".")
		if part = strings.TrimSuffix(strings.TrimSuffix(part, ".weight"), ".bias"); len(out) == 0 || out[len(out)-1] != part {
			out = append(out, part)
		}
	}
	return out
}

// feed sets what the run trains on, pictures as an epoch shows them, and what it is evaluated on, pictures
// as they are.
func (b *blipRun) feed(batches func(p *infer.Pictures) (batchFunc, error), o Options) error {
	return b.recipe.feed(batches, b.shown, o)
}

// pixelShape is that of a batch of pictures.
func (b *blipRun) pixelShape() shapes.Shape {
	side := b.cfg.Vision.ImageSize
	return shapeUint8(b.common.Batch, side, side, 3)
}

// captions are the cleaned captions of a set, as token ids cut to limit: those of record r at [r].
func (b *blipRun) captions(set *datasets.Set, limit int) ([][][]int32, error) {
	clean, err := b.m.cleaned(set)
	if err != nil {
		return nil, err
	}
	ids, _, err := encodeCaptions(clean, b.words, limit)
	return ids, err
}

// finish trains and writes OUT/final, a folder of the given classes; tensors, if not nil, turns the
// store's tensors into the folder's.
func (b *blipRun) finish(ctx context.Context, o Options, p *infer.Pictures, classes []string, tensors func([]checkpoints.Named) []checkpoints.Named) (train.Summary, error) {
	summary, err := b.run(ctx, o)
	if err != nil {
		return summary, err
	}
	b.cfg.Architectures = classes
	return summary, finalFolder{config: b.cfg, pretraining: blip.IsPretraining, words: b.words.Save, pictures: p, tensors: tensors}.write(finalDir(o.Dir), b.store)
}

// captionLength is the padded length of a set's prepared captions.
func (b *blipRun) captionLength(set *datasets.Set) (int, error) {
	clean, err := b.m.cleaned(set)
	if err != nil {
		return 0, err
	}
	return captionLength(clean, b.words, b.common.MaxTextLength)
}

var noSummary train.Summary
