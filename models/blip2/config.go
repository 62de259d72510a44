// Package blip2 builds the graphs of BLIP-2 (Li et al., https://arxiv.org/abs/2301.12597).
//
//	config.go    config.json of Blip2ForImageTextRetrieval and Blip2ForConditionalGeneration
//	qformer.go   the Q-Former: queries and text, self- and cross-attention, the three masks
//	stage1.go    what stage 1 reads off it: features, match logits, text logits
//	stage2.go    soft visual prompt in front of OPT
//	names.go     LAVIS tensor names -> Hugging Face's
package blip2

import (
	"encoding/json"
	"fmt"

	"goblip/models/nn"
	"goblip/models/opt"
	"goblip/models/vit"
)

// The classes of transformers whose folders we read and write.
const (
	RetrievalClass  = "Blip2ForImageTextRetrieval"    // stage 1
	GenerationClass = "Blip2ForConditionalGeneration" // stage 2
)

// QFormerConfig mirrors "qformer_config".
type QFormerConfig struct {
	ModelType                 string  `json:"model_type"`
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
	CrossAttentionFrequency   int     `json:"cross_attention_frequency"`
	EncoderHiddenSize         int     `json:"encoder_hidden_size"`
	UseQFormerTextInput       bool    `json:"use_qformer_text_input"`
	InitializerRange          float64 `json:"initializer_range"`
	PadTokenID                int     `json:"pad_token_id"`
}

// DefaultQFormer has transformers' class defaults: BERT-base over ViT-g.
func DefaultQFormer() QFormerConfig {
	return QFormerConfig{ModelType: "blip_2_qformer", VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12,
		IntermediateSize: 3072, HiddenAct: "gelu", HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1,
		MaxPositionEmbeddings: 512, LayerNormEps: 1e-12, CrossAttentionFrequency: 2, EncoderHiddenSize: 1408,
		InitializerRange: nn.InitializerRange}
}

// Config mirrors config.json of a BLIP-2 folder.
type Config struct {
	Architectures       []string      `json:"architectures"`
	ModelType           string        `json:"model_type"`
	NumQueryTokens      int           `json:"num_query_tokens"`
	ImageTextHiddenSize int           `json:"image_text_hidden_size"`
	ImageTokenIndex     *int          `json:"image_token_index"`
	UseDecoderOnlyLLM   bool          `json:"use_decoder_only_language_model"`
	InitializerRange    float64       `json:"initializer_range"`
	Vision              vit.Config    `json:"vision_config"`
	QFormer             QFormerConfig `json:"qformer_config"`
	Text                opt.Config    `json:"text_config"`
}

// Default has transformers' class defaults.
func Default() Config {
	return Config{ModelType: "blip-2", NumQueryTokens: 32, ImageTextHiddenSize: 256, UseDecoderOnlyLLM: true,
		InitializerRange: nn.InitializerRange,
		Vision:           vit.Default(), QFormer: DefaultQFormer(), Text: opt.Default()}
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
	if err := c.Vision.Validate(); err != nil {
		return err
	}
	q := &c.QFormer
	switch {
	case c.NumQueryTokens < 1 || c.ImageTextHiddenSize < 1:
		return fmt.Errorf("num_query_tokens and image_text_hidden_size must be positive")
	case q.HiddenSize < 1 || q.NumHiddenLayers < 1 || q.IntermediateSize < 1 || q.CrossAttentionFrequency < 1 || q.MaxPositionEmbeddings < 1:
		return fmt.Errorf("qformer_config: sizes must be positive")
	case q.NumAttentionHeads < 1 || q.HiddenSize%q.NumAttentionHeads != 0:
		return fmt.Errorf("qformer_config: hidden_size %d does not divide into %d heads", q.HiddenSize, q.NumAttentionHeads)
	case q.EncoderHiddenSize != c.Vision.HiddenSize:
		return fmt.Errorf("qformer_config: encoder_hidden_size %d is not vision_config's hidden_size %d", q.EncoderHiddenSize, c.Vision.HiddenSize)
	case !nn.KnownActivation(q.HiddenAct):
		return fmt.Errorf("qformer_config: hidden_act %q is not known", q.HiddenAct)
	case q.HiddenDropoutProb < 0 || q.HiddenDropoutProb >= 1 || q.AttentionProbsDropoutProb < 0 || q.AttentionProbsDropoutProb >= 1:
		return fmt.Errorf("qformer_config: dropout must lie in [0, 1)")
	}
	return nil
}
