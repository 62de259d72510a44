package blip

import (
	"goblip/models/bert"
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Scopes of the parts below the model's root.
const (
	encoderScope = "text_encoder"
	decoderScope = "text_decoder"
)

// ImageStates is the picture as text sees it: the tokens after the final norm, the class token first.
// pixels [batch, 3, height, width] -> [batch, patches, image_hidden].
func ImageStates(scope *model.Scope, cfg *Config, pixels *Node) *Node {
	states := vit.Encode(scope.At("vision_model"), &cfg.Vision, pixels)
	return Normed(scope, cfg, states[len(states)-1])
}

// Normed is the image tower's final norm over the states of its last block.
func Normed(scope *model.Scope, cfg *Config, states *Node) *Node {
	return vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, states)
}

// TextStates reads text alone, in both directions; cross-attention is skipped (paper, figure 2,
// "text encoder"). ids, mask int32 [batch, text] -> [batch, text, hidden].
func TextStates(scope *model.Scope, cfg *Config, ids, mask *Node) *Node {
	return read(scope, cfg, ids, mask, nil)
}

// GroundedStates reads text with its picture: image are ImageStates with as many rows
// ("image-grounded text encoder"). -> [batch, text, hidden].
func GroundedStates(scope *model.Scope, cfg *Config, image, ids, mask *Node) *Node {
	return read(scope, cfg, ids, mask, bert.CrossKV(scope.At(encoderScope), &cfg.Text.Layers, image))
}

func read(scope *model.Scope, cfg *Config, ids, mask *Node, cross []bert.KV) *Node {
	encoder, layers := scope.At(encoderScope), &cfg.Text.Layers
	x := bert.Embed(encoder, layers, ids, nil, nil)
	return bert.Encode(encoder, layers, bert.Pass{Embeds: x, Mask: nn.AdditiveMask(bert.Visible(mask), x), Cross: cross}).Last()
}

// Memory projects what the decoder attends to, the picture or the states of a question:
// states [batch, cross, any].
func Memory(scope *model.Scope, cfg *Config, states *Node) []bert.KV {
	return bert.CrossKV(scope.At(decoderScope).At("bert"), &cfg.Text.Layers, states)
}

// EmbedWords are the decoder's word and position embeddings: ids int32 [batch, text] -> [batch, text, hidden].
func EmbedWords(scope *model.Scope, cfg *Config, ids, positions *Node) *Node {
	return bert.Embed(scope.At(decoderScope).At("bert"), &cfg.Text.Layers, ids, positions, nil)
}

// Decode runs the decoder's layers ("image-grounded text decoder").
func Decode(scope *model.Scope, cfg *Config, p bert.Pass) bert.Output {
	return bert.Encode(scope.At(decoderScope).At("bert"), &cfg.Text.Layers, p)
}

// DecoderStates is Decode over whole texts, each token seeing what stands before it: memory of
// Memory, memoryMask int32 [batch, cross] or nil. -> [batch, text, hidden].
func DecoderStates(scope *model.Scope, cfg *Config, memory []bert.KV, memoryMask, ids, mask *Node) *Node {
	x := EmbedWords(scope, cfg, ids, nil)
	p := bert.Pass{Embeds: x, Mask: nn.AdditiveMask(bert.CausalVisible(mask), x), Cross: memory}
	if memoryMask != nil {
		p.CrossMask = nn.AdditiveMask(bert.Visible(memoryMask), x)
	}
	return Decode(scope, cfg, p).Last()
}

// WordLogits are the scores of the next word: states [..., hidden] -> float32 [..., vocab].
func WordLogits(scope *model.Scope, cfg *Config, states *Node) *Node {
	return WordHead(scope, cfg, states).Logits()
}

// WordHead scores the next word: states [..., hidden].
func WordHead(scope *model.Scope, cfg *Config, states *Node) nn.Head {
	decoder := scope.At(decoderScope)
	return bert.WordHead(decoder.At("cls"), &cfg.Text.Layers, bert.Words(decoder.At("bert"), &cfg.Text.Layers, states), states)
}
