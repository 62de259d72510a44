package objective

import (
	"strings"

	"goblip/models/blip2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Stage2T5 is the generative stage of BLIP-2 with an encoder-decoder LLM (paper, section 3.3): its
// frozen encoder reads a soft visual prompt and the beginning of a text, its decoder learns to go on
// (prefix language modelling; see SplitPrefix). No label smoothing. Inputs:
//
//	states  float32 [batch, patches, image_hidden]: frozen encoder's output before its final norm
//	ids     int32 [batch, text]: beginning </s>, padded on the right
//	mask    int32 [batch, text]
//	labels  int32 [batch, target]: rest </s>, padded on the right
//	targets int32 [batch, target]: 1 on the labels, </s> included; 0 on padding
func Stage2T5(cfg *blip2.Config) Objective {
	return Objective{
		Terms: []Term{{"lm", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			states, ids, mask, labels, targets := in[0], in[1], in[2], in[3], in[4]
			prompt := blip2.VisualPrompt(scope, cfg, states)
			read, visible := blip2.EncodePrompted(scope, cfg, prompt, ids, mask)
			return []*Node{blip2.AnswerHead(scope, cfg, read, visible, labels, targets).Loss(labels, targets, 0)}
		},
	}
}

// SplitPrefix cuts a text between words for prefix language modelling: the beginning has at least one
// word and at most half of them, each number equally likely; u is uniform in [0, 1). A text of one
// word is all to be learnt. LAVIS' authors say no more than that the cut lies between position 1 and
// the midpoint; words are ours, so that both parts are texts that the tokenizer knows.
func SplitPrefix(text string, u float64) (beginning, rest string) {
	words := strings.Fields(text)
	half := len(words) / 2
	if half == 0 {
		return "", strings.Join(words, " ")
	}
	cut := 1 + min(int(u*float64(half)), half-1)
	return strings.Join(words[:cut], " "), strings.Join(words[cut:], " ")
}
