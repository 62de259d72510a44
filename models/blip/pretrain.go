package blip

import (
	"fmt"
	"strings"

	"goblip/models/bert"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Sharing says which weights of the text decoder are the text encoder's in pre-training (paper, section
// 3.1 and table 3). Shared tensors carry the encoder's names; the word head is always the decoder's own.
type Sharing string

// What is shared.
const (
	ShareAll         Sharing = "all"
	ShareAllButCross Sharing = "all_but_ca" // all but cross-attention
	ShareAllButSelf  Sharing = "all_but_sa" // all but self-attention: the paper's choice
	ShareNone        Sharing = "none"       // not even the embeddings
)

// Validate says what is wrong with a name.
func (s Sharing) Validate() error {
	switch s {
	case ShareAll, ShareAllButCross, ShareAllButSelf, ShareNone:
		return nil
	}
	return fmt.Errorf("sharing %q is not %s, %s, %s or %s", s, ShareAll, ShareAllButCross, ShareAllButSelf, ShareNone)
}

// Memory projects pictures for the decoder, given what encoder is GroundedMemory's result for them.
func (s Sharing) Memory(scope *model.Scope, cfg *Config, image *Node, encoder Memories) Memories {
	if s == ShareAll || s == ShareAllButSelf {
		return encoder
	}
	return Memory(scope, cfg, image)
}

// Head scores the next words of whole texts that begin with [DEC], after the decoder has read them: memory
// of Memory, ids and mask int32 [batch, text].
func (s Sharing) Head(scope *model.Scope, cfg *Config, memory Memories, ids, mask *Node) nn.Head {
	if s == ShareNone {
		return WordHead(scope, cfg, DecoderStates(scope, cfg, memory, nil, ids, mask))
	}
	encoder, decoder, layers := scope.At(encoderScope), scope.At(decoderScope), &cfg.Text.Layers
	x := bert.Embed(encoder, layers, ids, nil, nil)
	pass := bert.Pass{Embeds: x, Mask: nn.AdditiveMask(bert.CausalVisible(mask), x), Cross: memory}
	switch s {
	case ShareAllButSelf:
		pass.SelfAttention = decoder.At("bert")
	case ShareAllButCross:
		pass.CrossAttention = decoder.At("bert")
	}
	states := bert.Encode(encoder, layers, pass).Last()
	return bert.WordHead(decoder.At("cls"), layers, bert.Words(encoder, layers, states), states)
}

// DecoderName is the decoder's own name of a tensor of the encoder, which has one as long as the two
// share it; false for other tensors.
func DecoderName(encoder string) (string, bool) {
	rest, ok := strings.CutPrefix(encoder, encoderScope+".")
	return decoderScope + ".bert." + rest, ok
}

// EncoderName is the reverse of DecoderName.
func EncoderName(decoder string) (string, bool) {
	rest, ok := strings.CutPrefix(decoder, decoderScope+".bert.")
	return encoderScope + "." + rest, ok
}

// Memories are what each layer of a text stack attends to.
type Memories = []bert.KV

// GroundedMemory projects pictures for the encoder's cross-attention: image of ImageStates.
func GroundedMemory(scope *model.Scope, cfg *Config, image *Node) Memories {
	return bert.CrossKV(scope.At(encoderScope), &cfg.Text.Layers, image)
}

// GroundedStatesOn is GroundedStates over a memory of GroundedMemory.
func GroundedStatesOn(scope *model.Scope, cfg *Config, memory Memories, ids, mask *Node) *Node {
	return read(scope, cfg, ids, mask, memory)
}

// Momentum is the root below which the slowly moving copies of image tower, text encoder and
// projections lie, under their own names.
func Momentum(scope *model.Scope) *model.Scope { return scope.At("momentum") }

// MomentumParts are the parts that have a momentum copy.
var MomentumParts = []string{"vision_model", encoderScope, "vision_proj", "text_proj"}

// TakeMemory picks rows of the batch axis: rows int32 [n].
func TakeMemory(memory Memories, rows *Node) Memories {
	out := make(Memories, len(memory))
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
