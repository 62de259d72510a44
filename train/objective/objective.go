// Package objective turns a batch into scalar losses; it knows models, not the loop.
//
//	objective.go      the type, and what is common
//	stage1.go         ITC + ITM + ITG of BLIP-2 (paper, section 3.2)
//	chunked.go        the losses of a batch from chunks of it
//	stage2.go         language modelling after a soft visual prompt (section 3.3)
//	stage2_t5.go      prefix language modelling with a T5
//	blip_pretrain.go  ITC, ITM and LM of BLIP, and its fine-tuning for retrieval
//	itm.go            matching scores of pairs and hard negatives
//	blip_tasks.go     BLIP's other fine-tunings: captions, questions, pairs of pictures
//	unimodal.go       the contrastive and language losses of the towers that are frozen afterwards
package objective

import (
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Term names one loss and the level to read it against.
type Term struct {
	Name  string
	Floor float64 // the least value possible, or what a model reaches that learned only the prior
	Label string  // what Floor is: "floor" or "chance"
}

// Objective builds the losses of one batch, each a scalar, in the order of Terms. Their sum is
// minimized. scope is the root of the model's variables.
type Objective struct {
	Terms   []Term
	Build   func(scope *model.Scope, inputs []*Node) []*Node
	Chunked *Chunked // nil: only a batch as a whole, or losses that compare no samples
}

// nextWord is the language-model loss: the head's states [batch, text-1, hidden] against ids shifted by one,
// averaged over the targets that weights [batch, text] names (its first column is not used).
func nextWord(head nn.Head, ids, weights *Node, smoothing float64) *Node {
	after := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(1)) }
	return head.Loss(after(ids), after(weights), smoothing)
}

// allButLast drops the last column: [batch, text, ...] -> [batch, text-1, ...].
func allButLast(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(0, x.Shape().Dim(1)-1)) }
