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
			return []*Node{prompted(scope, cfg, blip2.VisualPrompt(scope, cfg, in[0]), in[1], in[2], in[3])}
		},
	}
}

// VQA fine-tunes BLIP-2 on questions with a decoder LLM (paper, section 4.3 and figure 7): the Q-Former
// reads the question beside its queries, and the frozen LLM reads it after the soft prompt. Inputs:
//
//	states                  as Stage2
//	question, question_mask int32 [batch, question]: [CLS] question [SEP], for the Q-Former
//	ids, mask, targets      as Stage2: </s> question answer "\n", where only the answer is learnt
func VQA(cfg *blip2.Config) Objective {
	return Objective{
		Terms: []Term{{"lm", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			prompt := blip2.InstructedPrompt(scope, cfg, in[0], in[1], in[2])
			return []*Node{prompted(scope, cfg, prompt, in[3], in[4], in[5])}
		},
	}
}

// prompted is the LLM's loss on the targets behind a soft prompt.
func prompted(scope *model.Scope, cfg *blip2.Config, prompt, ids, mask, targets *Node) *Node {
	head := blip2.Prompted(scope, cfg, prompt, allButLast(ids), allButLast(mask))
	return nextWord(head, ids, targets, 0)
}
