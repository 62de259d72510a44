// Package bert is the text encoder of Devlin et al. (https://arxiv.org/abs/1810.04805) with the
// names of transformers' BertModel, and the same layers with cross-attention and a past, from which
// BLIP's text encoder and decoder are built (package blip).
//
//	config.go  config.json of a BertModel; Layers, the part that BLIP shares
//	bert.go    embeddings, layers, pooler, word head
//	pair.go    layers that look at two pictures
package bert

import (
	"encoding/json"
	"fmt"

	"goblip/models/nn"
)

// Layers describes BERT layers and its embeddings: the keys that BERT's and BLIP's
// configs have in common.
type Layers struct {
	VocabSize                 int     `json:"vocab_size"`
	HiddenSize                int     `json:"hidden_size"`
	NumHiddenLayers           int     `json:"num_hidden_layers"`
	NumAttentionHeads         int     `json:"num_attention_heads"`
	IntermediateSize          int     `json:"intermediate_size"`
	HiddenAct                 string  `json:"hidden_act"`
	HiddenDropoutProb         float64 `json:"hidden_dropout_prob"`
	AttentionProbsDropoutProb float64 `json:"attention_probs_dropout_prob"`
	MaxPositionEmbeddings     int     `json:"max_position_embeddings"`
	LayerNormEps              float64 `json:"layer_norm_eps"`
	InitializerRange          float64 `json:"initializer_range"`
	PadTokenID                int     `json:"pad_token_id"`
}

// DefaultLayers is BERT-base.
func DefaultLayers() Layers {
	return Layers{VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12, IntermediateSize: 3072,
		HiddenAct: "gelu", HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1, MaxPositionEmbeddings: 512,
		LayerNormEps: 1e-12, InitializerRange: nn.InitializerRange}
}

// Validate says what of the layers cannot be built.
func (l *Layers) Validate() error {
	switch {
	case l.VocabSize < 1 || l.HiddenSize < 1 || l.NumHiddenLayers < 1 || l.IntermediateSize < 1 || l.MaxPositionEmbeddings < 1:
		return fmt.Errorf("sizes must be positive")
	case l.NumAttentionHeads < 1 || l.HiddenSize%l.NumAttentionHeads != 0:
		return fmt.Errorf("hidden_size %d does not divide into %d heads", l.HiddenSize, l.NumAttentionHeads)
	case !nn.KnownActivation(l.HiddenAct):
		return fmt.Errorf("hidden_act %q is not known", l.HiddenAct)
	case l.HiddenDropoutProb < 0 || l.HiddenDropoutProb >= 1 || l.AttentionProbsDropoutProb < 0 || l.AttentionProbsDropoutProb >= 1:
		return fmt.Errorf("dropout must lie in [0, 1)")
	}
	return nil
}

// Config mirrors config.json of a BertModel.
type Config struct {
	Architectures         []string `json:"architectures"`
	ModelType             string   `json:"model_type"`
	TypeVocabSize         int      `json:"type_vocab_size"`
	PositionEmbeddingType string   `json:"position_embedding_type"`
	Layers
}

// Default has transformers' class defaults.
func Default() Config {
	return Config{ModelType: "bert", TypeVocabSize: 2, PositionEmbeddingType: "absolute", Layers: DefaultLayers()}
}

// UnmarshalJSON reads over the defaults: a config.json of an older transformers lacks newer keys.
func (c *Config) UnmarshalJSON(raw []byte) error {
	type plain Config
	p := plain(Default())
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	*c = Config(p)
	return nil
}

// Validate says what of the config cannot be built.
func (c *Config) Validate() error {
	switch {
	case c.PositionEmbeddingType != "absolute":
		return fmt.Errorf("position_embedding_type %q is not absolute", c.PositionEmbeddingType)
	case c.TypeVocabSize < 1:
		return fmt.Errorf("type_vocab_size must be positive")
	}
	return c.Layers.Validate()
}
