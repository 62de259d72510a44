package blip2

import (
	"goblip/models/nn"
	"goblip/models/t5"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// EncodePrompted puts soft prompts before text and runs T5's encoder: prompt [batch, queries, d_model],
// ids, mask int32 [batch, text] -> states [batch, queries+text, d_model] and their mask. Soft tokens
// are always visible; masked text is not.
func EncodePrompted(scope *model.Scope, cfg *Config, prompt, ids, mask *Node) (states, visible *Node) {
	llm := scope.At("language_model")
	embeds := Concatenate([]*Node{prompt, t5.Embed(llm, cfg.T5, ids)}, 1)
	visible = Concatenate([]*Node{OnesLike32(mask, prompt.Shape().Dim(1)), mask}, 1)
	return t5.Encode(llm, cfg.T5, embeds, visible), visible
}

// AnswerLogits scores labels after encoded text: see AnswerHead -> [batch, text, vocab], column i is
// about label i.
func AnswerLogits(scope *model.Scope, cfg *Config, states, visible, labels, labelMask *Node) *Node {
	return AnswerHead(scope, cfg, states, visible, labels, labelMask).Logits()
}

// AnswerHead reads labels after encoded text, each given those before it, and scores them: states
// [batch, seq, d_model], visible int32 [batch, seq], labels int32 [batch, text], negative where there
// is none. labelMask int32 [batch, text] hides decoder inputs, nil none.
func AnswerHead(scope *model.Scope, cfg *Config, states, visible, labels, labelMask *Node) nn.Head {
	llm := scope.At("language_model")
	decoded, _ := t5.Decode(llm, cfg.T5, t5.DecoderIDs(cfg.T5, labels), labelMask, t5.Remember(llm, cfg.T5, states, visible))
	return t5.Head(llm, cfg.T5, decoded)
}
