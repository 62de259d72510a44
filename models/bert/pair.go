package bert

import (
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// EncodePair runs the layers with two cross-attentions each, over a first and a second picture
// [batch, cross, any], as BLIP does for NLVR2: what both give is averaged in the first half of the
// layers, concatenated and projected in the others. embeds [batch, seq, hidden], mask additive
// [batch, 1, 1, seq] -> [batch, seq, hidden].
func EncodePair(scope *model.Scope, cfg *Layers, embeds, mask, first, second *Node) *Node {
	x := embeds
	for i := range cfg.NumHiddenLayers {
		x = nn.Block(x, func(x *Node) *Node { return pairLayer(scope, cfg, i, x, mask, first, second) })
	}
	return x
}

// pairLayer is layer i of EncodePair.
func pairLayer(scope *model.Scope, cfg *Layers, i int, x, mask, first, second *Node) *Node {
	l := layer(scope, i)
	self := l.At("attention")
	x = attend(self, cfg, x, keysValues(self.At("self"), cfg, x), mask)
	cross := l.At("crossattention")
	look := func(self, dense string, image *Node) *Node {
		at := cross.At("%s", self)
		kv := keysValues(at, cfg, image)
		query := nn.Heads(nn.Linear(at.At("query"), x, cfg.HiddenSize), cfg.NumAttentionHeads)
		seen := nn.Attend(query, kv.Key, kv.Value, nil, cfg.AttentionProbsDropoutProb)
		return nn.Linear(cross.At("output").At("%s", dense), seen, cfg.HiddenSize)
	}
	a, b := look("self0", "dense0", first), look("self1", "dense1", second)
	both := DivScalar(Add(a, b), 2)
	if i >= cfg.NumHiddenLayers/2 {
		both = nn.Linear(cross.At("output").At("merge_layer"), Concatenate([]*Node{a, b}, -1), cfg.HiddenSize)
	}
	x = nn.LayerNorm(cross.At("output").At("LayerNorm"), Add(nn.Dropout(both, cfg.HiddenDropoutProb), x), cfg.LayerNormEps)
	return feedForward(l, cfg, x)
}
