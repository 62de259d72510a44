package blip2

import (
	"fmt"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const stage1Case = "blip2-qformer-stage1"

// lavisModel is the stage-1 model of the case, under our names. ln_vision has LAVIS' epsilon, 1e-5,
// in the second config.
func lavisModel(t *testing.T, c *golden.Case) (store *model.Store, vision, cfg Config) {
	t.Helper()
	weights, err := ConvertLAVIS(c.Weights("model"))
	if err != nil {
		t.Fatal(err)
	}
	c.JSON("model_hf/config.json", &vision)
	cfg = vision
	cfg.Vision.LayerNormEps = 1e-5
	return golden.Store(t, weights), vision, cfg
}

// lastState runs the frozen encoder: pixels -> states before the final norm.
func lastState(scope *model.Scope, cfg *Config, pixels *Node) *Node {
	states := vit.Encode(scope.At("vision_model"), &cfg.Vision, pixels)
	return states[len(states)-1]
}

// TestQFormerWithGivenMasks runs the four passes of stage 1 as LAVIS does, each in one piece and
// with LAVIS' masks, and compares all outputs. That our own masks and the reuse of the queries' keys
// and values come to the same is TestStage1Parity's matter.
func TestQFormerWithGivenMasks(t *testing.T) {
	c := golden.Open(t, stage1Case)
	store, vision, cfg := lavisModel(t, c)
	q := &cfg.QFormer
	names := []string{"query_output", "text_output", "itm_output", "lm_logits"}
	out := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		pixels, ids, decoderIDs, negImage, negText := in[0], in[1], in[2], in[3], in[4]
		mask := func(i int, like *Node) *Node {
			return nn.AdditiveMask(GreaterThan(in[5+i], ZerosLike(in[5+i])), like)
		}
		embeds := vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, lastState(scope, &vision, pixels))
		kv := ImageKV(scope, q, embeds)
		queries := EmbedQueries(scope, &cfg, embeds, 4)
		text := EmbedText(scope, q, ids, nil)

		alone := Encode(scope, q, Pass{Queries: queries, Images: kv, Mask: mask(0, text)})
		textAlone := Encode(scope, q, Pass{Text: text, Mask: mask(1, text)})

		own := Iota(ids.Graph(), negImage.Shape(), 0)
		rows := Concatenate([]*Node{own, negImage, own}, 0)
		joint := Encode(scope, q, Pass{Queries: EmbedQueries(scope, &cfg, embeds, 12), Images: TakeKV(kv, rows),
			Text: EmbedText(scope, q, Concatenate([]*Node{ids, ids, Take(ids, negText)}, 0), nil), Mask: mask(2, text)})

		generate := Encode(scope, q, Pass{Queries: queries, Images: kv, Text: EmbedText(scope, q, decoderIDs, nil), Mask: mask(3, text)})
		return []*Node{alone.Queries, textAlone.Text, Concatenate([]*Node{joint.Queries, joint.Text}, 1), TextLogits(scope, &cfg, generate.Text)}
	}).Run(c.Input("pixel_values"), c.Input("input_ids"), c.Want("decoder_input_ids"), c.Input("neg_image_index"), c.Input("neg_text_index"),
		c.Want("mask.itc_query"), c.Want("mask.itc_text"), c.Want("mask.itm"), c.Want("mask.itg_full"))
	for i, name := range names {
		c.Check(name, out[i])
	}
}

// TestRetrievalParity runs the same weights as transformers' Blip2ForImageTextRetrieval: its scores
// and match logits, and every tensor of its folder in use.
func TestRetrievalParity(t *testing.T) {
	c := golden.Open(t, stage1Case)
	var cfg Config
	c.JSON("model_hf/config.json", &cfg)
	f := golden.New(t, golden.Backend(t), golden.Store(t, c.Weights("model_hf")), func(scope *model.Scope, in []*Node) []*Node {
		im := EncodeImages(scope, &cfg, lastState(scope, &cfg, in[0]))
		ProjectImages(scope, &cfg, &im)
		text, _ := TextFeatures(scope, &cfg, in[1], in[2])
		return []*Node{Similarity(im.Features, text), Match(scope, &cfg, im.Queries, im.KV, in[1], in[2])}
	})
	out := f.Run(c.Input("pixel_values"), c.Input("input_ids"), c.Input("attention_mask"))
	f.UsesAll()
	c.Check("hf_layout.logits_per_image", out[0])
	c.Check("hf_layout.itm_logits", out[1])
}

// TestGenerationParity compares transformers' Blip2ForConditionalGeneration layer by layer, with
// text padded on the right as in training and on the left as in generation.
func TestGenerationParity(t *testing.T) {
	c := golden.Open(t, "blip2-opt")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	queries := cfg.NumQueryTokens
	names := []string{"vision.last_hidden_state", "qformer.last_hidden_state", "language_projection"}
	for i := range cfg.Vision.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("vision.hidden_states.%d", i))
	}
	for i := range cfg.QFormer.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("qformer.hidden_states.%d", i))
	}
	f := golden.New(t, golden.Backend(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		vision := scope.At("vision_model")
		states := vit.Encode(vision, &cfg.Vision, in[0])
		embeds := vit.PostLayerNorm(vision, &cfg.Vision, states[len(states)-1])
		encoded := Encode(scope, &cfg.QFormer, Pass{Queries: EmbedQueries(scope, &cfg, embeds, 2), Images: ImageKV(scope, &cfg.QFormer, embeds)})
		prompt := VisualPrompt(scope, &cfg, states[len(states)-1])
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(queries)) }
		out := []*Node{embeds, encoded.Queries, prompt}
		out = append(append(out, states...), encoded.States...)
		return append(out, PromptedLogits(scope, &cfg, prompt, text(in[1]), text(in[2])), PromptedLogits(scope, &cfg, prompt, text(in[3]), text(in[4])))
	})
	trainMask, promptMask := c.Input("train_attention_mask"), c.Input("prompt_attention_mask")
	out := f.Run(c.Input("pixel_values"), c.Input("train_input_ids"), trainMask, c.Input("prompt_input_ids"), promptMask)
	f.UsesAll()
	for i, name := range names {
		c.Check(name, out[i])
	}
	for i, name := range []string{"train.logits", "prompt.logits"} {
		mask := []*tensors.Tensor{trainMask, promptMask}[i]
		want := c.Want(name)
		want = golden.Middle(golden.Masked(want, mask), queries, want.Shape().Dim(1))
		golden.Near(t, name, golden.Masked(out[len(names)+i], columns(mask, queries)), want, 1e-4, 1e-4)
	}
}

// columns drops the first of the columns: int32 [rows, n] -> [rows, n-first].
func columns(x *tensors.Tensor, first int) *tensors.Tensor {
	rows, n := x.Shape().Dim(0), x.Shape().Dim(1)
	flat := tensors.MustCopyFlatData[int32](x)
	var kept []int32
	for row := range rows {
		kept = append(kept, flat[row*n+first:(row+1)*n]...)
	}
	return tensors.FromFlatDataAndDimensions(kept, rows, n-first)
}

// TestStage1Captions generates with the stage-1 model alone, greedily from [DEC], as the text tokens
// see the queries and nothing behind them.
func TestStage1Captions(t *testing.T) {
	const length, dec = 12, 287
	c := golden.Open(t, stage1Case)
	store, vision, cfg := lavisModel(t, c)
	f := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		im := EncodeImages(scope, &cfg, lastState(scope, &vision, in[0]))
		return []*Node{ArgMax(GenerateText(scope, &cfg, im.Past, in[1], in[2]), -1)}
	})
	ids, mask := make([]int32, 4*length), make([]int32, 4*length)
	for row := range 4 {
		ids[row*length] = dec
	}
	for at := range length - 1 {
		for row := range 4 {
			mask[row*length+at] = 1
		}
		next := f.Run(c.Input("pixel_values"), tensors.FromFlatDataAndDimensions(ids, 4, length), tensors.FromFlatDataAndDimensions(mask, 4, length))
		words := tensors.MustCopyFlatData[int32](next[0])
		for row := range 4 {
			ids[row*length+at+1] = words[row*length+at] // no row of this case reaches [SEP]
		}
	}
	c.Check("gen.greedy.ids", tensors.FromFlatDataAndDimensions(ids, 4, length))
}
