package generate

import (
	"goblip/models/blip2"
	"goblip/models/t5"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// t5Graphs is the decoder of a BLIP-2 with a T5, which reads the encoded picture and prompt.
type t5Graphs struct{ cfg *blip2.Config }

// Prefill: inputs visual [batch, queries, d_model], ids and mask int32 [batch, text], padded on the
// right. The memory is the mask of the encoded text, then keys and values by layer; the cache's one
// column is the start token.
func (b t5Graphs) Prefill(scope *model.Scope, in []*Node) Prefilled {
	cfg, llm := b.cfg.T5, scope.At("language_model")
	states, visible := blip2.EncodePrompted(scope, b.cfg, in[0], in[1], in[2])
	memory := t5.Remember(llm, cfg, states, visible)
	start := BroadcastToDims(ConstAs(in[1], cfg.DecoderStartTokenID), in[1].Shape().Dim(0), 1)
	decoded, own := t5.Decode(llm, cfg, start, nil, memory)
	return Prefilled{
		Logits: t5.Logits(llm, cfg, Squeeze(decoded, 1)),
		Memory: append([]*Node{memory.Mask}, flatten(memory.KV)...),
		Cache:  flatten(own),
	}
}

// Next continues behind the start token.
func (b t5Graphs) Next(scope *model.Scope, s Step) (logits *Node, own []*Node) {
	cfg, llm := b.cfg.T5, scope.At("language_model")
	memory := t5.Memory{Mask: s.Memory[0], KV: pairs[t5.KV](s.Memory[1:])}
	decoded, kv := t5.DecodeStep(llm, cfg, s.Tokens, s.Column, s.Mask(memory.Mask), memory, pairs[t5.KV](s.Cache))
	return t5.Logits(llm, cfg, Squeeze(decoded, 1)), flatten(kv)
}
