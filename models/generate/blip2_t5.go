package generate

import (
	"goblip/models/blip2"
	"goblip/models/t5"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// t5Graphs is the decoder of a T5, in which a text starts with the start token. The memory is the mask
// of the encoded text, then keys and values by layer.
type t5Graphs struct {
	cfg *t5.Config
	llm func(scope *model.Scope) *model.Scope // where the T5 is

	// encode turns Prefill's inputs into encoder states [batch, text, d_model] and their mask.
	encode func(scope *model.Scope, inputs []*Node) (states, visible *Node)
}

// T5 is a T5ForConditionalGeneration: inputs ids and mask int32 [batch, text], padded on any side.
func T5(cfg *t5.Config) Graphs {
	return t5Graphs{
		cfg: cfg,
		llm: func(scope *model.Scope) *model.Scope { return scope },
		encode: func(scope *model.Scope, in []*Node) (states, visible *Node) {
			return t5.Encode(scope, cfg, t5.Embed(scope, cfg, in[0]), in[1]), in[1]
		},
	}
}

// blip2T5 is the T5 of a BLIP-2. Inputs: visual [batch, queries, d_model], ids and mask int32
// [batch, text], padded on the right.
func blip2T5(cfg *blip2.Config) t5Graphs {
	return t5Graphs{
		cfg: cfg.T5,
		llm: func(scope *model.Scope) *model.Scope { return scope.At("language_model") },
		encode: func(scope *model.Scope, in []*Node) (states, visible *Node) {
			return blip2.EncodePrompted(scope, cfg, in[0], in[1], in[2])
		},
	}
}

// Prefill encodes and decodes the start token.
func (g t5Graphs) Prefill(scope *model.Scope, inputs []*Node) Prefilled {
	llm := g.llm(scope)
	states, visible := g.encode(scope, inputs)
	memory := t5.Remember(llm, g.cfg, states, visible)
	start := BroadcastToDims(Reshape(ConstAs(visible, g.cfg.DecoderStartTokenID), 1, 1), states.Shape().Dim(0), 1)
	decoded, own := t5.Decode(llm, g.cfg, start, nil, memory)
	return Prefilled{
		Logits: t5.Logits(llm, g.cfg, Squeeze(decoded, 1)),
		Memory: append([]*Node{memory.Mask}, flatten(memory.KV)...),
		Cache:  flatten(own),
	}
}

// Next continues behind the start token.
func (g t5Graphs) Next(scope *model.Scope, s Step) (logits *Node, own []*Node) {
	llm := g.llm(scope)
	memory := t5.Memory{Mask: s.Memory[0], KV: pairs[t5.KV](s.Memory[1:])}
	decoded, kv := t5.DecodeStep(llm, g.cfg, s.Tokens, s.Column, s.Mask(memory.Mask), memory, pairs[t5.KV](s.Cache))
	return t5.Logits(llm, g.cfg, Squeeze(decoded, 1)), flatten(kv)
}
