package objective

import (
	"math"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/nn"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// tinyBLIP is a model whose steps take milliseconds.
func tinyBLIP() *blip.Config {
	c := blip.Default()
	v, t := &c.Vision, &c.Text
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 8, 12, 1, 2, 8, 4
	t.VocabSize, t.HiddenSize, t.IntermediateSize, t.NumHiddenLayers, t.NumAttentionHeads, t.MaxPositionEmbeddings = 12, 8, 12, 1, 2, 8
	t.BOSTokenID, t.SEPTokenID, t.EncoderHiddenSize, c.ImageTextHiddenSize = 10, 3, 8, 4
	return &c
}

// pretraining is a compiled step of tinyBLIP, with what it leaves behind.
type pretraining struct {
	store *model.Store
	step  *golden.Func
	in    []*tensors.Tensor // the objective's
	seed  *tensors.Tensor
}

const queue = 6

// openPretraining has a batch of two.
func openPretraining(t *testing.T, train bool) *pretraining {
	return openObjective(t, train, 2, BLIPPretrain{Config: tinyBLIP(), Sharing: blip.ShareAllButSelf, Queue: queue, Momentum: 0.9, Smoothing: 0.1})
}

// openObjective compiles a step of any batch; row i shows picture i/2.
func openObjective(t *testing.T, train bool, batch int, b BLIPPretrain) *pretraining {
	t.Helper()
	pixels, ids, mask := make([]uint8, batch*8*8*3), make([]int32, batch*4), make([]int32, batch*4)
	alpha, images := make([]float32, batch), make([]int32, batch)
	for i := range pixels {
		pixels[i] = uint8(i * 37 / (1 + i/192))
	}
	for row := range batch {
		for i, id := range []int32{1, int32(4 + row%6), 3, 0} {
			ids[row*4+i], mask[row*4+i] = id, min(id, 1)
		}
		alpha[row], images[row] = 0.4, int32(row/2)
	}
	p := &pretraining{store: model.NewStore(), seed: nn.StepRNG(3, 0), in: []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(pixels, batch, 8, 8, 3), tensors.FromFlatDataAndDimensions(ids, batch, 4),
		tensors.FromFlatDataAndDimensions(mask, batch, 4), tensors.FromValue(alpha)}}
	if b.Retrieval {
		p.in = append(p.in, tensors.FromValue(images))
	}
	obj := b.Objective(batch, [3]float64{0.5, 0.5, 0.5}, [3]float64{0.5, 0.5, 0.5})
	build := func(scope *model.Scope, in []*Node) []*Node {
		if train {
			nn.Train(in[0])
		} else {
			nn.Evaluate(in[0])
		}
		return obj.Build(scope, in[1:])
	}
	inputs := []shapes.Shape{p.seed.Shape()}
	for _, x := range p.in {
		inputs = append(inputs, x.Shape())
	}
	if err := nn.Declare(golden.Go(t), p.store, func(root *model.Scope, in []*Node) { build(root.At("model"), in) }, inputs...); err != nil {
		t.Fatal(err)
	}
	if err := nn.Initialize(p.store, 5, 0.3); err != nil {
		t.Fatal(err)
	}
	p.step = golden.New(t, golden.Go(t), p.store, build)
	return p
}

func (p *pretraining) run() []*tensors.Tensor {
	return p.step.Run(append([]*tensors.Tensor{p.seed}, p.in...)...)
}

func (p *pretraining) value(t *testing.T, name string) *tensors.Tensor {
	t.Helper()
	value, err := golden.Variable(t, p.store, name).Value()
	if err == nil {
		value, err = value.LocalClone()
	}
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestBLIPPretrainCarriesOver runs steps and wants the queues filled in turn, the pointer to wrap, and
// the copies to follow the weights.
func TestBLIPPretrainCarriesOver(t *testing.T) {
	p := openPretraining(t, true)
	start := p.value(t, "text_queue")
	copied := "momentum.text_encoder.embeddings.word_embeddings.weight"
	golden.Near(t, "a copy starts as its weight", p.value(t, copied), p.value(t, "text_encoder.embeddings.word_embeddings.weight"), 0, 0)
	moved := golden.Variable(t, p.store, "text_encoder.embeddings.word_embeddings.weight")
	if err := moved.SetValue(tensors.FromShape(moved.Shape())); err != nil { // the weight jumps to 0
		t.Fatal(err)
	}
	before := tensors.MustCopyFlatData[float32](p.value(t, copied))
	for step := range 3 {
		p.run()
		want := int32((step + 1) * 2 % queue)
		golden.Near(t, "pointer", p.value(t, "queue_ptr"), tensors.FromValue([]int32{want}), 0, 0)
		after := tensors.MustCopyFlatData[float32](p.value(t, copied))
		for i := range before {
			before[i] *= 0.9
		}
		golden.Near(t, "copy", tensors.FromValue(after), tensors.FromValue(before), 1e-6, 0)
		if step == 0 {
			first := tensors.MustCopyFlatData[float32](start)
			now := tensors.MustCopyFlatData[float32](p.value(t, "text_queue"))
			for i := range now {
				if changed := now[i] != first[i]; changed != (i%queue < 2) {
					t.Errorf("column %d of the queue: changed %v", i%queue, changed)
				}
			}
		}
	}
	for c := range queue { // all columns were replaced, each of unit length
		norm := 0.0
		now, first := tensors.MustCopyFlatData[float32](p.value(t, "image_queue")), tensors.MustCopyFlatData[float32](start)
		for i := c; i < len(now); i += queue {
			norm += float64(now[i]) * float64(now[i])
			if now[i] == first[i] {
				t.Errorf("column %d still has its first value", c)
			}
		}
		if math.Abs(norm-1) > 1e-5 {
			t.Errorf("column %d has length^2 %g", c, norm)
		}
	}
}

// TestBLIPPretrainEvaluates wants a measurement to change nothing.
func TestBLIPPretrainEvaluates(t *testing.T) {
	p := openPretraining(t, false)
	names := []string{"image_queue", "text_queue", "queue_ptr", "momentum.vision_proj.weight", "vision_proj.weight"}
	var before []*tensors.Tensor
	for _, name := range names {
		before = append(before, p.value(t, name))
	}
	first, again := p.run(), p.run()
	for i, name := range names {
		golden.Near(t, name, p.value(t, name), before[i], 0, 0)
	}
	for i := range first {
		golden.Near(t, "loss", again[i], first[i], 0, 0)
	}
}

// TestTemperatureIsClamped starts a step with a temperature beyond its range.
func TestTemperatureIsClamped(t *testing.T) {
	for from, want := range map[float32]float32{0.9: 0.5, 0.0001: 0.001, 0.07: 0.07} {
		p := openPretraining(t, true)
		if err := golden.Variable(t, p.store, "temp").SetValue(tensors.FromScalar(from)); err != nil {
			t.Fatal(err)
		}
		p.run()
		golden.Near(t, "temp", p.value(t, "temp"), tensors.FromScalar(want), 1e-7, 0)
	}
}

// TestDrawNegatives counts columns drawn of one row of weights, one of which is 0.
func TestDrawNegatives(t *testing.T) {
	const draws = 2000
	weights := []float32{0, 0.1, 0.3, 0.6}
	f := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		nn.Train(in[0])
		return []*Node{drawNegatives(in[1])}
	})
	var counts [4]float64
	for step := range draws {
		drawn := f.Run(nn.StepRNG(4, step), tensors.FromValue([][]float32{weights}))
		counts[tensors.MustCopyFlatData[int32](drawn[0])[0]]++
	}
	for i, w := range weights {
		want := float64(w) * draws
		if math.Abs(counts[i]-want) > 5*math.Sqrt(want)+1e-9 {
			t.Errorf("column %d was drawn %g times, want %g", i, counts[i], want)
		}
	}
}
