package blip2

import (
	"fmt"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// TestT5Parity compares transformers' Blip2ForConditionalGeneration with a T5, layer by layer.
func TestT5Parity(t *testing.T) {
	c := golden.Open(t, "blip2-t5")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ValidateLLM(); err != nil {
		t.Fatal(err)
	}
	cfg.T5.UntiedHead = true // the file has an lm_head.weight
	names := []string{"vision.last_hidden_state", "vision.pooler_output", "qformer.last_hidden_state", "language_projection",
		"t5.encoder_last_hidden_state", "logits", "loss", "with_decoder_mask.logits", "with_decoder_mask.loss"}
	for i := range cfg.Vision.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("vision.hidden_states.%d", i))
	}
	for i := range cfg.QFormer.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("qformer.hidden_states.%d", i))
	}
	f := golden.New(t, golden.Backend(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(cfg.NumQueryTokens)) }
		pixels, ids, mask, labels, labelMask := in[0], text(in[1]), text(in[2]), in[3], in[4]
		vision := scope.At("vision_model")
		states := vit.Encode(vision, &cfg.Vision, pixels)
		last := states[len(states)-1]
		embeds := vit.PostLayerNorm(vision, &cfg.Vision, last)
		class := Slice(embeds, AxisRange(), AxisElem(0))
		pooled := Squeeze(vit.PostLayerNorm(vision, &cfg.Vision, class), 1)
		encoded := Encode(scope, &cfg.QFormer, Pass{Queries: EmbedQueries(scope, &cfg, embeds, 2), Images: ImageKV(scope, &cfg.QFormer, embeds)})
		prompt := VisualPrompt(scope, &cfg, last)
		read, visible := EncodePrompted(scope, &cfg, prompt, ids, mask)
		out := []*Node{embeds, pooled, encoded.Queries, prompt, read}
		for _, hidden := range []*Node{nil, labelMask} {
			logits := AnswerLogits(scope, &cfg, read, visible, labels, hidden)
			out = append(out, logits, meanLoss(logits, labels))
		}
		return append(append(out, states...), encoded.States...)
	})
	out := f.Run(c.Input("pixel_values"), c.Input("input_ids"), c.Input("attention_mask"), c.Input("labels"), c.Input("decoder_attention_mask"))
	f.UsesAll()
	for i, name := range names {
		c.Check(name, out[i])
	}
}

// meanLoss averages the cross entropy over labels that are not negative.
func meanLoss(logits, labels *Node) *Node {
	counts := GreaterOrEqual(labels, ZerosLike(labels))
	loss := nn.CrossEntropy(logits, Max(labels, ZerosLike(labels)), 0)
	weights := ConvertDType(counts, loss.DType())
	return Div(ReduceAllSum(Mul(loss, weights)), ReduceAllSum(weights))
}
