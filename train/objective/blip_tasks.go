package objective

import (
	"math"

	"goblip/models/blip"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPCaption trains the decoder to describe pictures (paper, section 5.2). Inputs:
//
//	pixels  uint8 [batch, height, width, 3], normalized with mean and std on the device
//	ids     int32 [batch, text]: [DEC] prompt caption [SEP], padded on the right
//	mask    int32 [batch, text]
//	targets int32 [batch, text]: 1 on the words to learn, [SEP] included; 0 on [DEC], the prompt and padding
func BLIPCaption(cfg *blip.Config, mean, std [3]float64, smoothing float64) Objective {
	return Objective{
		Terms: []Term{{"lm", nn.SmoothedFloor(cfg.Text.VocabSize, smoothing), "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			head := captionHead(scope, cfg, nn.PixelValues(in[0], mean, std), allButLast(in[1]), allButLast(in[2]))
			return []*Node{nextWord(head, in[1], in[3], smoothing)}
		},
	}
}

// captionHead scores the next words: pixels float32 [batch, 3, height, width], ids and mask int32
// [batch, text].
func captionHead(scope *model.Scope, cfg *blip.Config, pixels, ids, mask *Node) nn.Head {
	memory := blip.Memory(scope, cfg, blip.ImageStates(scope, cfg, pixels))
	return blip.WordHead(scope, cfg, blip.DecoderStates(scope, cfg, memory, nil, ids, mask))
}

// BLIPAnswer trains an encoder that reads a question with its picture, and a decoder that writes the
// answer from what the encoder saw (paper, section 5.3). Each question has the same number of places
// for answers; the loss is the sum over answers of weight times the summed loss of their words,
// divided by the questions. Inputs:
//
//	pixels        uint8 [batch, height, width, 3], normalized with mean and std on the device
//	ids, mask     int32 [batch, text]: [ENC] question [SEP]
//	answers, seen int32 [batch*places, answer]: [DEC] answer [SEP], those of a question beside each other
//	weights       float32 [batch*places]: an answer's share of the annotations; 0: the place is empty
func BLIPAnswer(cfg *blip.Config, mean, std [3]float64, smoothing float64) Objective {
	return Objective{
		Terms: []Term{{"answer", 0, "floor"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			states := blip.GroundedStates(scope, cfg, blip.ImageStates(scope, cfg, nn.PixelValues(in[0], mean, std)), in[1], in[2])
			loss := blip.AnswerLosses(scope, cfg, states, in[2], in[3], in[4], smoothing)
			return []*Node{answerLoss(loss, in[5], in[1].Shape().Dim(0))}
		},
	}
}

// answerLoss weighs the losses of answers: both float32 [questions*places] -> a scalar.
func answerLoss(losses, weights *Node, questions int) *Node {
	return DivScalar(ReduceAllSum(Mul(losses, weights)), float64(questions))
}

// BLIPJudge trains to say whether a text is true of two pictures, as NLVR2 asks (paper, section 5.4).
// Inputs:
//
//	pixels    uint8 [batch, 2, height, width, 3], normalized with mean and std on the device
//	ids, mask int32 [batch, text]: [ENC] text [SEP]
//	labels    int32 [batch]: 1 = true
func BLIPJudge(cfg *blip.Config, mean, std [3]float64) Objective {
	return Objective{
		Terms: []Term{{"judge", math.Ln2, "chance"}},
		Build: func(scope *model.Scope, in []*Node) []*Node {
			return []*Node{ReduceAllMean(nn.CrossEntropy(JudgeLogits(scope, cfg, in[0], in[1], in[2], mean, std), in[3], 0))}
		},
	}
}

// JudgeLogits are the scores of a text about two pictures: see BLIPJudge -> [batch, 2], index 1 = true.
func JudgeLogits(scope *model.Scope, cfg *blip.Config, pixels, ids, mask *Node, mean, std [3]float64) *Node {
	d := pixels.Shape().Dimensions
	both := Reshape(Transpose(pixels, 0, 1), append([]int{2 * d[0]}, d[2:]...)...) // all first pictures, then all second ones
	return blip.JudgePair(scope, cfg, blip.ImageStates(scope, cfg, nn.PixelValues(both, mean, std)), ids, mask)
}
