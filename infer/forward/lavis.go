package forward

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/models/nn"
	"goblip/models/vit"
	"goblip/train/objective"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// stage1ConfigFile describes weights of LAVIS' Blip2Qformer, whose own format has no config.
const stage1ConfigFile = "stage1_config.json"

// smallBERT is how stage1_config.json and pretrain_config.json describe a model.
type smallBERT struct {
	Width     int     `json:"width"`
	Heads     int     `json:"heads"`
	Depth     int     `json:"depth"`
	Inner     int     `json:"inner"`
	CrossFreq int     `json:"cross_freq"`
	Positions int     `json:"pos"`
	Queries   int     `json:"queries"`
	Embed     int     `json:"embed"`
	Queue     int     `json:"queue"`
	Vocab     int     `json:"vocab"`
	Dropout   float64 `json:"dropout"`
	ViT       struct {
		Width int `json:"width"`
		Depth int `json:"depth"`
		Heads int `json:"heads"`
		MLP   int `json:"mlp"`
		Image int `json:"img"`
		Patch int `json:"patch"`
	} `json:"vit"`
	EpsText     float64 `json:"layer_norm_eps_text"`
	EpsViT      float64 `json:"layer_norm_eps_vit"`
	EpsLNVision float64 `json:"layer_norm_eps_ln_vision"`
	BOS         int     `json:"bos_token_id"`
	ENC         int     `json:"enc_token_id"`
	SEP         int     `json:"sep_token_id"`
	Pad         int     `json:"pad_token_id"`
}

// stage1 is a model of LAVIS: cfg has the epsilon of the frozen blocks, trained that of ln_vision.
type stage1 struct {
	smallBERT
	cfg, trained blip2.Config
	smoothingITC float64
	smoothingLM  float64
}

func openStage1(r *run) (*stage1, error) {
	s := &stage1{smallBERT: smallBERT{EpsText: 1e-12, EpsViT: 1e-6, EpsLNVision: lnVisionEps, SEP: 102}}
	if err := r.readModel(stage1ConfigFile, &s.smallBERT); err != nil {
		return nil, err
	}
	var about struct {
		ITC *float64 `json:"label_smoothing_itc"`
		LM  *float64 `json:"label_smoothing_lm"`
	}
	if err := r.JSON(&about); err != nil {
		return nil, err
	}
	s.smoothingITC, s.smoothingLM = 0.1, 0.1 // LAVIS' constants
	if about.ITC != nil {
		s.smoothingITC = *about.ITC
	}
	if about.LM != nil {
		s.smoothingLM = *about.LM
	}
	c := blip2.Default()
	c.NumQueryTokens, c.ImageTextHiddenSize = s.Queries, s.Embed
	c.Vision.HiddenSize, c.Vision.NumHiddenLayers, c.Vision.NumAttentionHeads = s.ViT.Width, s.ViT.Depth, s.ViT.Heads
	c.Vision.IntermediateSize, c.Vision.ImageSize, c.Vision.PatchSize, c.Vision.LayerNormEps = s.ViT.MLP, s.ViT.Image, s.ViT.Patch, s.EpsViT
	q := &c.QFormer
	q.VocabSize, q.HiddenSize, q.NumHiddenLayers, q.NumAttentionHeads, q.IntermediateSize = s.Vocab, s.Width, s.Depth, s.Heads, s.Inner
	q.HiddenDropoutProb, q.AttentionProbsDropoutProb = s.Dropout, s.Dropout
	q.MaxPositionEmbeddings, q.LayerNormEps, q.CrossAttentionFrequency, q.EncoderHiddenSize = s.Positions, s.EpsText, s.CrossFreq, s.ViT.Width
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(r.model, stage1ConfigFile), err)
	}
	s.cfg, s.trained = c, c
	s.trained.Vision.LayerNormEps = s.EpsLNVision
	return s, s.load(r)
}

// load fills the store under our names, strictly.
func (s *stage1) load(r *run) error {
	side := s.cfg.Vision.ImageSize
	want, err := infer.Declare(r.backend, r.store, func(scope *model.Scope, in []*Node) {
		given := func(_, _ *Node) (*Node, *Node) { return in[2], in[2] }
		l := s.objective(false, given).Losses(scope, lastState(scope, &s.cfg.Vision, in[0]), in[1], in[1], in[2])
		l.ITG.AssertScalar()
	}, shapes.Make(dtypes.Float32, 2, 3, side, side), shapes.Make(dtypes.Int32, 2, 3), shapes.Make(dtypes.Int32, 2))
	if err != nil {
		return err
	}
	lavis, err := r.weights()
	if err != nil {
		return err
	}
	converted, err := blip2.ConvertLAVIS(lavis)
	if err != nil {
		return fmt.Errorf("%s: %w", r.model, err)
	}
	return r.fill(want, converted)
}

// objective is the training step of LAVIS with given negatives.
func (s *stage1) objective(exact bool, negatives func(_, _ *Node) (*Node, *Node)) objective.Stage1 {
	return objective.Stage1{Config: &s.trained, DecoderID: s.BOS, Smoothing: s.smoothingITC, ExactKeys: exact, Negatives: negatives}
}

// lavisStage1 is LAVIS' Blip2Qformer in training: every value of its forward pass, the gradients of
// all trained tensors (grad.*, and gradfull.* with ITC's keys not detached), captions of the
// Q-Former alone, and the same weights as Blip2ForImageTextRetrieval (hf_layout.*).
func lavisStage1(r *run) error {
	s, err := openStage1(r)
	if err != nil {
		return err
	}
	batch := []string{"pixel_values", "input_ids", "attention_mask", "neg_image_index", "neg_text_index"}
	if err := r.graph(batch, s.forward); err != nil {
		return err
	}
	for prefix, exact := range map[string]bool{"grad.": false, "gradfull.": true} {
		if !r.needs(prefix + "*") {
			continue
		}
		if err := r.graph(batch, func(scope *model.Scope, in []*Node, out *outputs) {
			l := s.losses(scope, in, exact)
			r.gradients(prefix, Add(Add(l.ITC, l.ITM), l.ITG), func(name string) string {
				hf, _ := blip2.FromLAVIS(name)
				return hf
			}, out)
		}); err != nil {
			return err
		}
	}
	if err := s.captions(r); err != nil {
		return err
	}
	return s.transformers(r)
}

// losses runs the objective: in are pixels, ids, mask, negative images and texts.
func (s *stage1) losses(scope *model.Scope, in []*Node, exact bool) objective.Stage1Losses {
	frozen := StopGradient(lastState(scope, &s.cfg.Vision, in[0]))
	return s.onStates(scope, frozen, in[1], in[2], in[3], in[4], exact)
}

// onStates is losses over frozen states.
func (s *stage1) onStates(scope *model.Scope, states, ids, mask, negImage, negText *Node, exact bool) objective.Stage1Losses {
	o := s.objective(exact, func(_, _ *Node) (*Node, *Node) { return negImage, negText })
	l := o.Losses(scope, states, ids, mask, numbers(ids))
	if s.smoothingLM != s.smoothingITC { // a case of its own: LAVIS has 0.1 for both
		o.Smoothing = s.smoothingLM
		l.ITG = o.Losses(scope, states, ids, mask, numbers(ids)).ITG
	}
	return l
}

// numbers counts the rows of a batch: int32 [batch].
func numbers(x *Node) *Node {
	return Iota(x.Graph(), shapes.Make(dtypes.Int32, x.Shape().Dim(0)), 0)
}

func (s *stage1) forward(scope *model.Scope, in []*Node, out *outputs) {
	ids, mask, negImage, negText := in[1], in[2], in[3], in[4]
	l := s.losses(scope, in, false)
	frozen := lastState(scope, &s.cfg.Vision, in[0])
	out.put("image_embeds", vit.PostLayerNorm(scope.At("vision_model"), &s.trained.Vision, frozen))
	out.put("query_output", l.Images.Output)
	out.put("text_output", l.TextStates)
	out.put("image_features", l.Images.Features)
	out.put("text_features", l.TextFeatures)
	out.put("sim_i2t", l.ImageToText)
	out.put("sim_t2i", l.TextToImage)
	out.put("itm_weights_i2t", negativeWeights(l.ImageToText))
	out.put("itm_weights_t2i", negativeWeights(l.TextToImage))
	out.put("loss_itc", l.ITC)
	out.put("loss_itm", l.ITM)
	out.put("loss_lm", l.ITG)
	out.put("loss", Add(Add(l.ITC, l.ITM), l.ITG))

	decoder := nn.WithFirst(ids, s.BOS)
	out.put("decoder_input_ids", decoder)
	out.put("lm_labels", Where(Equal(decoder, ConstAs(decoder, s.Pad)), ConstAs(decoder, ignored), decoder))
	out.put("lm_logits", blip2.GenerateText(scope, &s.trained, l.Images.Past, decoder, mask))

	// LAVIS has the three kinds of pairs one behind the other; the objective has them side by side.
	batch, queries := ids.Shape().Dim(0), s.Queries
	own := numbers(ids)
	images, texts := Concatenate([]*Node{own, negImage, own}, 0), Concatenate([]*Node{own, own, negText}, 0)
	joint := Concatenate([]*Node{blip2.OnesLike32(texts, queries), blip2.Take(mask, texts)}, 1)
	logits, states := jointMatch(scope, &s.trained, blip2.EmbedQueries(scope, &s.trained, l.TextStates, 3*batch),
		blip2.TakeKV(l.Images.KV, images), blip2.Take(ids, texts), joint)
	out.put("itm_logits", logits)
	out.put("itm_output", states)
	out.put("itm_labels", Concatenate([]*Node{OnesLike(own), ZerosLike(own), ZerosLike(own)}, 0))
	s.masks(mask, joint, out)
}

// masks names who sees whom in each pass, 0 or 1: rows look at columns.
func (s *stage1) masks(mask, joint *Node, out *outputs) {
	batch, text, queries := mask.Shape().Dim(0), mask.Shape().Dim(1), s.Queries
	all := func(x *Node, rows int) *Node {
		return BroadcastToDims(InsertAxes(x, 1), x.Shape().Dim(0), rows, x.Shape().Dim(1))
	}
	seen := blip2.OnesLike32(mask, queries)
	out.put("mask.itc_query", all(seen, queries))
	out.put("mask.itc_text", all(mask, text))
	out.put("mask.itm", all(joint, queries+text))
	causal := ConvertDType(BroadcastToDims(InsertAxes(LowerTriangular(mask.Graph(), text), 0), batch, text, text), dtypes.Int32)
	textRows := Concatenate([]*Node{all(seen, text), Mul(causal, all(mask, text))}, 2)
	queryRows := Concatenate([]*Node{all(seen, queries), all(ZerosLike(mask), queries)}, 2)
	out.put("mask.itg_text_rows", textRows)
	out.put("mask.itg_full", Concatenate([]*Node{queryRows, textRows}, 1))
}

// negativeWeights is the distribution that hard negatives are drawn from: the own pair is at -10000.
func negativeWeights(scores *Node) *Node {
	batch := scores.Shape().Dim(0)
	own := Diagonal(scores.Graph(), batch)
	return Softmax(Where(own, ConstAs(scores, -10000), scores), -1)
}

// hfFolder beside a case's model holds the same weights as transformers saves them.
const hfFolder = "model_hf"

// transformers runs the weights as Blip2ForImageTextRetrieval, whose last norm has another epsilon:
// those of model_hf where the case has it, else the same ones.
func (s *stage1) transformers(r *run) error {
	if !r.needs("hf_layout.*") {
		return nil
	}
	cfg := s.cfg
	dir := filepath.Join(r.dir, hfFolder)
	switch err := readJSON(filepath.Join(dir, checkpoints.ConfigFile), &cfg); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := cfg.Validate(); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		other := *r.Case
		other.model = dir
		hf := &run{Case: &other, backend: r.backend, store: model.NewStore(), got: r.got}
		defer hf.finalize()
		if err := loadRetrieval(hf, &cfg); err != nil {
			return err
		}
		r = hf
	}
	return r.graph([]string{"pixel_values", "input_ids", "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		im := blip2.EncodeImages(scope, &cfg, lastState(scope, &cfg.Vision, in[0]))
		blip2.ProjectImages(scope, &cfg, &im)
		text, _ := blip2.TextFeatures(scope, &cfg, in[1], in[2])
		out.put("hf_layout.logits_per_image", blip2.Similarity(im.Features, text))
		out.put("hf_layout.itm_logits", blip2.Match(scope, &cfg, im.Queries, im.KV, in[1], in[2]))
	})
}
