// Package clip is the dual encoder that gives BLIP-2 its frozen image tower: a ViT and a causal
// text transformer trained by contrast (Radford et al., https://arxiv.org/abs/2103.00020).
// Names are those of transformers' CLIPModel. The image tower may have either layout of package
// vit; with EVA's the folder is goblip's own composition, since transformers has no EVA-CLIP class.
//
//	clip.go     the towers and their shared space
//	caption.go  a caption decoder that may train with them
package clip

import (
	"encoding/json"
	"fmt"

	"goblip/models/nn"
	"goblip/models/vit"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// TextConfig mirrors "text_config".
type TextConfig struct {
	ModelType             string  `json:"model_type"`
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	HiddenAct             string  `json:"hidden_act"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
	BOSTokenID            int     `json:"bos_token_id"`
	EOSTokenID            int     `json:"eos_token_id"`
	PadTokenID            int     `json:"pad_token_id"`
	ProjectionDim         int     `json:"projection_dim"`
}

// Config mirrors config.json of a CLIPModel.
type Config struct {
	Architectures []string   `json:"architectures"`
	ModelType     string     `json:"model_type"`
	ProjectionDim int        `json:"projection_dim"`
	LogitScale    float64    `json:"logit_scale_init_value"` // log of 1/temperature
	Text          TextConfig `json:"text_config"`
	Vision        vit.Config `json:"vision_config"`
}

// Default has transformers' class defaults (ViT-B/32).
func Default() Config {
	return Config{Architectures: []string{"CLIPModel"}, ModelType: "clip", ProjectionDim: 512, LogitScale: 2.6592,
		Text: TextConfig{ModelType: "clip_text_model", VocabSize: 49408, HiddenSize: 512, IntermediateSize: 2048,
			NumHiddenLayers: 12, NumAttentionHeads: 8, MaxPositionEmbeddings: 77, HiddenAct: "quick_gelu", LayerNormEps: 1e-5,
			BOSTokenID: 49406, EOSTokenID: 49407, PadTokenID: 1, ProjectionDim: 512},
		Vision: vit.DefaultCLIP()}
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
	t := &c.Text
	switch {
	case t.VocabSize < 1 || t.HiddenSize < 1 || t.NumHiddenLayers < 1 || t.MaxPositionEmbeddings < 1 || c.ProjectionDim < 1:
		return fmt.Errorf("text_config: sizes must be positive")
	case t.NumAttentionHeads < 1 || t.HiddenSize%t.NumAttentionHeads != 0:
		return fmt.Errorf("text_config: hidden_size %d does not divide into %d heads", t.HiddenSize, t.NumAttentionHeads)
	case !nn.KnownActivation(t.HiddenAct):
		return fmt.Errorf("text_config: hidden_act %q is not known", t.HiddenAct)
	}
	return nil
}

// ImageFeatures is the projected, normalized class token: pixels [batch, 3, height, width] -> [batch, projection].
func ImageFeatures(scope *model.Scope, cfg *Config, pixels *Node) *Node {
	return ProjectImage(scope, cfg, ImageStates(scope, cfg, pixels))
}

// ImageStates are the image tower's states before each block and after the last, see vit.Encode.
func ImageStates(scope *model.Scope, cfg *Config, pixels *Node) []*Node {
	return vit.Encode(scope.At("vision_model"), &cfg.Vision, pixels)
}

// ProjectImage is ImageFeatures from ImageStates: -> [batch, projection].
func ProjectImage(scope *model.Scope, cfg *Config, states []*Node) *Node {
	last := states[len(states)-1]
	class := Squeeze(Slice(last, AxisRange(), AxisElem(0)), 1) // [batch, hidden]
	class = vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, class)
	return nn.Normalize(nn.LinearNoBias(scope.At("visual_projection"), class, cfg.ProjectionDim))
}

// TextFeatures is the projected, normalized state of the end-of-text token:
// ids [batch, text] -> [batch, projection]. Attention is causal, so padding after the end is unseen.
func TextFeatures(scope *model.Scope, cfg *Config, ids *Node) *Node {
	return ProjectText(scope, cfg, PoolText(cfg, TextStates(scope, cfg, ids, nil), ids))
}

// TextStates runs the text tower and its final norm: ids int32 [batch, text], mask int32 [batch, text]
// or nil -> [batch, text, hidden].
func TextStates(scope *model.Scope, cfg *Config, ids, mask *Node) *Node {
	t, text := &cfg.Text, scope.At("text_model")
	length := ids.Shape().Dim(1)
	embeddings := text.At("embeddings")
	words := wordTable(scope, cfg, ids)
	positions := nn.EmbeddingTable(embeddings.At("position_embedding"), ids, t.MaxPositionEmbeddings, t.HiddenSize)
	x := Add(nn.Lookup(words, ids), nn.Compute(InsertAxes(Slice(positions, AxisRange(0, length)), 0))) // [batch, text, hidden]
	visible := nn.Causal(ids.Graph(), length)
	if mask != nil {
		batch := ids.Shape().Dim(0)
		seen := BroadcastToDims(InsertAxes(GreaterThan(mask, ZerosLike(mask)), 1), batch, length, length)
		visible = LogicalAnd(seen, BroadcastToDims(visible, batch, length, length))
	}
	additive := nn.AdditiveMask(visible, x)
	for i := range t.NumHiddenLayers {
		x = nn.Block(x, func(x *Node) *Node {
			layer := text.At("encoder").At("layers").At("%d", i)
			h := nn.LayerNorm(layer.At("layer_norm1"), x, t.LayerNormEps)
			attention := layer.At("self_attn")
			project := func(name string) *Node {
				return nn.Heads(nn.Linear(attention.At("%s", name), h, t.HiddenSize), t.NumAttentionHeads)
			}
			out := nn.Attend(project("q_proj"), project("k_proj"), project("v_proj"), additive, 0)
			x = Add(x, nn.Linear(attention.At("out_proj"), out, t.HiddenSize))
			h = nn.LayerNorm(layer.At("layer_norm2"), x, t.LayerNormEps)
			h = nn.Activation(t.HiddenAct, nn.Linear(layer.At("mlp").At("fc1"), h, t.IntermediateSize))
			return Add(x, nn.Linear(layer.At("mlp").At("fc2"), h, t.HiddenSize))
		})
	}
	return nn.LayerNorm(text.At("final_layer_norm"), x, t.LayerNormEps)
}

func wordTable(scope *model.Scope, cfg *Config, g GraphProvider) *Node {
	embeddings := scope.At("text_model").At("embeddings")
	return nn.EmbeddingTable(embeddings.At("token_embedding"), g, cfg.Text.VocabSize, cfg.Text.HiddenSize)
}

// PoolText takes the state of the end-of-text token: states [batch, text, hidden] -> [batch, hidden].
func PoolText(cfg *Config, states, ids *Node) *Node {
	// Old configs say eos 2 although the end token has the highest id: transformers then takes argmax(ids).
	end := ArgMax(ids, 1)
	if cfg.Text.EOSTokenID != 2 {
		isEnd := ConvertDType(Equal(ids, ConstAs(ids, cfg.Text.EOSTokenID)), dtypes.Int32)
		end = ArgMax(isEnd, 1) // the first one
	}
	row := Iota(ids.Graph(), end.Shape(), 0)
	return Gather(states, Stack([]*Node{row, end}, -1))
}

// ProjectText is the normalized projection of pooled text: [batch, hidden] -> [batch, projection].
func ProjectText(scope *model.Scope, cfg *Config, pooled *Node) *Node {
	return nn.Normalize(nn.LinearNoBias(scope.At("text_projection"), pooled, cfg.ProjectionDim))
}

// LogitScale is exp(logit_scale), 1/temperature: a scalar.
func LogitScale(scope *model.Scope, like *Node) *Node {
	return Exp(nn.Param32(scope, "logit_scale", like, nn.InitLogitScale))
}
