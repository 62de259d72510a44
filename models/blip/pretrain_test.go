package blip

import (
	"testing"

	"goblip/internal/golden"
	"goblip/models/bert"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func TestFromPretraining(t *testing.T) {
	for name, want := range map[string]struct {
		hf     string
		shared bool
	}{
		"temp":                               {"temp", false},
		"image_queue":                        {"image_queue", false},
		"visual_encoder.blocks.1.norm2.bias": {"vision_model.encoder.layers.1.layer_norm2.bias", false},
		"visual_encoder_m.pos_embed":         {"momentum.vision_model.embeddings.position_embedding", false},
		"text_encoder_m.encoder.layer.0.crossattention.self.key.weight": {"momentum.text_encoder.encoder.layer.0.crossattention.self.key.weight", false},
		"text_proj_m.weight":                                                {"momentum.text_proj.weight", false},
		"text_encoder.embeddings.position_ids":                              {"", false},
		"text_encoder_m.embeddings.position_ids":                            {"", false},
		"text_decoder.bert.embeddings.position_ids":                         {"", false},
		"text_decoder.cls.predictions.decoder.weight":                       {"", false},
		"text_decoder.cls.predictions.bias":                                 {"text_decoder.cls.predictions.bias", false},
		"text_decoder.bert.embeddings.word_embeddings.weight":               {"text_encoder.embeddings.word_embeddings.weight", true},
		"text_decoder.bert.encoder.layer.3.output.dense.weight":             {"text_encoder.encoder.layer.3.output.dense.weight", true},
		"text_decoder.bert.encoder.layer.3.crossattention.self.query.bias":  {"text_encoder.encoder.layer.3.crossattention.self.query.bias", true},
		"text_decoder.bert.encoder.layer.3.attention.output.LayerNorm.bias": {"text_decoder.bert.encoder.layer.3.attention.output.LayerNorm.bias", false},
	} {
		if hf, shared := FromPretraining(name); hf != want.hf || shared != want.shared {
			t.Errorf("%s: got %q, %v, want %q, %v", name, hf, shared, want.hf, want.shared)
		}
	}
}

// TestDecoderSteps decodes the last two tokens with the keys and values of the first three, as beams of
// one picture: it must come to what the whole text gives.
func TestDecoderSteps(t *testing.T) {
	const first = 3
	c := golden.Open(t, "blip-captioning")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	ids := tensors.FromValue([][]int32{{287, 20, 21, 22, 23}, {287, 30, 31, 32, 33}})
	out := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		memory := Memory(scope, &cfg, ImageStates(scope, &cfg, Slice(in[0], AxisRange(0, 1))))
		part := func(x *Node, from, to int) *Node { return Slice(x, AxisRange(), AxisRange(from, to)) }
		positions := Iota(in[1].Graph(), in[1].Shape(), 1)
		whole := EmbedWords(scope, &cfg, in[1], nil)
		causal := bert.CausalVisible(OnesLike(in[1]))
		mask := func(x *Node, axes ...SliceAxisSpec) *Node { return nn.AdditiveMask(Slice(causal, axes...), x) }
		two := make([]bert.KV, len(memory)) // the picture for each row
		for i, kv := range memory {
			two[i] = bert.KV{Key: Concatenate([]*Node{kv.Key, kv.Key}, 0), Value: Concatenate([]*Node{kv.Value, kv.Value}, 0)}
		}
		all := Decode(scope, &cfg, bert.Pass{Embeds: whole, Mask: mask(whole), Cross: two}).Last()
		start := Decode(scope, &cfg, bert.Pass{Embeds: part(whole, 0, first), Mask: mask(whole, AxisRange(), AxisRange(0, first), AxisRange(0, first)), Cross: memory})
		rest := EmbedWords(scope, &cfg, part(in[1], first, 5), part(positions, first, 5))
		end := Decode(scope, &cfg, bert.Pass{Embeds: rest, Mask: mask(whole, AxisRange(), AxisRange(first)), Cross: memory, Past: start.KV}).Last()
		return []*Node{Concatenate([]*Node{start.Last(), end}, 1), all}
	}).Run(c.Input("pixel_values"), ids)
	golden.Near(t, "states", out[0], out[1], 1e-5, 0)
}
