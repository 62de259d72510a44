package t5

import (
	"math"

	"goblip/models/nn"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// bucket numbers a distance key-query: near ones have a bucket of their own, farther ones share
// buckets that grow with the logarithm, and all from maxDistance on are in the last. The encoder
// looks both ways, with half of the buckets for each; for the decoder what lies ahead is distance 0.
// Single precision as in transformers: a distance on the edge of two buckets must fall on its side.
func bucket(distance int, bidirectional bool, buckets, maxDistance int) int {
	offset := 0
	if bidirectional {
		buckets /= 2
		if distance > 0 {
			offset = buckets
		} else {
			distance = -distance
		}
	} else {
		distance = max(-distance, 0)
	}
	exact := buckets / 2
	if distance < exact {
		return offset + distance
	}
	ratio := float32(math.Log(float64(float32(distance) / float32(exact))))
	ratio /= float32(math.Log(float64(maxDistance) / float64(exact)))
	far := exact + int(ratio*float32(buckets-exact))
	return offset + min(far, buckets-1)
}

// stack is the encoder or the decoder.
type stack struct {
	name      string
	isDecoder bool
}

var (
	encoder = stack{"encoder", false}
	decoder = stack{"decoder", true}
)

// biasTable holds a number for each bucket and head, [buckets, heads]. Layer 0 owns it for all layers.
func (s stack) biasTable(scope *model.Scope, cfg *Config, like *Node) *Node {
	return nn.EmbeddingTable(s.attentionScope(scope, 0).At("relative_attention_bias"), like, cfg.RelativeAttentionNumBuckets, cfg.NumHeads)
}

func (s stack) bucket(cfg *Config, distance int) int32 {
	return int32(bucket(distance, !s.isDecoder, cfg.RelativeAttentionNumBuckets, cfg.RelativeAttentionMaxDistance))
}

// bias is what attention adds to the scores of seq tokens among themselves: [1, heads, seq, seq].
func (s stack) bias(scope *model.Scope, cfg *Config, like *Node, seq int) *Node {
	of := make([][]int32, seq)
	for query := range of {
		of[query] = make([]int32, seq)
		for key := range seq {
			of[query][key] = s.bucket(cfg, key-query)
		}
	}
	return s.perHead(scope, cfg, like, Const(like.Graph(), of))
}

// stepBias is the decoder's bias of one token at a column, unknown when the graph is made, over
// the columns of a cache and, behind them, itself: column int32 scalar -> [1, heads, 1, columns+1].
func stepBias(scope *model.Scope, cfg *Config, like, column *Node, columns int) *Node {
	byDistance := make([]int32, columns+1) // looking back
	for d := range byDistance {
		byDistance[d] = decoder.bucket(cfg, -d)
	}
	at := Iota(like.Graph(), shapes.Make(column.DType(), 1, columns), 1)
	back := MaxScalar(Sub(column, at), 0) // columns ahead are masked
	back = Concatenate([]*Node{back, ZerosLike(Slice(back, AxisRange(), AxisRange(0, 1)))}, 1)
	return decoder.perHead(scope, cfg, like, nn.Lookup(Const(like.Graph(), byDistance), back))
}

// perHead looks buckets up: int32 [queries, keys] -> [1, heads, queries, keys].
func (s stack) perHead(scope *model.Scope, cfg *Config, like, buckets *Node) *Node {
	values := nn.Lookup(s.biasTable(scope, cfg, like), buckets) // [queries, keys, heads]
	if values.DType() != like.DType() {
		values = ConvertDType(values, like.DType())
	}
	return InsertAxes(TransposeAllAxes(values, 2, 0, 1), 0)
}
