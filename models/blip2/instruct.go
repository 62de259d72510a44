package blip2

import (
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// InstructedPrompt is the VisualPrompt of InstructBLIP (Dai et al., https://arxiv.org/abs/2305.06500,
// section 2.3): the queries see the instruction in self-attention, so that they fetch from the
// picture what it asks for. states [batch, patches, image_hidden], ids and mask int32 [batch, text]
// of the instruction -> [batch, queries, width]; the text's own outputs are not used.
func InstructedPrompt(scope *model.Scope, cfg *Config, states, ids, mask *Node) *Node {
	return projectLanguage(scope, cfg, EncodeInstructed(scope, cfg, states, ids, mask).Queries)
}

// EncodeInstructed runs the Q-Former of InstructedPrompt.
func EncodeInstructed(scope *model.Scope, cfg *Config, states, ids, mask *Node) Output {
	q := &cfg.QFormer
	batch := ids.Shape().Dim(0)
	images := ImageKV(scope, q, vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, states))
	// Unlike BLIP-2's, the word tables and their norm lie in the Q-Former.
	embeddings := scope.At("qformer").At("embeddings")
	norm := func(x *Node) *Node {
		return nn.Dropout(nn.LayerNorm(embeddings.At("layernorm"), x, q.LayerNormEps), q.HiddenDropoutProb)
	}
	tokens := nn.Param(scope, "query_tokens", states, nn.InitNormal, 1, cfg.NumQueryTokens, q.HiddenSize)
	tokens = BroadcastToDims(tokens, batch, cfg.NumQueryTokens, q.HiddenSize)
	words := nn.EmbeddingTable(embeddings.At("word_embeddings"), ids, q.VocabSize, q.HiddenSize)
	positions := nn.EmbeddingTable(embeddings.At("position_embeddings"), ids, q.MaxPositionEmbeddings, q.HiddenSize)
	positions = InsertAxes(Slice(positions, AxisRange(0, ids.Shape().Dim(1))), 0) // from 0, after the queries too
	text := Add(nn.Lookup(words, ids), nn.Compute(positions))
	visible := Concatenate([]*Node{ones(mask, batch, 1, cfg.NumQueryTokens), paddingMask(mask)}, 2)
	return Encode(scope, q, Pass{Queries: norm(tokens), Text: norm(text), Images: images, Mask: nn.AdditiveMask(visible, text)})
}
