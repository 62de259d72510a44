package blip2

import (
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// KV holds keys and values of one attention: each [batch, heads, seq, head_dim].
type KV struct{ Key, Value *Node }

// ImageKV projects frozen image features for every cross-attention of the Q-Former:
// imageEmbeds [batch, patches, image_hidden] -> keys and values per layer (zero KV in layers
// without cross-attention). They depend on the picture alone, so one projection serves the
// contrastive pass, the matching pass (rows picked with take) and generation.
func ImageKV(scope *model.Scope, cfg *QFormerConfig, imageEmbeds *Node) []KV {
	imageEmbeds.AssertDims(-1, -1, cfg.EncoderHiddenSize)
	kvs := make([]KV, cfg.NumHiddenLayers)
	for i := 0; i < cfg.NumHiddenLayers; i += cfg.CrossAttentionFrequency {
		kvs[i] = keysValues(layerScope(scope, i).At("crossattention").At("attention"), cfg, imageEmbeds)
	}
	return kvs
}

// Pass is one run of the Q-Former (paper, figure 2). Queries or Text may be nil.
type Pass struct {
	Queries *Node // [batch, queries, hidden]: EmbedQueries
	Text    *Node // [batch, text, hidden]: EmbedText
	Mask    *Node // additive [batch, 1, seq, past+seq] over [queries; text], nil: all see all
	Images  []KV  // ImageKV; needed with Queries
	Past    []KV  // the queries' keys and values of an earlier pass, seen by Text (ITG)

	// QueriesOnly: what Text becomes is not needed, so the last layer computes queries alone. Mask is the
	// same for all rows then, [batch, 1, 1, past+seq].
	QueriesOnly bool

	// Look keeps where the queries looked, Output.Looks.
	Look bool
}

// Output of a Pass; KV are the keys and values of this pass' own tokens, per layer.
type Output struct {
	Queries, Text *Node // [batch, queries, hidden], [batch, text, hidden]
	KV            []KV
	States        []*Node // before each layer and after the last: [batch, queries+text, hidden], or queries alone
	Looks         []*Node // of a Pass with Look: the weights of each cross-attention, float32 [batch, heads, queries, patches]
}

// Encode runs the layers. Self-attention is shared by queries and text; cross-attention, in every
// CrossAttentionFrequency-th layer, is for queries only; the feed-forward weights are apart:
// intermediate_query/output_query for queries, intermediate/output for text. Post-LN as in BERT.
func Encode(scope *model.Scope, cfg *QFormerConfig, p Pass) Output {
	queries, x := 0, p.Text
	if p.Queries != nil {
		queries, x = p.Queries.Shape().Dim(1), p.Queries
		if p.Text != nil {
			x = Concatenate([]*Node{p.Queries, p.Text}, 1)
		}
	}
	out := Output{States: []*Node{x}}
	for i := range cfg.NumHiddenLayers {
		x = nn.Block(x, func(x *Node) *Node {
			x, own, looks := encodeLayer(layerScope(scope, i), cfg, i, p, queries, x)
			out.KV = append(out.KV, KV{nn.Kept(own.Key), nn.Kept(own.Value)})
			if p.Look && looks != nil {
				out.Looks = append(out.Looks, nn.Kept(looks))
			}
			return x
		})
		out.States = append(out.States, x)
	}
	if queries > 0 {
		out.Queries = Slice(x, AxisRange(), AxisRange(0, queries))
	}
	if p.Text != nil && !p.QueriesOnly {
		out.Text = Slice(x, AxisRange(), AxisRange(queries))
	}
	return out
}

// encodeLayer runs layer i over x, queries then text: its output, its own keys and values, and the weights
// of its cross-attention (nil: it has none).
func encodeLayer(layer *model.Scope, cfg *QFormerConfig, i int, p Pass, queries int, x *Node) (out *Node, own KV, looks *Node) {
	attention := layer.At("attention")
	own = keysValues(attention.At("attention"), cfg, x)
	all := own
	if p.Past != nil {
		all.Key = Concatenate([]*Node{p.Past[i].Key, own.Key}, 2)
		all.Value = Concatenate([]*Node{p.Past[i].Value, own.Value}, 2)
	}
	last := p.QueriesOnly && i == cfg.NumHiddenLayers-1
	if last {
		x = Slice(x, AxisRange(), AxisRange(0, queries))
	}
	x, _ = attend(attention, cfg, x, all, p.Mask)
	var parts []*Node
	if queries > 0 {
		q := Slice(x, AxisRange(), AxisRange(0, queries))
		if i%cfg.CrossAttentionFrequency == 0 {
			q, looks = attend(layer.At("crossattention"), cfg, q, p.Images[i], nil)
		}
		parts = append(parts, feedForward(layer.At("intermediate_query"), layer.At("output_query"), cfg, q))
	}
	if p.Text != nil && !last {
		t := Slice(x, AxisRange(), AxisRange(queries))
		parts = append(parts, feedForward(layer.At("intermediate"), layer.At("output"), cfg, t))
	}
	if len(parts) == 2 {
		return Concatenate(parts, 1), own, looks
	}
	return parts[0], own, looks
}

func layerScope(scope *model.Scope, i int) *model.Scope {
	return scope.At("qformer").At("encoder").At("layer").At("%d", i)
}

// EmbedQueries gives every picture the learned queries, normalized as embeddings are, without
// positions: -> [batch, queries, hidden].
func EmbedQueries(scope *model.Scope, cfg *Config, like *Node, batch int) *Node {
	q := &cfg.QFormer
	tokens := nn.Param(scope, "query_tokens", like, nn.InitNormal, 1, cfg.NumQueryTokens, q.HiddenSize)
	tokens = nn.LayerNorm(scope.At("qformer").At("layernorm"), tokens, q.LayerNormEps)
	tokens = BroadcastToDims(tokens, batch, cfg.NumQueryTokens, q.HiddenSize)
	return nn.Dropout(tokens, q.HiddenDropoutProb)
}

// EmbedText is words plus positions from first on, normalized: ids int32 [batch, text] -> [batch, text, hidden].
// Positions count from 0 after queries too. first is 0 but when generating token by token.
func EmbedText(scope *model.Scope, cfg *QFormerConfig, ids *Node, positions *Node) *Node {
	embeddings := scope.At("embeddings")
	table := nn.EmbeddingTable(embeddings.At("position_embeddings"), ids, cfg.MaxPositionEmbeddings, cfg.HiddenSize)
	if positions == nil {
		positions = nn.Compute(InsertAxes(Slice(table, AxisRange(0, ids.Shape().Dim(1))), 0)) // [1, text, hidden]
	} else {
		positions = nn.Lookup(table, positions)
	}
	words := nn.Lookup(wordTable(scope, cfg, ids), ids)
	x := nn.LayerNorm(scope.At("qformer").At("layernorm"), Add(words, positions), cfg.LayerNormEps)
	return nn.Dropout(x, cfg.HiddenDropoutProb)
}

func wordTable(scope *model.Scope, cfg *QFormerConfig, g GraphProvider) *Node {
	return nn.EmbeddingTable(scope.At("embeddings").At("word_embeddings"), g, cfg.VocabSize, cfg.HiddenSize)
}

// keysValues projects x [batch, seq, any] to one attention's keys and values.
func keysValues(scope *model.Scope, cfg *QFormerConfig, x *Node) KV {
	return KV{
		nn.Heads(nn.Linear(scope.At("key"), x, cfg.HiddenSize), cfg.NumAttentionHeads),
		nn.Heads(nn.Linear(scope.At("value"), x, cfg.HiddenSize), cfg.NumAttentionHeads),
	}
}

// attend is post-norm multi-head attention of x over kv, with its residual: -> [batch, seq, hidden], and its
// weights [batch, heads, seq, keys].
func attend(scope *model.Scope, cfg *QFormerConfig, x *Node, kv KV, mask *Node) (out, weights *Node) {
	query := nn.Heads(nn.Linear(scope.At("attention").At("query"), x, cfg.HiddenSize), cfg.NumAttentionHeads)
	weights = nn.AttentionWeights(query, kv.Key, mask)
	out = nn.WeightedSum(weights, kv.Value, cfg.AttentionProbsDropoutProb)
	return project(scope.At("output"), cfg, out, x), weights
}

// feedForward is the block's MLP of one kind of token, with its residual and norm.
func feedForward(intermediate, output *model.Scope, cfg *QFormerConfig, x *Node) *Node {
	h := nn.Activation(cfg.HiddenAct, nn.Linear(intermediate.At("dense"), x, cfg.IntermediateSize))
	return project(output, cfg, h, x)
}

// project is LayerNorm(dropout(dense(h)) + residual): h [batch, seq, any], residual [batch, seq, hidden].
func project(scope *model.Scope, cfg *QFormerConfig, h, residual *Node) *Node {
	h = nn.Dropout(nn.Linear(scope.At("dense"), h, cfg.HiddenSize), cfg.HiddenDropoutProb)
	return nn.LayerNorm(scope.At("LayerNorm"), Add(h, residual), cfg.LayerNormEps)
}
