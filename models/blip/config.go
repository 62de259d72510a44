// Package blip builds the graphs of BLIP (Li et al., https://arxiv.org/abs/2201.12086): a vision
// transformer, and a BERT that reads text alone, reads it with the picture, or writes it.
//
//	config.go  config.json of the three classes of transformers
//	blip.go    the picture, the text encoder in its two modes, the text decoder
//	heads.go   what ITC and ITM read off
//	pretrain.go, pretrain_names.go  what pre-training shares and copies; its checkpoints' names
//	nlvr.go    a text about two pictures
//	answer.go  losses of answers to questions
package blip

import (
	"encoding/json"
	"fmt"

	"goblip/models/bert"
	"goblip/models/nn"
	"goblip/models/vit"
)

// The classes of transformers whose folders we read and write.
const (
	CaptionClass   = "BlipForConditionalGeneration"
	RetrievalClass = "BlipForImageTextRetrieval"
	VQAClass       = "BlipForQuestionAnswering"
)

// TextConfig mirrors "text_config".
type TextConfig struct {
	ModelType         string  `json:"model_type"`
	EncoderHiddenSize int     `json:"encoder_hidden_size"` // the image's width
	BOSTokenID        int     `json:"bos_token_id"`        // [DEC]
	EOSTokenID        int     `json:"eos_token_id"`        // not used: texts end with [SEP]
	SEPTokenID        int     `json:"sep_token_id"`
	IsDecoder         bool    `json:"is_decoder"` // whether layers have cross-attention
	LabelSmoothing    float64 `json:"label_smoothing"`
	bert.Layers
}

// EncTokenID is [ENC], which the original puts in front of text that is read with a picture: the last
// word, behind [DEC].
func (t *TextConfig) EncTokenID() int { return t.BOSTokenID + 1 }

// Config mirrors config.json of a BLIP folder.
type Config struct {
	Architectures       []string   `json:"architectures"`
	ModelType           string     `json:"model_type"`
	ImageTextHiddenSize int        `json:"image_text_hidden_size"`
	ProjectionDim       int        `json:"projection_dim"`
	LogitScale          float64    `json:"logit_scale_init_value"`
	InitializerRange    float64    `json:"initializer_range"`
	Text                TextConfig `json:"text_config"`
	Vision              vit.Config `json:"vision_config"`

	// CaptionPrompt is what captions were trained behind. No other program reads this key.
	CaptionPrompt string `json:"caption_prompt,omitempty"`
}

// Default has transformers' class defaults. They are no checkpoint's: the published ones have 12 text
// heads and a label smoothing of 0.1.
func Default() Config {
	layers := bert.DefaultLayers()
	layers.VocabSize, layers.NumAttentionHeads, layers.HiddenDropoutProb, layers.AttentionProbsDropoutProb = 30524, 8, 0, 0
	return Config{ModelType: "blip", ImageTextHiddenSize: 256, ProjectionDim: 512, LogitScale: 2.6592, InitializerRange: nn.InitializerRange,
		Text: TextConfig{ModelType: "blip_text_model", EncoderHiddenSize: 768, BOSTokenID: 30522, EOSTokenID: 2, SEPTokenID: 102,
			IsDecoder: true, Layers: layers},
		Vision: vit.DefaultBLIP()}
}

// UnmarshalJSON reads over the defaults: a config.json of an older transformers lacks newer keys.
func (c *Config) UnmarshalJSON(raw []byte) error {
	type plain Config
	p := plain(Default())
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	p.Text.EncoderHiddenSize = p.Vision.HiddenSize // as transformers does, whatever the file says
	*c = Config(p)
	return nil
}

// Validate says what of the config cannot be built.
func (c *Config) Validate() error {
	if err := c.Vision.Validate(); err != nil {
		return err
	}
	t := &c.Text
	if err := t.Layers.Validate(); err != nil {
		return fmt.Errorf("text_config: %w", err)
	}
	switch {
	case !t.IsDecoder:
		return fmt.Errorf("text_config: is_decoder false is no BLIP: its layers look at the picture")
	case t.BOSTokenID < 0 || t.BOSTokenID >= t.VocabSize || t.SEPTokenID < 0 || t.SEPTokenID >= t.VocabSize || t.PadTokenID < 0 || t.PadTokenID >= t.VocabSize:
		return fmt.Errorf("text_config: bos_token_id %d, sep_token_id %d and pad_token_id %d must lie in the vocabulary of %d",
			t.BOSTokenID, t.SEPTokenID, t.PadTokenID, t.VocabSize)
	case t.LabelSmoothing < 0 || t.LabelSmoothing > 1:
		return fmt.Errorf("text_config: label_smoothing must lie in [0, 1]")
	case c.ImageTextHiddenSize < 1:
		return fmt.Errorf("image_text_hidden_size must be positive")
	}
	return nil
}
