package bert

import (
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Words is the table of word embeddings: [vocab, hidden].
func Words(scope *model.Scope, cfg *Layers, g GraphProvider) *Node {
	return nn.EmbeddingTable(scope.At("embeddings").At("word_embeddings"), g, cfg.VocabSize, cfg.HiddenSize)
}

// Embed is words plus positions, normalized: ids int32 [batch, text] -> [batch, text, hidden].
// positions int32 [batch, text] or [1, text] or nil, which counts from 0. extra, if not nil, is added
// before the norm: BERT's token types.
func Embed(scope *model.Scope, cfg *Layers, ids, positions, extra *Node) *Node {
	embeddings := scope.At("embeddings")
	table := nn.EmbeddingTable(embeddings.At("position_embeddings"), ids, cfg.MaxPositionEmbeddings, cfg.HiddenSize)
	if positions == nil {
		positions = nn.Compute(InsertAxes(Slice(table, AxisRange(0, ids.Shape().Dim(1))), 0)) // [1, text, hidden]
	} else {
		positions = nn.Lookup(table, positions)
	}
	x := Add(nn.Lookup(Words(scope, cfg, ids), ids), positions)
	if extra != nil {
		x = Add(x, extra)
	}
	return nn.Dropout(nn.LayerNorm(embeddings.At("LayerNorm"), x, cfg.LayerNormEps), cfg.HiddenDropoutProb)
}

// Model is BertModel's encoder: ids, mask, types int32 [batch, text] -> the embeddings and the output
// of each layer, NumHiddenLayers+1 of [batch, text, hidden]. types may be nil: all 0.
func Model(scope *model.Scope, cfg *Config, ids, mask, types *Node) []*Node {
	if types == nil {
		types = ZerosLike(ids)
	}
	table := nn.EmbeddingTable(scope.At("embeddings").At("token_type_embeddings"), ids, cfg.TypeVocabSize, cfg.HiddenSize)
	x := Embed(scope, &cfg.Layers, ids, nil, nn.Lookup(table, types))
	return Encode(scope, &cfg.Layers, Pass{Embeds: x, Mask: nn.AdditiveMask(Visible(mask), x)}).States
}

// Pool is the pooler: tanh of a projection of the first token, [batch, text, hidden] -> [batch, hidden].
func Pool(scope *model.Scope, cfg *Layers, states *Node) *Node {
	first := Squeeze(Slice(states, AxisRange(), AxisElem(0)), 1)
	return Tanh(nn.Linear(scope.At("pooler").At("dense"), first, cfg.HiddenSize))
}

// Visible turns a padding mask into who may be seen: int32 0/1 [batch, seq] -> bool [batch, 1, seq].
func Visible(mask *Node) *Node {
	return InsertAxes(GreaterThan(mask, ScalarZero(mask.Graph(), mask.DType())), 1)
}

// CausalVisible lets each token see itself and what is visible before it:
// mask int32 [batch, seq] -> bool [batch, seq, seq].
func CausalVisible(mask *Node) *Node {
	batch, seq := mask.Shape().Dim(0), mask.Shape().Dim(1)
	causal := BroadcastToDims(nn.Causal(mask.Graph(), seq), batch, seq, seq)
	return LogicalAnd(causal, BroadcastToDims(Visible(mask), batch, seq, seq))
}

// KV holds keys and values of one attention: each [batch, heads, seq, head_dim].
type KV struct{ Key, Value *Node }

// Pass is one run through the layers.
type Pass struct {
	Embeds    *Node // [batch, seq, hidden]
	Mask      *Node // additive [batch, 1, seq, past+seq] or nil: all see all
	Past      []KV  // keys and values per layer of tokens that come before, or nil
	Cross     []KV  // CrossKV of what every layer attends to after its self-attention, or nil: no cross-attention
	CrossMask *Node // additive [batch, 1, 1, cross] or nil

	// SelfAttention and CrossAttention are where the weights of these are, if not with the others:
	// BLIP's pre-training shares all but the former between encoder and decoder.
	SelfAttention, CrossAttention *model.Scope
}

// Output of a Pass: States are the embeddings and the output of each layer [batch, seq, hidden], KV
// each layer's own keys and values.
type Output struct {
	States []*Node
	KV     []KV
}

// Last is the output of the last layer.
func (o Output) Last() *Node { return o.States[len(o.States)-1] }

// CrossKV projects what the cross-attentions look at, of any width: states [batch, cross, any] -> per layer.
// It depends on states alone, so that one projection serves all tokens that are decoded.
func CrossKV(scope *model.Scope, cfg *Layers, states *Node) []KV {
	var out []KV
	for i := range cfg.NumHiddenLayers {
		out = append(out, keysValues(layer(scope, i).At("crossattention").At("self"), cfg, states))
	}
	return out
}

// Encode runs the layers: post-LN self-attention, cross-attention where the Pass has some, and
// feed-forward.
func Encode(scope *model.Scope, cfg *Layers, p Pass) Output {
	x := p.Embeds
	x.AssertDims(-1, -1, cfg.HiddenSize)
	out := Output{States: []*Node{x}}
	for i := range cfg.NumHiddenLayers {
		x = nn.Block(x, func(x *Node) *Node {
			x, own := encodeLayer(scope, cfg, i, p, x)
			out.KV = append(out.KV, KV{nn.Kept(own.Key), nn.Kept(own.Value)})
			return x
		})
		out.States = append(out.States, x)
	}
	return out
}

// encodeLayer runs layer i over x: its output, and its own keys and values.
func encodeLayer(scope *model.Scope, cfg *Layers, i int, p Pass, x *Node) (*Node, KV) {
	l := layer(scope, i)
	self := l.At("attention")
	if p.SelfAttention != nil {
		self = layer(p.SelfAttention, i).At("attention")
	}
	own := keysValues(self.At("self"), cfg, x)
	all := own
	if p.Past != nil {
		all.Key = Concatenate([]*Node{p.Past[i].Key, own.Key}, 2)
		all.Value = Concatenate([]*Node{p.Past[i].Value, own.Value}, 2)
	}
	x = attend(self, cfg, x, all, p.Mask)
	if p.Cross != nil {
		cross := l
		if p.CrossAttention != nil {
			cross = layer(p.CrossAttention, i)
		}
		x = crossAttend(cross.At("crossattention"), cfg, x, p.Cross[i], p.CrossMask)
	}
	return feedForward(l, cfg, x), own
}

// crossAttend lets beams, rows beside each other, share what they look at: x [batch*beams, seq, hidden].
func crossAttend(scope *model.Scope, cfg *Layers, x *Node, kv KV, mask *Node) *Node {
	d, batch := x.Shape().Dimensions, kv.Key.Shape().Dim(0)
	if batch == d[0] {
		return attend(scope, cfg, x, kv, mask)
	}
	x = Reshape(x, batch, d[0]/batch*d[1], d[2]) // tokens do not see each other here
	return Reshape(attend(scope, cfg, x, kv, mask), d...)
}

func layer(scope *model.Scope, i int) *model.Scope {
	return scope.At("encoder").At("layer").At("%d", i)
}

func keysValues(scope *model.Scope, cfg *Layers, x *Node) KV {
	return KV{
		nn.Heads(nn.Linear(scope.At("key"), x, cfg.HiddenSize), cfg.NumAttentionHeads),
		nn.Heads(nn.Linear(scope.At("value"), x, cfg.HiddenSize), cfg.NumAttentionHeads),
	}
}

func attend(scope *model.Scope, cfg *Layers, x *Node, kv KV, mask *Node) *Node {
	query := nn.Heads(nn.Linear(scope.At("self").At("query"), x, cfg.HiddenSize), cfg.NumAttentionHeads)
	return project(scope.At("output"), cfg, nn.Attend(query, kv.Key, kv.Value, mask, cfg.AttentionProbsDropoutProb), x)
}

// feedForward is the layer's second part: [batch, seq, hidden] -> [batch, seq, hidden].
func feedForward(scope *model.Scope, cfg *Layers, x *Node) *Node {
	h := nn.Activation(cfg.HiddenAct, nn.Linear(scope.At("intermediate").At("dense"), x, cfg.IntermediateSize))
	return project(scope.At("output"), cfg, h, x)
}

// project is LayerNorm(dropout(dense(h)) + residual): h [batch, seq, any], residual [batch, seq, hidden].
func project(scope *model.Scope, cfg *Layers, h, residual *Node) *Node {
	h = nn.Dropout(nn.Linear(scope.At("dense"), h, cfg.HiddenSize), cfg.HiddenDropoutProb)
	return nn.LayerNorm(scope.At("LayerNorm"), Add(h, residual), cfg.LayerNormEps)
}

// WordHead is the language-model head over the table of words, which it shares with the embeddings:
// scope has "predictions", states [..., hidden].
func WordHead(scope *model.Scope, cfg *Layers, table, states *Node) nn.Head {
	head := scope.At("predictions")
	h := nn.Activation(cfg.HiddenAct, nn.Linear(head.At("transform").At("dense"), states, cfg.HiddenSize))
	h = nn.LayerNorm(head.At("transform").At("LayerNorm"), h, cfg.LayerNormEps)
	return nn.Head{States: h, Table: table, Bias: nn.Param(head, "bias", h, nn.InitZeros, cfg.VocabSize)}
}
