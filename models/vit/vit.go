// Package vit is the image encoder of BLIP and BLIP-2: a pre-LN vision transformer with class token
// and learned positions (Dosovitskiy et al., https://arxiv.org/abs/2010.11929), in the layouts of
// OpenAI's CLIP ViT and of EVA-CLIP, which BLIP-2 was trained with (its section 3.4), and of BLIP.
//
//	vit.go        config, blocks
//	positions.go  positions for pictures of another size
package vit

import (
	"fmt"

	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// The layouts, named as config.json's "model_type" names them.
const (
	EVA  = "blip_2_vision_model" // packed qkv, patch bias, no norm before the blocks
	CLIP = "clip_vision_model"   // separate q, k, v; no patch bias; pre_layrnorm (sic)
	BLIP = "blip_vision_model"   // EVA's names, with a bias everywhere

	InstructBLIP = "instructblip_vision_model" // EVA's in all
)

// Config mirrors "vision_config" of a Hugging Face config.json.
type Config struct {
	ModelType         string  `json:"model_type"`
	HiddenSize        int     `json:"hidden_size"`
	IntermediateSize  int     `json:"intermediate_size"`
	NumHiddenLayers   int     `json:"num_hidden_layers"`
	NumAttentionHeads int     `json:"num_attention_heads"`
	ImageSize         int     `json:"image_size"` // pixels a side
	PatchSize         int     `json:"patch_size"` // pixels a side
	HiddenAct         string  `json:"hidden_act"`
	LayerNormEps      float64 `json:"layer_norm_eps"`
	QKVBias           bool    `json:"qkv_bias"`
	InitializerRange  float64 `json:"initializer_range"`

	// PositionAlignCorners resizes positions with the corners of both grids on each other, as LAVIS
	// does for CLIP's tower. No other program reads this key.
	PositionAlignCorners bool `json:"position_align_corners,omitempty"`

	// DropPath is how often a training graph drops the last block's branches; rises from 0 at the first
	// block. A matter of a run, not of the model.
	DropPath float64 `json:"-"`
}

// dropPath is the rate of block i.
func (c *Config) dropPath(i int) float64 {
	return c.DropPath * float64(i) / float64(max(c.NumHiddenLayers-1, 1))
}

// Default is the class default of transformers' Blip2VisionConfig: EVA-CLIP ViT-g/14 without its
// last block. A config.json is read over it.
func Default() Config {
	return Config{ModelType: EVA, HiddenSize: 1408, IntermediateSize: 6144, NumHiddenLayers: 39, NumAttentionHeads: 16,
		ImageSize: 224, PatchSize: 14, HiddenAct: "gelu", LayerNormEps: 1e-6, QKVBias: true, InitializerRange: 1e-10}
}

// DefaultCLIP is the class default of transformers' CLIPVisionConfig.
func DefaultCLIP() Config {
	return Config{ModelType: CLIP, HiddenSize: 768, IntermediateSize: 3072, NumHiddenLayers: 12, NumAttentionHeads: 12,
		ImageSize: 224, PatchSize: 32, HiddenAct: "quick_gelu", LayerNormEps: 1e-5, QKVBias: true, InitializerRange: nn.InitializerRange}
}

// DefaultBLIP is the class default of transformers' BlipVisionConfig: ViT-B/16 at 384 pixels.
func DefaultBLIP() Config {
	return Config{ModelType: BLIP, HiddenSize: 768, IntermediateSize: 3072, NumHiddenLayers: 12, NumAttentionHeads: 12,
		ImageSize: 384, PatchSize: 16, HiddenAct: "gelu", LayerNormEps: 1e-5, QKVBias: true, InitializerRange: 1e-10}
}

// Validate says what of the config cannot be built.
func (c *Config) Validate() error {
	switch {
	case c.ModelType != EVA && c.ModelType != CLIP && c.ModelType != BLIP && c.ModelType != InstructBLIP:
		return fmt.Errorf("vision_config: model_type %q is not %s, %s, %s or %s", c.ModelType, EVA, CLIP, BLIP, InstructBLIP)
	case c.HiddenSize < 1 || c.IntermediateSize < 1 || c.NumHiddenLayers < 1 || c.PatchSize < 1 || c.ImageSize < 1:
		return fmt.Errorf("vision_config: sizes must be positive")
	case c.NumAttentionHeads < 1 || c.HiddenSize%c.NumAttentionHeads != 0:
		return fmt.Errorf("vision_config: hidden_size %d does not divide into %d heads", c.HiddenSize, c.NumAttentionHeads)
	case c.ImageSize%c.PatchSize != 0:
		return fmt.Errorf("vision_config: image_size %d does not divide into patches of %d", c.ImageSize, c.PatchSize)
	case !nn.KnownActivation(c.HiddenAct):
		return fmt.Errorf("vision_config: hidden_act %q is not known", c.HiddenAct)
	}
	return nil
}

// Tokens is the length of the encoder's output: patches and the class token.
func (c *Config) Tokens() int {
	side := c.ImageSize / c.PatchSize
	return side*side + 1
}

// Products names the products of matrices that Encode makes for one picture, for those who count arithmetic:
// linear is called for rows [in] times a weight [in, out], attention for tokens that look at each other in so
// many numbers (scores, and what they weigh).
func (c *Config) Products(linear func(rows, in, out int), attention func(tokens, width int)) {
	tokens, h := c.Tokens(), c.HiddenSize
	linear(tokens-1, 3*c.PatchSize*c.PatchSize, h)
	for range c.NumHiddenLayers {
		linear(tokens, h, 3*h) // queries, keys and values
		attention(tokens, h)
		linear(tokens, h, h)
		linear(tokens, h, c.IntermediateSize)
		linear(tokens, c.IntermediateSize, h)
	}
}

// Encode runs the blocks: pixels [batch, 3, height, width] -> the states before each block and
// after the last, NumHiddenLayers+1 of [batch, patches, hidden]. The final norm is not applied:
// BLIP-2 trains it (ln_vision, PostLayerNorm) while the blocks stay frozen.
func Encode(scope *model.Scope, cfg *Config, pixels *Node) []*Node {
	pixels.AssertDims(-1, 3, -1, -1)
	x := embed(scope.At("embeddings"), cfg, pixels)
	if cfg.ModelType == CLIP {
		x = nn.LayerNorm(scope.At("pre_layrnorm"), x, cfg.LayerNormEps)
	}
	states := []*Node{x}
	for i := range cfg.NumHiddenLayers {
		x = nn.Block(x, func(x *Node) *Node {
			return block(scope.At("encoder").At("layers").At("%d", i), cfg, x, cfg.dropPath(i))
		})
		states = append(states, x)
	}
	return states
}

// PostLayerNorm is the norm after the last block, "ln_vision" in LAVIS:
// [..., hidden] -> [..., hidden]. BLIP-2 trains it although the encoder is frozen.
func PostLayerNorm(scope *model.Scope, cfg *Config, x *Node) *Node {
	return nn.LayerNorm(scope.At("post_layernorm"), x, cfg.LayerNormEps)
}

// embed is [CLS; patches row by row] + positions: [batch, 3, height, width] -> [batch, patches, hidden].
func embed(scope *model.Scope, cfg *Config, pixels *Node) *Node {
	patches := nn.PatchEmbedding(scope.At("patch_embedding"), pixels, cfg.PatchSize, cfg.HiddenSize, cfg.ModelType != CLIP)
	batch, tokens := pixels.Shape().Dim(0), patches.Shape().Dim(1)+1
	var class, position *Node
	if cfg.ModelType == CLIP {
		class = nn.Param(scope, "class_embedding", patches, nn.InitNormal, cfg.HiddenSize)
		position = nn.Param(scope.At("position_embedding"), "weight", patches, nn.InitGrid, cfg.Tokens(), cfg.HiddenSize)
	} else {
		class = nn.Param(scope, "class_embedding", patches, nn.InitNormal, 1, 1, cfg.HiddenSize)
		position = nn.Param(scope, "position_embedding", patches, nn.InitGrid, 1, cfg.Tokens(), cfg.HiddenSize)
	}
	class = BroadcastToDims(Reshape(class, 1, 1, cfg.HiddenSize), batch, 1, cfg.HiddenSize)
	x := Concatenate([]*Node{class, patches}, 1)
	x.AssertDims(batch, tokens, cfg.HiddenSize)
	rows, cols := pixels.Shape().Dim(2)/cfg.PatchSize, pixels.Shape().Dim(3)/cfg.PatchSize
	return Add(x, PositionsFor(cfg, Reshape(position, 1, cfg.Tokens(), cfg.HiddenSize), rows, cols))
}

func block(scope *model.Scope, cfg *Config, x *Node, dropPath float64) *Node {
	h := nn.LayerNorm(scope.At("layer_norm1"), x, cfg.LayerNormEps)
	x = Add(x, nn.DropPath(selfAttention(scope.At("self_attn"), cfg, h), dropPath))
	h = nn.LayerNorm(scope.At("layer_norm2"), x, cfg.LayerNormEps)
	h = nn.Activation(cfg.HiddenAct, nn.Linear(scope.At("mlp").At("fc1"), h, cfg.IntermediateSize))
	return Add(x, nn.DropPath(nn.Linear(scope.At("mlp").At("fc2"), h, cfg.HiddenSize), dropPath))
}

func selfAttention(scope *model.Scope, cfg *Config, x *Node) *Node {
	var query, key, value *Node
	output := "out_proj"
	if cfg.ModelType == CLIP {
		query = nn.Linear(scope.At("q_proj"), x, cfg.HiddenSize)
		key = nn.Linear(scope.At("k_proj"), x, cfg.HiddenSize)
		value = nn.Linear(scope.At("v_proj"), x, cfg.HiddenSize)
	} else {
		output = "projection"
		var qkv *Node // [batch, patches, 3*hidden], q then k then v
		if cfg.QKVBias {
			qkv = nn.Linear(scope.At("qkv"), x, 3*cfg.HiddenSize)
		} else {
			qkv = nn.LinearNoBias(scope.At("qkv"), x, 3*cfg.HiddenSize)
		}
		parts := Split(qkv, -1, 3)
		query, key, value = parts[0], parts[1], parts[2]
	}
	heads := cfg.NumAttentionHeads
	out := nn.Attend(nn.Heads(query, heads), nn.Heads(key, heads), nn.Heads(value, heads), nil, 0)
	return nn.Linear(scope.At("%s", output), out, cfg.HiddenSize)
}
