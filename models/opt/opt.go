// Package opt is the decoder LLM of BLIP-2 (Zhang et al., https://arxiv.org/abs/2205.01068), in
// both layouts: norms before the sublayers (all sizes but 350m) or after, word embeddings of the
// model's width or projected. Names are those of transformers' OPTForCausalLM.
package opt

import (
	"encoding/json"
	"fmt"

	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// positionOffset: OPT keeps two unused rows in front of its position table.
const positionOffset = 2

// Config mirrors config.json of an OPTForCausalLM, or "text_config" of a BLIP-2.
type Config struct {
	Architectures         []string `json:"architectures,omitempty"`
	ModelType             string   `json:"model_type"`
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	FFNDim                int      `json:"ffn_dim"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	WordEmbedProjDim      int      `json:"word_embed_proj_dim"`
	ActivationFunction    string   `json:"activation_function"`
	DoLayerNormBefore     bool     `json:"do_layer_norm_before"`
	RemoveFinalLayerNorm  bool     `json:"_remove_final_layer_norm"`
	Dropout               float64  `json:"dropout"`
	AttentionDropout      float64  `json:"attention_dropout"`
	BOSTokenID            int      `json:"bos_token_id"`
	EOSTokenID            int      `json:"eos_token_id"`
	PadTokenID            int      `json:"pad_token_id"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
}

// Default has transformers' class defaults (OPT-125m).
func Default() Config {
	return Config{ModelType: "opt", VocabSize: 50272, HiddenSize: 768, NumHiddenLayers: 12, FFNDim: 3072, NumAttentionHeads: 12,
		MaxPositionEmbeddings: 2048, ActivationFunction: "relu", DoLayerNormBefore: true, Dropout: 0.1,
		BOSTokenID: 2, EOSTokenID: 2, PadTokenID: 1, TieWordEmbeddings: true}
}

// UnmarshalJSON reads over the defaults; word_embed_proj_dim defaults to hidden_size.
func (c *Config) UnmarshalJSON(raw []byte) error {
	type plain Config
	p := plain(Default())
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	if p.WordEmbedProjDim == 0 {
		p.WordEmbedProjDim = p.HiddenSize
	}
	*c = Config(p)
	return nil
}

// Validate says what of the config cannot be built.
func (c *Config) Validate() error {
	switch {
	case c.VocabSize < 1 || c.HiddenSize < 1 || c.NumHiddenLayers < 1 || c.FFNDim < 1 || c.WordEmbedProjDim < 1:
		return fmt.Errorf("text_config: sizes must be positive")
	case c.NumAttentionHeads < 1 || c.HiddenSize%c.NumAttentionHeads != 0:
		return fmt.Errorf("text_config: hidden_size %d does not divide into %d heads", c.HiddenSize, c.NumAttentionHeads)
	case !nn.KnownActivation(c.ActivationFunction):
		return fmt.Errorf("text_config: activation_function %q is not known", c.ActivationFunction)
	case !c.TieWordEmbeddings:
		return fmt.Errorf("text_config: tie_word_embeddings false is not an OPT that exists")
	}
	return nil
}

// KV holds the keys and values of one layer: each [batch, heads, seq, head_dim].
type KV struct{ Key, Value *Node }

// Embed looks words up: ids int32 [batch, text] -> [batch, text, word_embed_proj_dim].
func Embed(scope *model.Scope, cfg *Config, ids *Node) *Node {
	return nn.Lookup(table(scope, cfg, ids), ids)
}

func table(scope *model.Scope, cfg *Config, g GraphProvider) *Node {
	return nn.EmbeddingTable(scope.At("model").At("decoder").At("embed_tokens"), g, cfg.VocabSize, cfg.WordEmbedProjDim)
}

// Positions counts the visible tokens of a row up to each token, from 0; masked tokens get -1:
// mask int32 0/1 [batch, seq] -> int32 [batch, seq].
func Positions(mask *Node) *Node {
	seen := CumSum(mask, 1)
	return SubScalar(Mul(seen, mask), 1)
}

// Decode runs the layers over embedded tokens.
//
//	embeds    [batch, seq, word_embed_proj_dim]
//	positions int32 [batch, seq], see Positions
//	mask      additive [batch, 1, seq, past+seq], see nn.AdditiveMask
//	past      keys and values per layer that come before, or nil
//
// -> states [batch, seq, word_embed_proj_dim] for Logits, and each layer's own keys and values
// [batch, heads, seq, head_dim].
func Decode(scope *model.Scope, cfg *Config, embeds, positions, mask *Node, past []KV) (*Node, []KV) {
	states, cache, _ := decode(scope, cfg, embeds, positions, mask, past)
	return states, cache
}

// States is Decode without a past, for those who look inside: also the input of each layer,
// NumHiddenLayers of [batch, seq, hidden].
func States(scope *model.Scope, cfg *Config, embeds, positions, mask *Node) (final *Node, layers []*Node) {
	final, _, layers = decode(scope, cfg, embeds, positions, mask, nil)
	return final, layers
}

func decode(scope *model.Scope, cfg *Config, embeds, positions, mask *Node, past []KV) (final *Node, cache []KV, inputs []*Node) {
	decoder := scope.At("model").At("decoder")
	x := embeds
	if cfg.WordEmbedProjDim != cfg.HiddenSize {
		x = nn.LinearNoBias(decoder.At("project_in"), x, cfg.HiddenSize)
	}
	positionTable := nn.EmbeddingTable(decoder.At("embed_positions"), x, cfg.MaxPositionEmbeddings+positionOffset, cfg.HiddenSize)
	x = Add(x, nn.Lookup(positionTable, AddScalar(positions, positionOffset)))
	x = nn.Dropout(x, cfg.Dropout)
	for i := range cfg.NumHiddenLayers {
		var before *KV
		if past != nil {
			before = &past[i]
		}
		inputs = append(inputs, x)
		var kv KV
		x = nn.Block(x, func(x *Node) *Node {
			x, kv = layer(decoder.At("layers").At("%d", i), cfg, x, mask, before)
			return x
		})
		cache = append(cache, kv)
	}
	if cfg.DoLayerNormBefore && !cfg.RemoveFinalLayerNorm {
		x = nn.LayerNorm(decoder.At("final_layer_norm"), x, 1e-5)
	}
	if cfg.WordEmbedProjDim != cfg.HiddenSize {
		x = nn.LinearNoBias(decoder.At("project_out"), x, cfg.WordEmbedProjDim)
	}
	return x, cache, inputs
}

// Head scores the next word by the embedding table: states [..., word_embed_proj_dim].
func Head(scope *model.Scope, cfg *Config, states *Node) nn.Head {
	return nn.Head{States: states, Table: table(scope, cfg, states)}
}

// Logits are the scores of the next word: states [..., word_embed_proj_dim] -> float32 [..., vocab].
func Logits(scope *model.Scope, cfg *Config, states *Node) *Node {
	return Head(scope, cfg, states).Logits()
}

func layer(scope *model.Scope, cfg *Config, x, mask *Node, past *KV) (*Node, KV) {
	norm := func(name string, h *Node) *Node { return nn.LayerNorm(scope.At("%s", name), h, 1e-5) }
	residual := x
	if cfg.DoLayerNormBefore {
		x = norm("self_attn_layer_norm", x)
	}
	attention := scope.At("self_attn")
	heads := func(name string) *Node {
		return nn.Heads(nn.Linear(attention.At("%s", name), x, cfg.HiddenSize), cfg.NumAttentionHeads)
	}
	kv := KV{heads("k_proj"), heads("v_proj")}
	key, value := kv.Key, kv.Value
	if past != nil {
		key, value = Concatenate([]*Node{past.Key, key}, 2), Concatenate([]*Node{past.Value, value}, 2)
	}
	x = nn.Attend(heads("q_proj"), key, value, mask, cfg.AttentionDropout)
	x = Add(residual, nn.Dropout(nn.Linear(attention.At("out_proj"), x, cfg.HiddenSize), cfg.Dropout))
	if !cfg.DoLayerNormBefore {
		x = norm("self_attn_layer_norm", x)
	}
	residual = x
	if cfg.DoLayerNormBefore {
		x = norm("final_layer_norm", x)
	}
	x = nn.Activation(cfg.ActivationFunction, nn.Linear(scope.At("fc1"), x, cfg.FFNDim))
	x = Add(residual, nn.Dropout(nn.Linear(scope.At("fc2"), x, cfg.HiddenSize), cfg.Dropout))
	if !cfg.DoLayerNormBefore {
		x = norm("final_layer_norm", x)
	}
	return x, kv
}
