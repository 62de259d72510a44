package blip

import (
	"strings"

	"goblip/models/bert"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// NLVRClass is the class of a BLIP that judges a text about two pictures (paper, section 5.4). It has
// the tensor names of the BLIP source; transformers has no such class.
const NLVRClass = "BlipForNLVR"

// JudgePair says whether a text is true of two pictures: images are ImageStates with the first
// pictures of all rows, then the second ones, ids int32 [batch, text] beginning with [ENC]
// -> logits [batch, 2], index 1 = true.
//
// Each layer has two cross-attentions, one a picture. Their outputs are averaged in the first half of
// the layers; in the second half they are concatenated and projected (merge_layer).
func JudgePair(scope *model.Scope, cfg *Config, images, ids, mask *Node) *Node {
	encoder, layers, batch := scope.At(encoderScope), &cfg.Text.Layers, ids.Shape().Dim(0)
	first, second := Slice(images, AxisRange(0, batch)), Slice(images, AxisRange(batch))
	x := bert.Embed(encoder, layers, ids, nil, nil)
	visible := nn.AdditiveMask(bert.Visible(mask), x)
	x = bert.EncodePair(encoder, layers, x, visible, first, second)
	head := scope.At("cls_head")
	h := Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1)
	h = nn.Activation("relu", nn.Linear(head.At("0"), h, layers.HiddenSize))
	return nn.Linear(head.At("2"), h, 2)
}

// pairParts are the parts of a cross-attention that an encoder of pairs has twice.
var pairParts = strings.NewReplacer(
	".crossattention.self0.", ".crossattention.self.", ".crossattention.self1.", ".crossattention.self.",
	".crossattention.output.dense0.", ".crossattention.output.dense.", ".crossattention.output.dense1.", ".crossattention.output.dense.")

// OneCrossAttention gives the name that a tensor of an encoder of pairs has in an encoder of single
// pictures, from which both of its cross-attentions start; false if the name is no different.
func OneCrossAttention(name string) (string, bool) {
	one := pairParts.Replace(name)
	return one, one != name
}
