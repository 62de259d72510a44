package blip

import (
	"goblip/models/bert"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// In pre-training the text encoder and decoder share embeddings, cross-attention and feed-forward;
// only the decoder's self-attention and its word head are its own (paper, section 3.1). The shared
// tensors carry the encoder's names.

// SharedDecoderStates runs the pre-training decoder over whole texts that begin with [DEC]:
// cross of SharedMemory, ids and mask int32 [batch, text] -> [batch, text, hidden].
func SharedDecoderStates(scope *model.Scope, cfg *Config, cross []bert.KV, ids, mask *Node) *Node {
	encoder, layers := scope.At(encoderScope), &cfg.Text.Layers
	x := bert.Embed(encoder, layers, ids, nil, nil)
	return bert.Encode(encoder, layers, bert.Pass{Embeds: x, Mask: nn.AdditiveMask(bert.CausalVisible(mask), x),
		Cross: cross, SelfAttention: scope.At(decoderScope).At("bert")}).Last()
}

// SharedMemory projects pictures for the cross-attention that encoder and decoder share.
func SharedMemory(scope *model.Scope, cfg *Config, image *Node) []bert.KV {
	return bert.CrossKV(scope.At(encoderScope), &cfg.Text.Layers, image)
}

// GroundedStatesOn is GroundedStates over a memory of SharedMemory.
func GroundedStatesOn(scope *model.Scope, cfg *Config, memory []bert.KV, ids, mask *Node) *Node {
	return read(scope, cfg, ids, mask, memory)
}

// SharedWordLogits is the decoder's word head over the shared table of words.
func SharedWordLogits(scope *model.Scope, cfg *Config, states *Node) *Node {
	table := bert.Words(scope.At(encoderScope), &cfg.Text.Layers, states)
	return bert.WordLogits(scope.At(decoderScope).At("cls"), &cfg.Text.Layers, table, states)
}

// Momentum is the root below which the slowly moving copies of image tower, text encoder and
// projections lie, under their own names.
func Momentum(scope *model.Scope) *model.Scope { return scope.At("momentum") }

// MomentumParts are the parts that have a momentum copy.
var MomentumParts = []string{"vision_model", encoderScope, "vision_proj", "text_proj"}

// TakeMemory picks rows of the batch axis: rows int32 [n].
func TakeMemory(memory []bert.KV, rows *Node) []bert.KV {
	out := make([]bert.KV, len(memory))
	for i, kv := range memory {
		out[i] = bert.KV{Key: nn.Lookup(kv.Key, rows), Value: nn.Lookup(kv.Value, rows)}
	}
	return out
}

// Temperature divides the contrastive similarities: learned, starts at 0.07. Each step begins by
// clamping it to [0.001, 0.5]. A scalar.
func Temperature(scope *model.Scope, like *Node) *Node {
	raw := nn.Param32(scope, "temp", like, nn.InitTemperature)
	clamped := ClipScalar(raw, 0.001, 0.5)
	if nn.Training(like.Graph()) { // the weight itself is clamped: its gradient is that of the clamped value
		scope.GetVariable("temp").SetNodeValue(clamped)
	}
	return clamped
}
