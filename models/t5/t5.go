package t5

import (
	"math"

	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// KV holds the keys and values of one attention: each [batch, heads, seq, d_kv].
type KV struct{ Key, Value *Node }

// Embed looks words up, the same table for encoder and decoder: ids int32 [batch, text] -> [batch, text, d_model].
func Embed(scope *model.Scope, cfg *Config, ids *Node) *Node {
	return nn.Lookup(shared(scope, cfg, ids), ids)
}

func shared(scope *model.Scope, cfg *Config, g GraphProvider) *Node {
	return nn.EmbeddingTable(scope.At("shared"), g, cfg.VocabSize, cfg.DModel)
}

// Encode runs the encoder over embedded tokens, each of which sees all visible ones:
// embeds [batch, text, d_model], mask int32 0/1 [batch, text] -> [batch, text, d_model].
func Encode(scope *model.Scope, cfg *Config, embeds, mask *Node) *Node {
	embeds.AssertDims(-1, -1, cfg.DModel)
	bias := Add(encoder.bias(scope, cfg, embeds, embeds.Shape().Dim(1)), nn.AdditiveMask(visible(mask), embeds))
	x := nn.Dropout(embeds, cfg.DropoutRate)
	for i := range cfg.NumLayers {
		x = nn.Block(x, func(x *Node) *Node {
			x, _ = encoder.selfAttention(scope, cfg, i, x, bias, nil)
			return encoder.feedForward(scope, cfg, i, 1, x)
		})
	}
	return encoder.finish(scope, cfg, x)
}

// Memory is what the decoder reads of encoded text: cross-attention's keys and values per layer, and
// the additive mask [batch, 1, 1, text] of mask int32 [batch, text].
type Memory struct {
	KV   []KV
	Mask *Node
}

// Remember projects encoder states [batch, text, d_model] once for all tokens to be decoded.
func Remember(scope *model.Scope, cfg *Config, states, mask *Node) Memory {
	m := Memory{Mask: nn.AdditiveMask(visible(mask), states)}
	for i := range cfg.NumDecoderLayers {
		m.KV = append(m.KV, keysValues(decoder.layer(scope, i, 1).At("EncDecAttention"), cfg, states))
	}
	return m
}

// Decode runs the decoder over ids int32 [batch, text], which start with decoder_start_token_id; each
// token sees those before it and the memory. mask int32 [batch, text] hides padding, nil none.
// -> states [batch, text, d_model] for Logits, and each layer's own keys and values.
func Decode(scope *model.Scope, cfg *Config, ids, mask *Node, memory Memory) (*Node, []KV) {
	x := Embed(scope, cfg, ids)
	seq := ids.Shape().Dim(1)
	see := nn.Causal(x.Graph(), seq)
	if mask != nil {
		batch := ids.Shape().Dim(0)
		see = LogicalAnd(BroadcastToDims(see, batch, seq, seq), BroadcastToDims(visible(mask), batch, seq, seq))
	}
	return decode(scope, cfg, x, Add(decoder.bias(scope, cfg, x, seq), nn.AdditiveMask(see, x)), memory, nil)
}

// DecodeStep runs one token a row: ids int32 [rows, 1]; column int32 scalar, its place in the text;
// mask additive [rows, 1, 1, columns+1] over past, [rows, heads, columns, d_kv] per layer, and itself.
// memory has a row for each item: the beams of one, rows beside each other, share it.
func DecodeStep(scope *model.Scope, cfg *Config, ids, column, mask *Node, memory Memory, past []KV) (*Node, []KV) {
	x := Embed(scope, cfg, ids)
	return decode(scope, cfg, x, Add(stepBias(scope, cfg, x, column, past[0].Key.Shape().Dim(2)), mask), memory, past)
}

func decode(scope *model.Scope, cfg *Config, x, bias *Node, memory Memory, past []KV) (*Node, []KV) {
	x = nn.Dropout(x, cfg.DropoutRate)
	var own []KV
	for i := range cfg.NumDecoderLayers {
		var before *KV
		if past != nil {
			before = &past[i]
		}
		var kv KV
		x = nn.Block(x, func(x *Node) *Node {
			x, kv = decoder.selfAttention(scope, cfg, i, x, bias, before)
			x = crossAttention(scope, cfg, i, x, memory)
			return decoder.feedForward(scope, cfg, i, 2, x)
		})
		own = append(own, kv)
	}
	return decoder.finish(scope, cfg, x), own
}

// Head scores the next word in training: states [..., d_model]. A tied head reads states scaled by
// d_model^-0.5, as T5's first version has it: see Config.
func Head(scope *model.Scope, cfg *Config, states *Node) nn.Head {
	head := nn.Head{States: scaled(cfg, states)}
	if cfg.UntiedHead {
		head.Table = nn.Param(scope.At("lm_head"), "weight", states, nn.InitNormal, cfg.VocabSize, cfg.DModel)
	} else {
		head.Table = shared(scope, cfg, states)
	}
	return head
}

func scaled(cfg *Config, states *Node) *Node {
	if cfg.ScaleDecoderOutputs {
		return MulScalar(states, 1/math.Sqrt(float64(cfg.DModel)))
	}
	return states
}

// Logits are the scores of the next word: states [..., d_model] -> float32 [..., vocab].
func Logits(scope *model.Scope, cfg *Config, states *Node) *Node {
	states = scaled(cfg, states)
	if cfg.UntiedHead {
		return ConvertDType(nn.LinearNoBias(scope.At("lm_head"), states, cfg.VocabSize), dtypes.Float32)
	}
	return ConvertDType(nn.TiedHead(shared(scope, cfg, states), states), dtypes.Float32)
}

// DecoderIDs makes the decoder's input of labels int32 [batch, text]: the start token in front, the last
// label dropped, and padding in the place of negative labels, which the loss ignores.
func DecoderIDs(cfg *Config, labels *Node) *Node {
	batch, text := labels.Shape().Dim(0), labels.Shape().Dim(1)
	start := BroadcastToDims(Reshape(ConstAs(labels, cfg.DecoderStartTokenID), 1, 1), batch, 1)
	labels = Where(LessThan(labels, ZerosLike(labels)), ConstAs(labels, cfg.PadTokenID), labels)
	return Concatenate([]*Node{start, Slice(labels, AxisRange(), AxisRange(0, text-1))}, 1)
}

// layer is the scope of a sublayer: self-attention, then the decoder's cross-attention, then feed-forward.
func (s stack) layer(scope *model.Scope, block, sublayer int) *model.Scope {
	return scope.At("%s", s.name).At("block").At("%d", block).At("layer").At("%d", sublayer)
}

func (s stack) attentionScope(scope *model.Scope, block int) *model.Scope {
	return s.layer(scope, block, 0).At("SelfAttention")
}

// selfAttention of one block over past and its own tokens; bias [batch or 1, heads, seq, past+seq].
func (s stack) selfAttention(scope *model.Scope, cfg *Config, block int, x, bias *Node, past *KV) (*Node, KV) {
	attention := s.attentionScope(scope, block)
	h := rmsNorm(s.layer(scope, block, 0).At("layer_norm"), cfg, x)
	own := keysValues(attention, cfg, h)
	all := own
	if past != nil {
		all = KV{Concatenate([]*Node{past.Key, own.Key}, 2), Concatenate([]*Node{past.Value, own.Value}, 2)}
	}
	return Add(x, attend(attention, cfg, h, all, bias)), own
}

// crossAttention reads the memory. Beams that share a row of it are queries beside each other: they
// have no positions here.
func crossAttention(scope *model.Scope, cfg *Config, block int, x *Node, memory Memory) *Node {
	sublayer := decoder.layer(scope, block, 1)
	h := rmsNorm(sublayer.At("layer_norm"), cfg, x)
	items, dims := memory.KV[block].Key.Shape().Dim(0), x.Shape().Dimensions
	h = Reshape(h, items, dims[0]*dims[1]/items, dims[2])
	h = attend(sublayer.At("EncDecAttention"), cfg, h, memory.KV[block], memory.Mask)
	return Add(x, Reshape(h, dims...))
}

// keysValues projects x [batch, seq, d_model] to one attention's keys and values.
func keysValues(scope *model.Scope, cfg *Config, x *Node) KV {
	project := func(name string) *Node {
		return nn.Heads(nn.LinearNoBias(scope.At("%s", name), x, cfg.InnerDim()), cfg.NumHeads)
	}
	return KV{project("k"), project("v")}
}

// attend is attention whose scores are not scaled by d_kv: T5's initial weights make up for it.
// x [batch, seq, d_model], bias broadcasts to [batch, heads, seq, keys] -> [batch, seq, d_model].
func attend(scope *model.Scope, cfg *Config, x *Node, kv KV, bias *Node) *Node {
	query := nn.Heads(nn.LinearNoBias(scope.At("q"), x, cfg.InnerDim()), cfg.NumHeads)
	h := nn.AttendUnscaled(query, kv.Key, kv.Value, bias, cfg.DropoutRate)
	return nn.Dropout(nn.LinearNoBias(scope.At("o"), h, cfg.DModel), cfg.DropoutRate)
}

// feedForward of one block, with its residual: [..., d_model] -> [..., d_model].
func (s stack) feedForward(scope *model.Scope, cfg *Config, block, sublayer int, x *Node) *Node {
	layer := s.layer(scope, block, sublayer)
	dense := layer.At("DenseReluDense")
	h := rmsNorm(layer.At("layer_norm"), cfg, x)
	wide := func(name string) *Node { return nn.LinearNoBias(dense.At("%s", name), h, cfg.DFF) }
	if cfg.IsGatedAct {
		gate, linear := nn.Activation(cfg.DenseActFn, wide("wi_0")), wide("wi_1")
		h = Mul(gate, linear)
		nn.Keeps("outputs of activations", h, gate, 0, linear)
		nn.Keeps("inputs of activations", h, linear, 0, gate)
	} else {
		h = nn.Activation(cfg.DenseActFn, wide("wi"))
	}
	h = nn.LinearNoBias(dense.At("wo"), nn.Dropout(h, cfg.DropoutRate), cfg.DModel)
	return Add(x, nn.Dropout(h, cfg.DropoutRate))
}

func (s stack) finish(scope *model.Scope, cfg *Config, x *Node) *Node {
	return nn.Dropout(rmsNorm(scope.At("%s", s.name).At("final_layer_norm"), cfg, x), cfg.DropoutRate)
}

// rmsNorm scales the last axis by its root mean square, in single precision: no mean, no bias.
func rmsNorm(scope *model.Scope, cfg *Config, x *Node) *Node {
	wide := ConvertDType(x, dtypes.Float32)
	mean := ReduceAndKeep(Square(wide), ReduceMean, -1)
	wide = Div(wide, Sqrt(AddScalar(mean, cfg.LayerNormEpsilon)))
	weight := nn.Param(scope, "weight", x, nn.InitOnes, cfg.DModel)
	out := Mul(ConvertDType(wide, x.DType()), ExpandLeftToRank(weight, x.Rank()))
	nn.Keeps("inputs of norms", out, x, 0, x, weight)
	return out
}

// visible: int32 0/1 [batch, text] -> bool [batch, 1, text].
func visible(mask *Node) *Node {
	return InsertAxes(GreaterThan(mask, ScalarZero(mask.Graph(), mask.DType())), 1)
}
