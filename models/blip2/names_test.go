package blip2

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/gomlx/core/tensors"
)

func TestFromLAVIS(t *testing.T) {
	for name, want := range map[string]string{ // "" if it is dropped or merged
		"query_tokens":                                                    "query_tokens",
		"temp":                                                            "temp",
		"itm_head.weight":                                                 "itm_head.weight",
		"vision_proj.bias":                                                "vision_projection.bias",
		"text_proj.weight":                                                "text_projection.weight",
		"opt_proj.weight":                                                 "language_projection.weight",
		"t5_proj.bias":                                                    "language_projection.bias",
		"ln_vision.weight":                                                "vision_model.post_layernorm.weight",
		"visual_encoder.cls_token":                                        "vision_model.embeddings.class_embedding",
		"visual_encoder.pos_embed":                                        "vision_model.embeddings.position_embedding",
		"visual_encoder.patch_embed.proj.weight":                          "vision_model.embeddings.patch_embedding.weight",
		"visual_encoder.blocks.38.norm2.bias":                             "vision_model.encoder.layers.38.layer_norm2.bias",
		"visual_encoder.blocks.10.attn.qkv.weight":                        "vision_model.encoder.layers.10.self_attn.qkv.weight",
		"visual_encoder.blocks.3.attn.proj.weight":                        "vision_model.encoder.layers.3.self_attn.projection.weight",
		"visual_encoder.blocks.3.mlp.fc1.weight":                          "vision_model.encoder.layers.3.mlp.fc1.weight",
		"visual_encoder.blocks.3.attn.q_bias":                             "",
		"visual_encoder.blocks.3.attn.v_bias":                             "",
		"Qformer.bert.embeddings.position_ids":                            "",
		"Qformer.cls.predictions.decoder.weight":                          "",
		"Qformer.cls.predictions.decoder.bias":                            "",
		"Qformer.cls.predictions.bias":                                    "cls.predictions.bias",
		"Qformer.bert.embeddings.LayerNorm.weight":                        "qformer.layernorm.weight",
		"Qformer.bert.embeddings.word_embeddings.weight":                  "embeddings.word_embeddings.weight",
		"Qformer.bert.encoder.layer.11.attention.self.key.weight":         "qformer.encoder.layer.11.attention.attention.key.weight",
		"Qformer.bert.encoder.layer.2.crossattention.self.value.bias":     "qformer.encoder.layer.2.crossattention.attention.value.bias",
		"Qformer.bert.encoder.layer.2.crossattention.output.dense.weight": "qformer.encoder.layer.2.crossattention.output.dense.weight",
		"Qformer.bert.encoder.layer.2.intermediate_query.dense.weight":    "qformer.encoder.layer.2.intermediate_query.dense.weight",
		"opt_model.model.decoder.layers.0.fc1.weight":                     "language_model.model.decoder.layers.0.fc1.weight",
		"opt_model.lm_head.weight":                                        "",
		"qformer.layernorm.bias":                                          "qformer.layernorm.bias", // not LAVIS'
	} {
		if got, keep := FromLAVIS(name); got != want || keep != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, keep, want)
		}
	}
	for name, want := range map[string]bool{"ln_vision.bias": true, "Qformer.cls.predictions.bias": true, "temp": false, "qformer.layernorm.bias": false} {
		if IsLAVIS(name) != want {
			t.Errorf("IsLAVIS(%s) is %v", name, !want)
		}
	}
}

// TestLAVISCheckpointIsTheRetrievalOne converts LAVIS' checkpoint and wants what transformers' own
// has, bit for bit, and the generation head and temperature that transformers leaves out.
func TestLAVISCheckpointIsTheRetrievalOne(t *testing.T) {
	c := golden.Open(t, stage1Case)
	got, err := ConvertLAVIS(c.Weights("model"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range c.Weights("model_hf") {
		if got[name] == nil {
			t.Errorf("tensor %s is missing", name)
			continue
		}
		if !got[name].Equal(want) {
			t.Errorf("tensor %s differs", name)
		}
		delete(got, name)
	}
	want := []string{"cls.predictions.bias", "cls.predictions.transform.LayerNorm.bias", "cls.predictions.transform.LayerNorm.weight",
		"cls.predictions.transform.dense.bias", "cls.predictions.transform.dense.weight", "temp"}
	if rest := slices.Sorted(maps.Keys(got)); !slices.Equal(rest, want) {
		t.Errorf("beside transformers' tensors: %q, want %q", rest, want)
	}
}

func TestConvertLAVISRefuses(t *testing.T) {
	vector := func(n int) *tensors.Tensor { return tensors.FromValue(make([]float32, n)) }
	const attention = "visual_encoder.blocks.0.attn."
	for _, test := range []struct {
		name    string
		weights map[string]*tensors.Tensor
		want    string
	}{
		{"half a pair", map[string]*tensors.Tensor{attention + "v_bias": vector(4)}, attention + "v_bias"},
		{"two lengths", map[string]*tensors.Tensor{attention + "q_bias": vector(4), attention + "v_bias": vector(5)}, "one length"},
		{"twice", map[string]*tensors.Tensor{"temp": vector(1), "vision_proj.bias": vector(2), "vision_projection.bias": vector(2)}, "vision_projection.bias"},
	} {
		if _, err := ConvertLAVIS(test.weights); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
}
