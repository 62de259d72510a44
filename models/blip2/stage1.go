package blip2

import (
	"goblip/models/nn"
	"goblip/models/vit"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Images is what the Q-Former made of a batch of pictures alone (the unimodal pass).
type Images struct {
	KV       []KV  // cross-attention keys and values of the pictures
	Queries  *Node // embedded queries [batch, queries, hidden]
	Output   *Node // query outputs [batch, queries, hidden]
	Past     []KV  // the queries' self-attention keys and values: ITG's memory
	Features *Node // projected, normalized [batch, queries, projection]
}

// prepareImages fills KV and Queries.
func prepareImages(scope *model.Scope, cfg *Config, states *Node) Images {
	embeds := embedImages(scope, cfg, states)
	return Images{
		KV:      ImageKV(scope, &cfg.QFormer, embeds),
		Queries: EmbedQueries(scope, cfg, embeds, embeds.Shape().Dim(0)),
	}
}

// EncodeImages runs the queries over frozen image states (before the final norm, which is trained
// here): states [batch, patches, image_hidden].
func EncodeImages(scope *model.Scope, cfg *Config, states *Node) Images {
	im := prepareImages(scope, cfg, states)
	out := Encode(scope, &cfg.QFormer, Pass{Queries: im.Queries, Images: im.KV})
	im.Output, im.Past = out.Queries, out.KV
	return im
}

// OtherImages are the keys and values of pictures that are only matched: states as EncodeImages has them.
func OtherImages(scope *model.Scope, cfg *Config, states *Node) []KV {
	return ImageKV(scope, &cfg.QFormer, embedImages(scope, cfg, states))
}

func embedImages(scope *model.Scope, cfg *Config, states *Node) *Node {
	return vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, nn.Compute(states))
}

// ProjectImages fills Features: vision_projection, then unit length.
func ProjectImages(scope *model.Scope, cfg *Config, im *Images) {
	im.Features = nn.Normalize(nn.Linear(scope.At("vision_projection"), im.Output, cfg.ImageTextHiddenSize))
}

// TextFeatures is the projected, normalized [CLS] of text alone:
// ids, mask int32 [batch, text] -> [batch, projection]; also the text states [batch, text, hidden].
func TextFeatures(scope *model.Scope, cfg *Config, ids, mask *Node) (features, states *Node) {
	text := EmbedText(scope, &cfg.QFormer, ids, nil)
	out := Encode(scope, &cfg.QFormer, Pass{Text: text, Mask: nn.AdditiveMask(paddingMask(mask), text)})
	class := Squeeze(Slice(out.Text, AxisRange(), AxisElem(0)), 1)
	return nn.Normalize(nn.Linear(scope.At("text_projection"), class, cfg.ImageTextHiddenSize)), out.Text
}

// Similarity is the contrastive score of every picture with every text: the best of a picture's
// queries. features [images, queries, projection], text [texts, projection] -> [images, texts].
func Similarity(features, text *Node) *Node {
	all := Einsum("iqd,td->iqt", features, text)
	best := ReduceMax(all, 1)
	nn.Keeps("similarities", best, all, int(all.Shape().ByteSize()), features, text)
	return best
}

// Match reads picture and text together (bidirectional mask) and judges each pair:
// queries [pairs, queries, hidden], images with pairs rows, ids, mask int32 [pairs, text]
// -> logits [pairs, 2], index 1 = match: itm_head on every query, then the mean.
func Match(scope *model.Scope, cfg *Config, queries *Node, images []KV, ids, mask *Node) *Node {
	out := Encode(scope, &cfg.QFormer, matchPass(scope, cfg, queries, images, ids, mask))
	logits := nn.Linear(scope.At("itm_head"), out.Queries, 2) // [pairs, queries, 2]
	return ConvertDType(ReduceMean(logits, 1), dtypes.Float32)
}

func matchPass(scope *model.Scope, cfg *Config, queries *Node, images []KV, ids, mask *Node) Pass {
	text := EmbedText(scope, &cfg.QFormer, ids, nil)
	visible := MatchMask(mask, queries.Shape().Dim(1))
	return Pass{Queries: queries, Text: text, Images: images, Mask: nn.AdditiveMask(visible, text), QueriesOnly: true}
}

// MatchMask is what ITM's queries and text see, the same for all of them: queries, and text but its padding.
// mask int32 [pairs, text] -> bool [pairs, 1, queries+text].
func MatchMask(mask *Node, queries int) *Node {
	return Concatenate([]*Node{ones(mask, mask.Shape().Dim(0), 1, queries), paddingMask(mask)}, 2)
}

// GenerateText is image-grounded text generation (ITG): every text token sees all queries, through
// their keys and values of the unimodal pass, and the tokens before it; queries never see text.
// ids, mask int32 [batch, text], past of Images -> logits of the next word [batch, text, vocab].
// ids start with [DEC] instead of [CLS].
func GenerateText(scope *model.Scope, cfg *Config, past []KV, ids, mask *Node) *Node {
	return GenerationHead(scope, cfg, past, ids, mask).Logits()
}

// GenerationHead is GenerateText before the words are scored.
func GenerationHead(scope *model.Scope, cfg *Config, past []KV, ids, mask *Node) nn.Head {
	text := EmbedText(scope, &cfg.QFormer, ids, nil)
	visible := GenerateMask(mask, past[0].Key.Shape().Dim(2))
	out := Encode(scope, &cfg.QFormer, Pass{Text: text, Past: past, Mask: nn.AdditiveMask(visible, text)})
	return textHead(scope, cfg, out.Text)
}

// GenerateMask is what each word of ITG's text sees: all queries, itself and the words before it.
// mask int32 [batch, text] -> bool [batch, text, queries+text].
func GenerateMask(mask *Node, queries int) *Node {
	batch, length := mask.Shape().Dim(0), mask.Shape().Dim(1)
	causal := BroadcastToDims(nn.Causal(mask.Graph(), length), batch, length, length)
	causal = LogicalAnd(causal, BroadcastToDims(paddingMask(mask), batch, length, length))
	return Concatenate([]*Node{ones(mask, batch, length, queries), causal}, 2)
}

// textHead is BERT's language-model head over the word table: states [..., hidden].
func textHead(scope *model.Scope, cfg *Config, states *Node) nn.Head {
	q := &cfg.QFormer
	head := scope.At("cls").At("predictions")
	h := nn.Linear(head.At("transform").At("dense"), states, q.HiddenSize)
	h = nn.LayerNorm(head.At("transform").At("LayerNorm"), nn.Activation(q.HiddenAct, h), q.LayerNormEps)
	return nn.Head{States: h, Table: wordTable(scope, q, states), Bias: nn.Param(head, "bias", h, nn.InitZeros, q.VocabSize)}
}

// Temperature divides the contrastive similarities: learned, starts at 0.07, never clamped. A scalar.
func Temperature(scope *model.Scope, like *Node) *Node {
	return nn.Param32(scope, "temp", like, nn.InitTemperature)
}

// Take picks rows of a batch: x [batch, ...], rows int32 [n] -> [n, ...].
func Take(x, rows *Node) *Node { return nn.Lookup(x, rows) }

// BesideImages puts beside each picture another one, and itself again: keys and values of 3*batch
// pictures for Match. Only the other ones are gathered, since the gradient of what is gathered has to
// be scattered back, and devices have to send it to each other.
func BesideImages(kvs, others []KV) []KV {
	out := make([]KV, len(kvs))
	for i, kv := range kvs {
		if kv.Key != nil {
			out[i] = KV{Triple(kv.Key, others[i].Key, kv.Key), Triple(kv.Value, others[i].Value, kv.Value)}
		}
	}
	return out
}

// TakeKV picks pictures by row for Match.
func TakeKV(kvs []KV, rows *Node) []KV {
	out := make([]KV, len(kvs))
	for i, kv := range kvs {
		if kv.Key != nil {
			out[i] = KV{Take(kv.Key, rows), Take(kv.Value, rows)}
		}
	}
	return out
}

// Triple puts rows of three batches beside each other, so that data-parallel devices keep their own:
// [batch, ...] each -> [3*batch, ...].
func Triple(a, b, c *Node) *Node {
	d := a.Shape().Dimensions
	return Reshape(Stack([]*Node{a, b, c}, 1), append([]int{3 * d[0]}, d[1:]...)...)
}

// paddingMask: int32 0/1 [batch, text] -> bool [batch, 1, text].
func paddingMask(mask *Node) *Node {
	return InsertAxes(GreaterThan(mask, ScalarZero(mask.Graph(), mask.DType())), 1)
}

func ones(like *Node, dims ...int) *Node {
	return BroadcastToShape(Const(like.Graph(), true), shapes.Make(dtypes.Bool, dims...))
}
