package blip

import (
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// ImageFeatures is the normalized projection of the class token: [batch, patches, image_hidden] -> [batch, projection].
func ImageFeatures(scope *model.Scope, cfg *Config, image *Node) *Node {
	return nn.Normalize(nn.Linear(scope.At("vision_proj"), first(image), cfg.ImageTextHiddenSize))
}

// TextFeatures is the normalized projection of [CLS] of TextStates: [batch, text, hidden] -> [batch, projection].
func TextFeatures(scope *model.Scope, cfg *Config, states *Node) *Node {
	return nn.Normalize(nn.Linear(scope.At("text_proj"), first(states), cfg.ImageTextHiddenSize))
}

// Match judges pairs by the first token of GroundedStates: [pairs, text, hidden] -> logits [pairs, 2],
// index 1 = match.
func Match(scope *model.Scope, states *Node) *Node {
	return nn.Linear(scope.At("itm_head"), first(states), 2)
}

// first takes the first token: [batch, seq, hidden] -> [batch, hidden].
func first(x *Node) *Node { return Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1) }
