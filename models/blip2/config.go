// Package blip2 builds the graphs of BLIP-2 (Li et al., https://arxiv.org/abs/2301.12597).
//
//	config.go    config.json of Blip2ForImageTextRetrieval, Blip2ForConditionalGeneration, InstructBLIP
//	qformer.go   the Q-Former: queries and text, self- and cross-attention, the three masks
//	stage1.go    what stage 1 reads off it: features, match logits, text logits
//	look.go      where the queries look in pictures
//	stage2.go    soft visual prompt in front of OPT
//	stage2_t5.go the same in T5's encoder
//	instruct.go  InstructBLIP: the Q-Former reads the instruction too
//	names.go     LAVIS tensor names -> Hugging Face's
package blip2

import (
	"encoding/json"
	"fmt"

	"goblip/models/nn"
	"goblip/models/opt"
	"goblip/models/t5"
	"goblip/models/vit"
)

// The classes of transformers whose folders we read and write.
const (
	RetrievalClass  = "Blip2ForImageTextRetrieval"    // stage 1
	GenerationClass = "Blip2ForConditionalGeneration" // stage 2

	InstructClass = "InstructBlipForConditionalGeneration"
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

	// T5 is text_config where that is a T5's; Text has the defaults then. Nil with an OPT.
	T5 *t5.Config `json:"-"`
}

// Default has transformers' class defaults.
func Default() Config {
	text := opt.Default()
	text.WordEmbedProjDim = text.HiddenSize
	return Config{ModelType: "blip-2", NumQueryTokens: 32, ImageTextHiddenSize: 256, UseDecoderOnlyLLM: true,
		InitializerRange: nn.InitializerRange,
		Vision:           vit.Default(), QFormer: DefaultQFormer(), Text: text}
}

// UnmarshalJSON reads over the defaults: a config.json of an older transformers lacks newer keys.
func (c *Config) UnmarshalJSON(raw []byte) error {
	type plain Config
	var language struct {
		Text struct {
			ModelType string `json:"model_type"`
		} `json:"text_config"`
	}
	if err := json.Unmarshal(raw, &language); err != nil {
		return err
	}
	p := plain(Default())
	if language.Text.ModelType != t5Type {
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		*c = Config(p)
		return nil
	}
	with := struct {
		*plain
		Text *t5.Config `json:"text_config"`
	}{&p, &t5.Config{}}
	if err := json.Unmarshal(raw, &with); err != nil {
		return err
	}
	*c = Config(p)
	c.T5 = with.Text
	return nil
}

// MarshalJSON writes the language model that there is as text_config.
func (c Config) MarshalJSON() ([]byte, error) {
	type plain Config
	if c.T5 == nil {
		return json.Marshal(plain(c))
	}
	return json.Marshal(struct {
		plain
		Text *t5.Config `json:"text_config"`
	}{plain(c), c.T5})
}

// t5Type is the model_type of a T5's text_config.
const t5Type = "t5"

// Instructed says whether the Q-Former reads an instruction, as InstructBLIP's does.
func (c *Config) Instructed() bool { return c.ModelType == "instructblip" }

// Instruct turns the config of a stage-1 model with EVA's image tower into an InstructBLIP's: the same
// weights, but the Q-Former's text side reads what is asked, beside the queries.
func (c *Config) Instruct() error {
	if c.Vision.ModelType == vit.CLIP {
		return fmt.Errorf("vision_config: model_type %q: an InstructBLIP has EVA's image tower", c.Vision.ModelType)
	}
	c.Architectures, c.ModelType = []string{InstructClass}, "instructblip"
	c.Vision.ModelType, c.QFormer.ModelType = vit.InstructBLIP, "instructblip_qformer"
	return nil
}

// LLM gives the language model's sizes, whichever it is: the width of its word embeddings, its
// vocabulary, and the ids that end and fill up its texts.
func (c *Config) LLM() (width, vocab, eos, pad int) {
	if t := c.T5; t != nil {
		return t.DModel, t.VocabSize, t.EOSTokenID, t.PadTokenID
	}
	t := &c.Text
	return t.WordEmbedProjDim, t.VocabSize, t.EOSTokenID, t.PadTokenID
}

// ValidateLLM says what of text_config cannot be built.
func (c *Config) ValidateLLM() error {
	switch {
	case c.T5 != nil:
		return c.T5.Validate()
	case c.Text.ModelType != "opt":
		return fmt.Errorf("text_config: model_type %q is not known (opt, %s)", c.Text.ModelType, t5Type)
	}
	return c.Text.Validate()
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
