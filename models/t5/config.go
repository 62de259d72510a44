// Package t5 is T5 and FlanT5, the encoder-decoder LLM of BLIP-2 (Raffel et al.,
// https://arxiv.org/abs/1910.10683), in both versions: relu and gated activations. Names are those of
// transformers' T5ForConditionalGeneration.
//
//	config.go  config.json
//	bias.go    relative positions: buckets of distances, and the bias of attention
//	t5.go      encoder, decoder with caches, logits
package t5

import (
	"encoding/json"
	"fmt"
	"strings"

	"goblip/models/nn"
)

// Config mirrors config.json of a T5ForConditionalGeneration, or "text_config" of a BLIP-2.
type Config struct {
	Architectures                []string `json:"architectures,omitempty"`
	ModelType                    string   `json:"model_type"`
	VocabSize                    int      `json:"vocab_size"`
	DModel                       int      `json:"d_model"`
	DKV                          int      `json:"d_kv"` // of one head, whatever d_model/num_heads is
	DFF                          int      `json:"d_ff"`
	NumLayers                    int      `json:"num_layers"` // of the encoder
	NumDecoderLayers             int      `json:"num_decoder_layers"`
	NumHeads                     int      `json:"num_heads"`
	RelativeAttentionNumBuckets  int      `json:"relative_attention_num_buckets"`
	RelativeAttentionMaxDistance int      `json:"relative_attention_max_distance"`
	DropoutRate                  float64  `json:"dropout_rate"`
	LayerNormEpsilon             float64  `json:"layer_norm_epsilon"`
	FeedForwardProj              string   `json:"feed_forward_proj"` // "relu", "gated-gelu", ...
	DenseActFn                   string   `json:"dense_act_fn"`      // overrides the activation of FeedForwardProj, as LAVIS wants it
	IsGatedAct                   bool     `json:"is_gated_act"`
	ScaleDecoderOutputs          bool     `json:"scale_decoder_outputs"` // by d_model^-0.5 before the head
	TieWordEmbeddings            bool     `json:"tie_word_embeddings"`
	PadTokenID                   int      `json:"pad_token_id"`
	EOSTokenID                   int      `json:"eos_token_id"`
	DecoderStartTokenID          int      `json:"decoder_start_token_id"`

	// UntiedHead says that lm_head.weight is a tensor of its own. No config tells: the head is tied
	// exactly when the checkpoint has no lm_head.weight.
	UntiedHead bool `json:"-"`
}

// Default has transformers' class defaults (t5-small).
func Default() Config {
	c := Config{ModelType: "t5", VocabSize: 32128, DModel: 512, DKV: 64, DFF: 2048, NumLayers: 6, NumHeads: 8,
		RelativeAttentionNumBuckets: 32, RelativeAttentionMaxDistance: 128, DropoutRate: 0.1, LayerNormEpsilon: 1e-6,
		FeedForwardProj: "relu", TieWordEmbeddings: true, EOSTokenID: 1}
	c.derive(derived{})
	return c
}

// derived are keys whose defaults follow from other keys; nil: the file lacks them.
type derived struct {
	NumDecoderLayers    *int    `json:"num_decoder_layers"`
	DenseActFn          *string `json:"dense_act_fn"`
	IsGatedAct          *bool   `json:"is_gated_act"`
	ScaleDecoderOutputs *bool   `json:"scale_decoder_outputs"`
}

// derive fills what the file does not say: FeedForwardProj names gate and activation ("gated-gelu" is
// the tanh approximation), and outputs are scaled unless the file says that the head is not tied,
// which is how T5 1.1 differs.
func (c *Config) derive(d derived) {
	kind, activation, dashed := strings.Cut(c.FeedForwardProj, "-")
	switch {
	case !dashed:
		activation = kind
	case c.FeedForwardProj == "gated-gelu":
		activation = "gelu_new"
	}
	c.DenseActFn = or(d.DenseActFn, activation)
	c.IsGatedAct = or(d.IsGatedAct, dashed && kind == "gated")
	c.ScaleDecoderOutputs = or(d.ScaleDecoderOutputs, c.TieWordEmbeddings)
	c.NumDecoderLayers = or(d.NumDecoderLayers, c.NumLayers)
}

func or[T any](given *T, otherwise T) T {
	if given != nil {
		return *given
	}
	return otherwise
}

// UnmarshalJSON reads over the defaults. Keys of transformers' older and newer files agree.
func (c *Config) UnmarshalJSON(raw []byte) error {
	type plain Config
	p := plain(Default())
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	var d derived
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	*c = Config(p)
	c.derive(d)
	return nil
}

// maxLayers bounds the graphs that a config can ask for; the largest T5 has 24.
const maxLayers = 1024

// InnerDim is the width of all heads together.
func (c *Config) InnerDim() int { return c.NumHeads * c.DKV }

// Validate says what of the config cannot be built.
func (c *Config) Validate() error {
	kind, _, dashed := strings.Cut(c.FeedForwardProj, "-")
	switch {
	case c.VocabSize < 1 || c.DModel < 1 || c.DKV < 1 || c.DFF < 1 || c.NumLayers < 1 || c.NumDecoderLayers < 1 || c.NumHeads < 1:
		return fmt.Errorf("text_config: sizes must be positive")
	case c.NumLayers > maxLayers || c.NumDecoderLayers > maxLayers:
		return fmt.Errorf("text_config: num_layers %d and num_decoder_layers %d must be at most %d", c.NumLayers, c.NumDecoderLayers, maxLayers)
	case dashed && kind != "gated" || strings.Count(c.FeedForwardProj, "-") > 1:
		return fmt.Errorf("text_config: feed_forward_proj %q is neither ACTIVATION nor gated-ACTIVATION", c.FeedForwardProj)
	case !nn.KnownActivation(c.DenseActFn):
		return fmt.Errorf("text_config: dense_act_fn %q is not known", c.DenseActFn)
	case c.RelativeAttentionNumBuckets < 4:
		return fmt.Errorf("text_config: relative_attention_num_buckets is %d, want 4 or more", c.RelativeAttentionNumBuckets)
	case c.RelativeAttentionMaxDistance <= c.RelativeAttentionNumBuckets/2:
		return fmt.Errorf("text_config: relative_attention_max_distance %d must be more than half of the %d buckets",
			c.RelativeAttentionMaxDistance, c.RelativeAttentionNumBuckets)
	case c.DropoutRate < 0 || c.DropoutRate >= 1:
		return fmt.Errorf("text_config: dropout_rate must lie in [0, 1)")
	}
	for name, id := range map[string]int{"pad_token_id": c.PadTokenID, "eos_token_id": c.EOSTokenID, "decoder_start_token_id": c.DecoderStartTokenID} {
		if id < 0 || id >= c.VocabSize {
			return fmt.Errorf("text_config: %s %d is outside the vocabulary of %d", name, id, c.VocabSize)
		}
	}
	return nil
}
