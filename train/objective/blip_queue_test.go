package objective

import (
	"fmt"
	"math"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestQueueTakesAnyBatch fills queues with batches that do not divide them, and with one that is
// larger: each column has the last row that came by, and its picture's number.
func TestQueueTakesAnyBatch(t *testing.T) {
	for _, test := range []struct{ queue, batch int }{{6, 2}, {7, 3}, {5, 4}, {3, 8}, {1, 4}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			b := BLIPPretrain{Config: tinyBLIP(), Queue: test.queue, Momentum: 1, Retrieval: true} // copies that stay: a row's feature is always the same
			p := openObjective(t, true, test.batch, b)
			rows := features(t, p, b)
			columns := make([]int, test.queue) // row that each holds, -1: the first value
			for i := range columns {
				columns[i] = -1
			}
			first := tensors.MustCopyFlatData[float32](p.value(t, "text_queue"))
			at := 0
			for range 4 {
				p.run()
				for row := range test.batch {
					columns[at], at = row, (at+1)%test.queue
				}
				golden.Near(t, "queue_ptr", p.value(t, "queue_ptr"), tensors.FromValue([]int32{int32(at)}), 0, 0)
				now, numbers := tensors.MustCopyFlatData[float32](p.value(t, "text_queue")), make([]int32, test.queue)
				for c, row := range columns {
					for d := range 4 {
						want := first[d*test.queue+c]
						if row >= 0 {
							want = rows[row*4+d]
							numbers[c] = int32(row/2) + 1
						}
						if got := now[d*test.queue+c]; math.Abs(float64(got-want)) > 1e-5 {
							t.Fatalf("column %d, which holds row %d: got %g, want %g", c, row, got, want)
						}
					}
				}
				golden.Near(t, "idx_queue", p.value(t, "idx_queue"), tensors.FromValue(numbers), 0, 0)
			}
		})
	}
}

// features are the momentum features of the texts of a batch: flat [batch, projection].
func features(t *testing.T, p *pretraining, b BLIPPretrain) []float32 {
	t.Helper()
	f := golden.New(t, golden.Go(t), p.store, func(scope *model.Scope, in []*Node) []*Node {
		slow := blip.Momentum(scope)
		return []*Node{blip.TextFeatures(slow, b.Config, blip.TextStates(slow, b.Config, in[0], in[1]))}
	})
	return tensors.MustCopyFlatData[float32](f.Run(p.in[1], p.in[2])[0])
}

// TestRetrievalPositives wants all columns of a picture as targets, in the batch and the queue, and
// none of them as a negative.
func TestRetrievalPositives(t *testing.T) {
	const batch, queue = 4, 5 // rows 0 and 1 are picture 0, rows 2 and 3 picture 1
	p := openObjective(t, true, batch, BLIPPretrain{Config: tinyBLIP(), Queue: queue, Momentum: 0.9, Retrieval: true})
	if err := golden.Variable(t, p.store, "idx_queue").SetValue(tensors.FromValue([]int32{0, 1, 3, 2, 2})); err != nil { // none, picture 0, 2, 1, 1
		t.Fatal(err)
	}
	b := BLIPPretrain{Config: tinyBLIP(), Queue: queue, Momentum: 0.9, Retrieval: true}
	f := golden.New(t, golden.Go(t), p.store, func(scope *model.Scope, in []*Node) []*Node {
		nn.Evaluate(in[0])
		zero := ZerosLike(in[4]) // without the soft part
		l := b.Losses(scope, nn.PixelValues(in[1], [3]float64{}, [3]float64{1, 1, 1}), in[2], in[3], zero, in[5])
		return []*Node{l.ImageTargets, l.TextTargets, l.WeightsImageToText, l.WeightsTextToImage, l.ITA, l.ITM}
	})
	out := f.Run(append([]*tensors.Tensor{p.seed}, p.in...)...)
	third, quarter := float32(1)/3, float32(0.25)
	want := tensors.FromValue([][]float32{
		{third, third, 0, 0, 0, third, 0, 0, 0}, {third, third, 0, 0, 0, third, 0, 0, 0},
		{0, 0, quarter, quarter, 0, 0, 0, quarter, quarter}, {0, 0, quarter, quarter, 0, 0, 0, quarter, quarter},
	})
	golden.Near(t, "image targets", out[0], want, 1e-6, 0)
	golden.Near(t, "text targets", out[1], want, 1e-6, 0)
	for _, weights := range out[2:4] {
		for i, w := range tensors.MustCopyFlatData[float32](weights) {
			if same := i/batch/2 == i%batch/2; (w == 0) != same {
				t.Errorf("weight of row %d for %d is %g", i/batch, i%batch, w)
			}
		}
	}
}

// TestLocalGroups wants a group to compute what it would alone.
func TestLocalGroups(t *testing.T) {
	b := BLIPPretrain{Config: tinyBLIP(), Sharing: blip.ShareAllButSelf, Queue: 3, Momentum: 0.9, Smoothing: 0.1}
	b.Negatives = func(weights, _ *Node) (*Node, *Node) {
		own := Iota(weights.Graph(), shapes.Make(dtypes.Int32, weights.Shape().Dim(0)), 0)
		return own, own
	}
	values := func(groups int, p *pretraining, in []*tensors.Tensor) []*tensors.Tensor {
		b := b
		b.Groups = groups
		return golden.New(t, golden.Go(t), p.store, func(scope *model.Scope, in []*Node) []*Node {
			nn.Evaluate(in[0])
			l := b.Losses(scope, nn.PixelValues(in[1], [3]float64{}, [3]float64{1, 1, 1}), in[2], in[3], in[4], nil)
			return []*Node{l.ITA, l.ImageToText, l.TextTargets, l.WeightsImageToText, l.WeightsTextToImage, l.ITM, l.LM}
		}).Run(append([]*tensors.Tensor{p.seed}, in...)...)
	}
	p := openObjective(t, true, 6, b)
	whole := values(3, p, p.in)
	if d := whole[1].Shape().Dimensions; d[1] != 2+3 {
		t.Errorf("%d columns, want 2 of the group and 3 of the queue", d[1])
	}
	var ita float32
	for group := range 3 {
		var in []*tensors.Tensor
		for _, x := range p.in {
			in = append(in, rowsOf(x, 2*group, 2))
		}
		alone := values(1, p, in)
		ita += tensors.ToScalar[float32](alone[0]) / 3
		for i, name := range []string{"ITA", "similarities", "targets", "weights", "weights"} {
			if i > 0 {
				golden.Near(t, name, rowsOf(whole[i], 2*group, 2), alone[i], 1e-5, 0)
			}
		}
	}
	golden.Near(t, "ITA", whole[0], tensors.FromScalar(ita), 1e-5, 0)
}

// TestGroupsDraw wants negatives of the row's own group, and never the row.
func TestGroupsDraw(t *testing.T) {
	b := BLIPPretrain{Groups: 2}
	weights := tensors.FromValue([][]float32{{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}})
	f := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		nn.Train(in[0])
		return []*Node{b.draw(in[1])}
	})
	seen := map[[2]int]bool{}
	for step := range 60 {
		for row, drawn := range tensors.MustCopyFlatData[int32](f.Run(nn.StepRNG(1, step), weights)[0]) {
			if int(drawn) == row || int(drawn)/3 != row/3 {
				t.Fatalf("row %d drew %d", row, drawn)
			}
			seen[[2]int{row, int(drawn)}] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d different draws, want 12", len(seen))
	}
}

// TestSharing counts the decoder's own tensors: what each way to share leaves it.
func TestSharing(t *testing.T) {
	for sharing, want := range map[blip.Sharing]int{blip.ShareAll: 5, blip.ShareAllButSelf: 5 + 10, blip.ShareAllButCross: 5 + 10, blip.ShareNone: 5 + 4 + 10 + 10 + 6} {
		p := openObjective(t, true, 2, BLIPPretrain{Config: tinyBLIP(), Sharing: sharing, Queue: 4, Momentum: 0.9, Smoothing: 0.1})
		own := 0
		for v := range p.store.IterVariables() {
			if len(v.Path()) > len("/model/text_decoder") && v.Path()[:len("/model/text_decoder")] == "/model/text_decoder" {
				own++
			}
		}
		if own != want {
			t.Errorf("%s: the decoder has %d tensors of its own, want %d", sharing, own, want)
		}
		p.run()
	}
}

// rowsOf takes rows of the first axis.
func rowsOf(x *tensors.Tensor, from, n int) *tensors.Tensor {
	d := append([]int{}, x.Shape().Dimensions...)
	size := x.Shape().Size() / d[0]
	d[0] = n
	switch x.DType() {
	case dtypes.Uint8:
		return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[uint8](x)[from*size:(from+n)*size], d...)
	case dtypes.Int32:
		return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[int32](x)[from*size:(from+n)*size], d...)
	}
	return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](x)[from*size:(from+n)*size], d...)
}
