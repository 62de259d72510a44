package objective

import (
	"goblip/models/blip2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Stage2 is the generative stage of BLIP-2 with a decoder LLM: the frozen LLM continues a soft
// visual prompt. No label smoothing. Inputs:
//
//	states  float32 [batch, patches, image_hidden]: frozen encoder's output before its final norm
//	ids     int32 [batch, text]: </s> prompt text "\n", padded on the right
//	mask    int32 [batch, text]
//	targets int32 [batch, text]: 1 on the words to learn; 0 on </s>, the prompt and padding
func Stage2(cfg *blip2.Config) Objective {
	return Objective{
		Terms: []Term{{"lm", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			states, ids, mask, targets := in[0], in[1], in[2], in[3]
			prompt := blip2.VisualPrompt(scope, cfg, states)
			logits := blip2.PromptedLogits(scope, cfg, prompt, allButLast(ids), allButLast(mask))
			return []*Node{nextWord(logits, ids, targets, 0)}
		},
	}
}
