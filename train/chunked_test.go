package train

import (
	"math"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// parts divides a batch into n.
func parts(t *testing.T, batch []*tensors.Tensor, n int) [][]*tensors.Tensor {
	t.Helper()
	out := make([][]*tensors.Tensor, n)
	for _, x := range batch {
		size := x.Shape().Dim(0) / n
		for i := range out {
			rows := make([]int32, size)
			for k := range rows {
				rows[k] = int32(i*size + k)
			}
			part, err := gather([]*tensors.Tensor{x}, rows)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = append(out[i], part)
		}
	}
	return out
}

// TestChunksAreTheBatch wants ITC over all pairs of a step, negatives from all of them, and a mean over
// all words, although a program sees two or four pairs at a time: losses, gradient norm, moments.
func TestChunksAreTheBatch(t *testing.T) {
	const batch = 8
	for _, exact := range []bool{false, true} {
		stage1, data := tinyStage1Sizes()
		stage1.Config.QFormer.HiddenDropoutProb, stage1.Config.QFormer.AttentionProbsDropoutProb = 0, 0
		stage1.ExactKeys = exact
		stage1.Negatives = func(imageToText, textToImage *Node) (imageOfText, textOfImage *Node) {
			return ArgMin(textToImage, -1), ArgMin(imageToText, -1) // far from the pair's own chunk as often as not
		}
		obj := stage1.Objective(batch)
		make1 := func(accumulate int, in []*tensors.Tensor) *Trainer {
			return newTrainer(t, golden.Go(t), model.NewStore(), obj,
				Settings{AdamW: testAdam, Seed: 6, Accumulate: accumulate, Whole: true, InitializerRange: 0.3}, in)
		}
		for _, chunks := range []int{2, 4} {
			whole := make1(1, data(batch, 0))
			trainer := make1(chunks, parts(t, data(batch, 0), chunks)[0])
			for n := range 3 {
				all := data(batch, uint64(n))
				want, got := step(t, whole, n, all), step(t, trainer, n, parts(t, all, chunks)...)
				for i := range want.Terms {
					if math.Abs(got.Terms[i]-want.Terms[i]) > 1e-5 {
						t.Errorf("%d chunks, step %d: %s is %v, want %v", chunks, n, obj.Terms[i].Name, got.Terms[i], want.Terms[i])
					}
				}
				if math.Abs(got.GradNorm-want.GradNorm) > 1e-4*want.GradNorm {
					t.Errorf("%d chunks, step %d: gradient norm %v, want %v", chunks, n, got.GradNorm, want.GradNorm)
				}
				moments := snapshot(t, trainer, true)
				for name, want := range snapshot(t, whole, true) {
					golden.Near(t, name, moments[name], want, 1e-5, 1e-3)
				}
			}
			if got := trainer.Compilations(); got != 4 {
				t.Errorf("%d chunks: %d programs compiled, want 4: features, comparison, and the step without and with the update", chunks, got)
			}
		}
	}
}

// TestChunksRefuse wants a clear error for what cannot be computed in chunks.
func TestChunksRefuse(t *testing.T) {
	obj, batch := tinyLM(0)
	_, err := NewTrainer(golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam, Accumulate: 2, Whole: true}, shapesOf(batch(2, 0)))
	if err == nil || !strings.Contains(err.Error(), "micro-batches") {
		t.Errorf("an objective that compares nothing: got error %v", err)
	}
	stage1, data := tinyStage1(4)
	trainer := newTrainer(t, golden.Go(t), model.NewStore(), stage1, Settings{AdamW: testAdam, Accumulate: 2, Whole: true}, data(0))
	short := data(1)
	cut, err := gather(short[1:2], []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	short[1] = cut
	if _, err := trainer.Step(0, 0.1, [][]*tensors.Tensor{data(0), short}); err == nil || !strings.Contains(err.Error(), "input 1 of micro-batch 1") {
		t.Errorf("micro-batches of different shapes: got error %v", err)
	}
}

// TestChunksDrawTheSame wants the features that a micro-batch is compared by, and those through which
// their gradient flows, to have the same dropout: otherwise the gradient would belong to others.
func TestChunksDrawTheSame(t *testing.T) {
	stage1, data := tinyStage1(4)
	trainer := newTrainer(t, golden.Go(t), model.NewStore(), stage1, Settings{AdamW: testAdam, Seed: 2, Accumulate: 2, Whole: true}, data(0))
	rest := golden.New(t, golden.Go(t), trainer.store, func(scope *model.Scope, in []*Node) []*Node {
		nn.Train(in[0])
		batch := in[1:]
		features, _ := stage1.Chunked.Rest(scope, batch, batch, ScalarOne(in[0].Graph(), dtypes.Float32))
		return features
	})
	var first []*tensors.Tensor
	for draw := range 2 {
		in := append([]*tensors.Tensor{nn.StepRNG(2, draw)}, data(0)...)
		once, err := trainer.call(trainer.chunks.features, 1, in)
		if err != nil {
			t.Fatal(err)
		}
		for i, again := range rest.Run(in...) {
			golden.Near(t, "features", again, once[i], 1e-6, 0)
			if draw == 1 && again.Equal(first[i]) {
				t.Error("nothing was dropped: another draw gives the same features")
			}
		}
		first = once
	}
}
