package objective

import (
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/vit"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

const lavisCase = "blip2-qformer-stage1"

// lavis is the stage-1 model of LAVIS: its checkpoint under our names, its config, and the
// objective with negatives given as inputs 3 and 4.
func lavis(t *testing.T, c *golden.Case) (*model.Store, blip2.Config, func(in []*Node, exact bool) Stage1) {
	t.Helper()
	weights, err := blip2.ConvertLAVIS(c.Weights("model"))
	if err != nil {
		t.Fatal(err)
	}
	var cfg blip2.Config
	c.JSON("model_hf/config.json", &cfg)
	return golden.Store(t, weights), cfg, func(in []*Node, exact bool) Stage1 {
		trained := cfg
		trained.Vision.LayerNormEps = 1e-5 // of ln_vision in LAVIS; the frozen blocks have 1e-6
		return Stage1{Config: &trained, DecoderID: 287, Smoothing: 0.1, ExactKeys: exact,
			Negatives: func(_, _ *Node) (*Node, *Node) { return in[3], in[4] }}
	}
}

func lavisInputs(c *golden.Case) []*tensors.Tensor {
	var in []*tensors.Tensor
	for _, name := range []string{"pixel_values", "input_ids", "attention_mask", "neg_image_index", "neg_text_index"} {
		in = append(in, c.Input(name))
	}
	return in
}

// distinct numbers the pictures of a batch: int32 [batch].
func distinct(ids *Node) *Node {
	return Iota(ids.Graph(), shapes.Make(dtypes.Int32, ids.Shape().Dim(0)), 0)
}

// referenceOrder turns our rows, three of each pair in turn, into LAVIS' three blocks of pairs:
// [3*batch, n] -> [3*batch, n].
func referenceOrder(x *Node) *Node {
	rows, width := x.Shape().Dim(0), x.Shape().Dim(1)
	return Reshape(Transpose(Reshape(x, rows/3, 3, width), 0, 1), rows, width)
}

// TestStage1Parity compares every value of LAVIS' training forward, and the gradient of every
// trained tensor.
func TestStage1Parity(t *testing.T) {
	c := golden.Open(t, lavisCase)
	store, cfg, stage1 := lavis(t, c)
	names := []string{"image_embeds", "query_output", "text_output", "image_features", "text_features", "sim_i2t", "sim_t2i",
		"itm_logits", "loss_itc", "loss_itm", "loss_lm", "loss"}
	gradients := gradientNames(c, "grad.")
	f := golden.New(t, golden.Backend(t), store, func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		frozen := StopGradient(states[len(states)-1])
		s := stage1(in, false)
		l := s.Losses(scope, frozen, in[1], in[2], distinct(in[1]))
		loss := Add(Add(l.ITC, l.ITM), l.ITG)
		out := []*Node{
			vit.PostLayerNorm(scope.At("vision_model"), &s.Config.Vision, frozen),
			l.Images.Output, l.TextStates, l.Images.Features, l.TextFeatures, l.ImageToText, l.TextToImage,
			referenceOrder(l.MatchLogits), l.ITC, l.ITM, l.ITG, loss, l.TextLogits}
		return append(out, Gradient(loss, variables(t, store, gradients, frozen.Graph())...)...)
	})
	out := f.Run(lavisInputs(c)...)
	f.UsesAll()
	for i, name := range names {
		c.Check(name, out[i])
	}
	// The reference also computes the logits after the last word, which no loss uses.
	golden.Near(t, "lm_logits", out[len(names)], golden.Middle(c.Want("lm_logits"), 0, 11), 1e-4, 1e-3)
	if len(gradients) != 127 {
		t.Errorf("%d gradients, want 127", len(gradients))
	}
	for i, name := range gradients {
		if strings.HasSuffix(name, "key.bias") {
			continue // the true gradient is 0: softmax does not see what all keys share
		}
		c.CheckGradient(name, out[len(names)+1+i])
	}
}

// TestStage1ExactKeys compares the gradients that flow through both sides of the similarities.
func TestStage1ExactKeys(t *testing.T) {
	c := golden.Open(t, lavisCase)
	store, cfg, stage1 := lavis(t, c)
	gradients := gradientNames(c, "gradfull.")
	if len(gradients) != 4 {
		t.Errorf("%d gradients, want 4", len(gradients))
	}
	out := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		l := stage1(in, true).Losses(scope, StopGradient(states[len(states)-1]), in[1], in[2], distinct(in[1]))
		return Gradient(Add(Add(l.ITC, l.ITM), l.ITG), variables(t, store, gradients, in[0].Graph())...)
	}).Run(lavisInputs(c)...)
	for i, name := range gradients {
		c.CheckGradient(name, out[i])
	}
}

// gradientNames lists the expected gradients.
func gradientNames(c *golden.Case, prefix string) (names []string) {
	for _, name := range c.Expected() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// variables finds what the gradients "grad.NAME" are of, NAME being LAVIS'.
func variables(t *testing.T, store *model.Store, gradients []string, g *Graph) (nodes []*Node) {
	for _, name := range gradients {
		_, name, _ = strings.Cut(name, ".")
		hf, keep := blip2.FromLAVIS(name)
		if !keep {
			t.Fatalf("gradient of %s, which has no counterpart", name)
		}
		nodes = append(nodes, golden.Variable(t, store, hf).NodeValue(g))
	}
	return nodes
}
