package objective

import (
	"goblip/models/blip2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Chunked computes the losses of a batch whose samples are compared with each other from chunks of
// it, of which a device holds one at a time (gradient caching, https://arxiv.org/abs/2101.06983).
// Losses and gradients are those of the whole batch, for one more forward pass of what is compared:
//
//  1. Features of each chunk, without gradient.
//  2. Compare over the features of all chunks: losses, and the gradient of each feature.
//  3. Rest of each chunk: its features again, through which their gradients flow on into the
//     weights, and its part of the other losses.
type Chunked struct {
	// Features are what samples are compared by: Build's inputs of a chunk -> each [chunk, ...].
	Features    func(scope *model.Scope, in []*Node) []*Node
	NumFeatures int // that Features returns

	// Compare takes the features of the whole batch, and Build's inputs without the first, the pictures.
	Compare func(scope *model.Scope, features, in []*Node) Compared

	// Partners say for each of Build's inputs which of Compared.Rows chooses the rows of the batch
	// that Rest needs beside a chunk's own; -1: none.
	Partners []int
	NumRows  int // that Compared.Rows has

	// Rest takes Build's inputs of a chunk, and the rows of other chunks for each input that has them.
	// words is Compared.Words for one chunk. It returns Features, drawing the same randomness, and the
	// losses that Compare lacks; their mean over chunks is the batch's.
	Rest func(scope *model.Scope, in, partners []*Node, words *Node) (features, losses []*Node)
}

// Compared is what the samples of a whole batch say together.
type Compared struct {
	Losses []*Node // the first of the objective's terms
	Rows   []*Node // each int32 [batch]: a row of the batch for each row
	Words  *Node   // how many words the batch has to predict, a float32 scalar
}

// On is the objective over pictures that encode turns into its first input.
func (o Objective) On(encode func(scope *model.Scope, pictures *Node) *Node) Objective {
	first := func(scope *model.Scope, in []*Node) []*Node {
		return append([]*Node{encode(scope, in[0])}, in[1:]...)
	}
	build := o.Build
	o.Build = func(scope *model.Scope, in []*Node) []*Node { return build(scope, first(scope, in)) }
	if o.Chunked == nil {
		return o
	}
	inner := *o.Chunked
	chunked := inner
	chunked.Features = func(scope *model.Scope, in []*Node) []*Node { return inner.Features(scope, first(scope, in)) }
	chunked.Rest = func(scope *model.Scope, in, partners []*Node, words *Node) (features, losses []*Node) {
		if inner.Partners[0] >= 0 {
			partners = first(scope, partners)
		}
		return inner.Rest(scope, first(scope, in), partners, words)
	}
	o.Chunked = &chunked
	return o
}

// chunked compares pictures and texts by contrast; matching and generation go chunk by chunk, with
// negatives from the whole batch. A negative picture's keys and values are computed where it is used,
// so that their gradient needs no other chunk.
func (s Stage1) chunked() *Chunked {
	return &Chunked{
		Features: func(scope *model.Scope, in []*Node) []*Node {
			l := s.encode(scope, in[0], in[1], in[2])
			return []*Node{l.Images.Features, l.TextFeatures}
		},
		NumFeatures: 2,
		Compare: func(scope *model.Scope, features, in []*Node) Compared {
			mask, images := in[1], in[2]
			l := Stage1Losses{Images: blip2.Images{Features: features[0]}, TextFeatures: features[1]}
			same := sameImage(images)
			l.contrast(scope, s, same)
			imageOfText, textOfImage := s.negatives(l.ImageToText, l.TextToImage, same)
			return Compared{Losses: []*Node{l.ITC}, Rows: []*Node{imageOfText, textOfImage}, Words: words(mask)}
		},
		Partners: []int{0, 1, 1, -1},
		NumRows:  2,
		Rest: func(scope *model.Scope, in, partners []*Node, all *Node) (features, losses []*Node) {
			ids, mask := in[1], in[2]
			l := s.encode(scope, in[0], ids, mask)
			l.match(scope, s, ids, mask, blip2.OtherImages(scope, s.Config, partners[0]), partners[1], partners[2])
			losses = []*Node{l.ITM}
			if !s.WithoutITG { // a mean over the words of all chunks
				l.generate(scope, s, ids, mask)
				losses = append(losses, Mul(l.ITG, Div(words(mask), all)))
			}
			return []*Node{l.Images.Features, l.TextFeatures}, losses
		},
	}
}

// words counts those that nextWord predicts, at least 1: mask int32 [batch, text] -> a scalar.
func words(mask *Node) *Node {
	return MaxScalar(ReduceAllSum(ConvertDType(Slice(mask, AxisRange(), AxisRange(1)), dtypes.Float32)), 1)
}
