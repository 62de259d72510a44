package infer

import (
	"fmt"

	"goblip/datasets/text"

	"github.com/gomlx/gomlx/core/tensors"
)

// InstructionTokenizer is the folder of the Q-Former's tokenizer in an InstructBLIP's.
const InstructionTokenizer = "qformer_tokenizer"

// CaptionPrompt is what a caption is asked for with where nobody says: nothing but for InstructBLIP
// (paper, appendix E).
func (c *Captioner) CaptionPrompt() string {
	if c.Config.Instructed() {
		return "A short image caption."
	}
	return ""
}

// QuestionPrompt is how the model's paper asks it: BLIP-2 wants a short answer of a T5.
func (c *Captioner) QuestionPrompt(question string) string {
	switch {
	case c.Config.T5 == nil: // also what recipe "blip2/vqa" trains on
		return QuestionPrompt(question)
	case c.Config.Instructed():
		return questionPrompt(question, "Short Answer:")
	}
	return T5QuestionPrompt(question)
}

// instruct tokenizes prompts for a Q-Former that reads them: the inputs of VisualPrompt beside the
// pictures, for the requests of a batch; none with other models.
func (c *Captioner) instruct(requests []Request) (func(picked []int) []*tensors.Tensor, error) {
	if c.instructions == nil {
		return func([]int) []*tensors.Tensor { return nil }, nil
	}
	rows, limit := make([][]int32, len(requests)), c.Config.QFormer.MaxPositionEmbeddings
	for i, r := range requests {
		rows[i] = c.instructions.Encode(r.Prompt)
		if len(rows[i]) > limit {
			return nil, fmt.Errorf("an instruction of %d tokens is more than the Q-Former's %d positions", len(rows[i]), limit)
		}
	}
	length := min(textLength(rows), limit)
	return func(picked []int) []*tensors.Tensor {
		of := make([][]int32, len(picked))
		for i, k := range picked {
			of[i] = rows[k]
		}
		ids, mask := text.Pad(of, length, int32(c.Config.QFormer.PadTokenID), false)
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(ids, len(of), length), tensors.FromFlatDataAndDimensions(mask, len(of), length)}
	}, nil
}
