package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/opt"
	"goblip/train/objective"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

var testAdam = AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05}

// tinyLM is the text objective of a small OPT, and a maker of batches without padding.
func tinyLM(dropout float64) (objective.Objective, func(rows int, seed uint64) []*tensors.Tensor) {
	cfg := opt.Default()
	cfg.VocabSize, cfg.HiddenSize, cfg.WordEmbedProjDim, cfg.FFNDim = 50, 16, 16, 32
	cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.MaxPositionEmbeddings, cfg.Dropout = 1, 2, 16, dropout
	return objective.LM(&cfg), func(rows int, seed uint64) []*tensors.Tensor {
		const length = 8
		rng := rand.New(rand.NewPCG(seed, 1))
		ids, mask := make([]int32, rows*length), make([]int32, rows*length)
		for i := range ids {
			ids[i], mask[i] = rng.Int32N(50), 1
		}
		seen := tensors.FromFlatDataAndDimensions(mask, rows, length)
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(ids, rows, length), seen, seen}
	}
}

// tinyStage1 is stage 1 with dropout and sampled negatives, and a maker of batches.
func tinyStage1(batch int) (objective.Objective, func(seed uint64) []*tensors.Tensor) {
	stage1, data := tinyStage1Sizes()
	return stage1.Objective(batch), func(seed uint64) []*tensors.Tensor { return data(batch, seed) }
}

func tinyStage1Sizes() (objective.Stage1, func(batch int, seed uint64) []*tensors.Tensor) {
	cfg := blip2.Default()
	cfg.NumQueryTokens, cfg.ImageTextHiddenSize, cfg.Vision.HiddenSize = 3, 8, 12
	q := &cfg.QFormer
	q.VocabSize, q.HiddenSize, q.NumHiddenLayers, q.NumAttentionHeads, q.IntermediateSize = 40, 16, 1, 2, 24
	q.MaxPositionEmbeddings, q.EncoderHiddenSize = 8, 12
	stage1 := objective.Stage1{Config: &cfg, DecoderID: 39, Smoothing: 0.1}
	return stage1, func(batch int, seed uint64) []*tensors.Tensor {
		const patches, length = 4, 6
		rng := rand.New(rand.NewPCG(seed, 2))
		states := make([]float32, batch*patches*12)
		for i := range states {
			states[i] = float32(rng.NormFloat64())
		}
		ids, mask, images := make([]int32, batch*length), make([]int32, batch*length), make([]int32, batch)
		for row := range batch {
			images[row] = int32(row / 2 * 2) // pairs of rows show one picture
			for i := range 3 + rng.IntN(length-2) {
				ids[row*length+i], mask[row*length+i] = 1+rng.Int32N(38), 1
			}
		}
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(states, batch, patches, 12), tensors.FromFlatDataAndDimensions(ids, batch, length),
			tensors.FromFlatDataAndDimensions(mask, batch, length), tensors.FromValue(images)}
	}
}

// tinyPretraining is BLIP's pre-training with dropout, sampled negatives and a queue that the batch does
// not divide, and a maker of batches.
func tinyPretraining(batch int) (objective.BLIPPretrain, func(seed uint64) []*tensors.Tensor) {
	cfg := blip.Default()
	v, c := &cfg.Vision, &cfg.Text
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 8, 12, 1, 2, 8, 4
	c.VocabSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads, c.MaxPositionEmbeddings = 22, 8, 12, 1, 2, 8
	c.BOSTokenID, c.SEPTokenID, c.EncoderHiddenSize, cfg.ImageTextHiddenSize, c.HiddenDropoutProb = 20, 3, 8, 4, 0.1
	obj := objective.BLIPPretrain{Config: &cfg, Sharing: blip.ShareAllButSelf, Queue: 7, Momentum: 0.9, Smoothing: 0.1}
	return obj, func(seed uint64) []*tensors.Tensor {
		rng := rand.New(rand.NewPCG(seed, 3))
		pixels, ids, mask, alpha := make([]uint8, batch*8*8*3), make([]int32, batch*5), make([]int32, batch*5), make([]float32, batch)
		for i := range pixels {
			pixels[i] = uint8(rng.Uint32())
		}
		for row := range batch {
			alpha[row] = 0.3
			for i := range 2 + rng.IntN(4) {
				ids[row*5+i], mask[row*5+i] = 4+rng.Int32N(16), 1
			}
		}
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(pixels, batch, 8, 8, 3), tensors.FromFlatDataAndDimensions(ids, batch, 5),
			tensors.FromFlatDataAndDimensions(mask, batch, 5), tensors.FromValue(alpha)}
	}
}

// notCarried names what gradients train.
func notCarried(b objective.BLIPPretrain) func(name string) bool {
	return func(name string) bool { return !b.Carried(name) }
}

// snapshot copies trained weights, or moments, so that later steps cannot change them.
func snapshot(t *testing.T, trainer *Trainer, optimizer bool) map[string]*tensors.Tensor {
	t.Helper()
	values, err := trainer.Trained(optimizer)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		if values[name], err = value.LocalClone(); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// differing lists the tensors whose bytes are not the same.
func differing(a, b map[string]*tensors.Tensor) (names []string) {
	for name, value := range a {
		if b[name] == nil || !value.Equal(b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func step(t *testing.T, trainer *Trainer, n int, batches ...[]*tensors.Tensor) StepResult {
	t.Helper()
	result, err := trainer.Step(n, 0.01, batches)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestAccumulation wants two halves of a batch to be the batch: loss, gradient norm, moments.
func TestAccumulation(t *testing.T) {
	obj, batch := tinyLM(0)
	whole := newTrainer(t, golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 1}, batch(4, 0))
	halves := newTrainer(t, golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: 1, Accumulate: 2}, batch(2, 0))
	for n := range 3 {
		all := batch(4, uint64(n))
		var parts [2][]*tensors.Tensor
		for _, x := range all {
			flat := tensors.MustCopyFlatData[int32](x)
			for i := range parts {
				parts[i] = append(parts[i], tensors.FromFlatDataAndDimensions(flat[i*len(flat)/2:(i+1)*len(flat)/2], 2, 8))
			}
		}
		want, got := step(t, whole, n, all), step(t, halves, n, parts[0], parts[1])
		if math.Abs(got.Terms[0]-want.Terms[0]) > 1e-5 || math.Abs(got.GradNorm-want.GradNorm) > 1e-5 {
			t.Errorf("step %d: got %v, want %v", n, got, want)
		}
		moments := snapshot(t, halves, true)
		for name, want := range snapshot(t, whole, true) {
			golden.Near(t, name, moments[name], want, 1e-6, 1e-4)
		}
	}
	if _, err := halves.Step(3, 0.01, [][]*tensors.Tensor{batch(2, 0)}); err == nil {
		t.Error("a step with half of its micro-batches gave no error")
	}
}

// TestFrozen wants no gradient, no optimizer state and no change of what is not trainable.
func TestFrozen(t *testing.T) {
	obj, batch := tinyLM(0.1)
	frozen := func(name string) bool {
		return strings.Contains(name, "embed_") || strings.HasSuffix(name, "fc1.weight")
	}
	store := model.NewStore()
	trainer := newTrainer(t, golden.Go(t), store, obj, Settings{AdamW: testAdam, Trainable: func(name string) bool { return !frozen(name) }}, batch(2, 0))
	values := func() map[string]*tensors.Tensor {
		all := map[string]*tensors.Tensor{}
		for v := range store.IterVariables() {
			if strings.HasPrefix(v.Path(), modelRoot+"/") {
				value, err := v.MustValue().LocalClone()
				if err != nil {
					t.Fatal(err)
				}
				all[tensorName(v)] = value
			}
		}
		return all
	}
	before := values()
	for n := range 3 {
		step(t, trainer, n, batch(2, uint64(n)))
	}
	after, trained, numbers := values(), 0, 0
	for name := range before {
		changed, moment := !before[name].Equal(after[name]), false
		for _, root := range []string{firstMoments, secondMoments} {
			moment = moment || store.GetVariable(root+"/"+strings.ReplaceAll(name, ".", "/")) != nil
		}
		if frozen(name) {
			if changed || moment {
				t.Errorf("%s is frozen; changed: %v, optimizer state: %v", name, changed, moment)
			}
			continue
		}
		trained++
		numbers += before[name].Size()
		if !changed || !moment {
			t.Errorf("%s is trained; changed: %v, optimizer state: %v", name, changed, moment)
		}
	}
	if trained < 10 || len(before)-trained != 3 {
		t.Errorf("%d trained of %d tensors", trained, len(before))
	}
	if trainer.NumTrained() != numbers {
		t.Errorf("NumTrained is %d, want %d", trainer.NumTrained(), numbers)
	}
	ids := batch(2, 0)[0].Shape()
	_, err := NewTrainer(golden.Go(t), model.NewStore(), obj, Settings{Trainable: func(string) bool { return false }}, []shapes.Shape{ids, ids, ids})
	if err == nil || !strings.Contains(err.Error(), "nothing to train") {
		t.Errorf("nothing to train: got error %v", err)
	}
}

// TestNaNHarmsNothing puts NaN into one picture of stage 1, and into one term of two.
func TestNaNHarmsNothing(t *testing.T) {
	stage1, batch := tinyStage1(4)
	nan := float32(math.NaN())
	two := objective.Objective{Terms: []objective.Term{{Name: "fine"}, {Name: "broken"}}, Build: func(scope *model.Scope, in []*Node) []*Node {
		w := scope.VariableWithShape("w", in[0].Shape()).NodeValue(in[0].Graph())
		return []*Node{ReduceAllSum(Mul(w, in[0])), ReduceAllSum(Mul(w, in[1]))}
	}}
	pair := func(a, b float32) []*tensors.Tensor {
		return []*tensors.Tensor{tensors.FromValue([]float32{a, 1}), tensors.FromValue([]float32{b, 1})}
	}
	root := objective.Objective{Terms: []objective.Term{{Name: "root"}}, Build: func(scope *model.Scope, in []*Node) []*Node {
		w := scope.VariableWithShape("w", in[0].Shape()).NodeValue(in[0].Graph())
		return []*Node{ReduceAllSum(Sqrt(Mul(w, in[0])))} // sqrt(0) has an infinite slope
	}}
	w := func() *model.Store {
		return golden.Store(t, map[string]*tensors.Tensor{"w": tensors.FromValue([]float32{1, 2})})
	}
	broken := batch(1)
	states := tensors.MustCopyFlatData[float32](broken[0])
	states[7] = nan
	broken[0] = tensors.FromFlatDataAndDimensions(states, broken[0].Shape().Dimensions...)
	for _, test := range []struct {
		name      string
		obj       objective.Objective
		store     *model.Store
		good, bad []*tensors.Tensor
		want      string
	}{
		{"stage 1", stage1, model.NewStore(), batch(0), broken, `step 1: loss term "itc" is NaN`},
		{"second term", two, w(), pair(1, 1), pair(1, nan), `step 1: loss term "broken" is NaN`},
		{"infinite", two, w(), pair(1, 1), pair(1, float32(math.Inf(1))), `step 1: loss term "broken" is +Inf`},
		{"gradient alone", root, w(), pair(1, 1)[:1], pair(0, 1)[:1], "step 1: the gradient norm is"},
	} {
		trainer := newTrainer(t, golden.Go(t), test.store, test.obj, Settings{AdamW: testAdam, Seed: 5}, test.good)
		step(t, trainer, 0, test.good)
		weights, moments := snapshot(t, trainer, false), snapshot(t, trainer, true)
		if _, err := trainer.Step(1, 0.01, [][]*tensors.Tensor{test.bad}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
		}
		if changed := append(differing(weights, snapshot(t, trainer, false)), differing(moments, snapshot(t, trainer, true))...); changed != nil {
			t.Errorf("%s: the bad step changed %q", test.name, changed)
		}
		step(t, trainer, 1, test.good)
		if differing(weights, snapshot(t, trainer, false)) == nil {
			t.Errorf("%s: a good step after it changed nothing", test.name)
		}
	}
}

// TestRestoreContinues wants a run that was saved and restored after two steps to end with the bytes
// of one that was not, dropout and negatives included.
func TestRestoreContinues(t *testing.T) {
	obj, batch := tinyStage1(4)
	make1 := func(seed uint64) *Trainer {
		return newTrainer(t, golden.Go(t), model.NewStore(), obj, Settings{AdamW: testAdam, Seed: seed}, batch(0))
	}
	first := make1(3)
	var weights, moments map[string]*tensors.Tensor
	for n := range 4 {
		if n == 2 {
			weights, moments = snapshot(t, first, false), snapshot(t, first, true)
		}
		step(t, first, n, batch(uint64(n)))
	}
	second := make1(3)
	for optimizer, values := range map[bool]map[string]*tensors.Tensor{false: weights, true: moments} {
		if err := second.Restore(values, optimizer); err != nil {
			t.Fatal(err)
		}
	}
	for n := 2; n < 4; n++ {
		step(t, second, n, batch(uint64(n)))
	}
	if names := differing(snapshot(t, first, false), snapshot(t, second, false)); names != nil {
		t.Errorf("other bytes in %q", names)
	}
	lost := snapshot(t, first, false)
	delete(lost, "itm_head.bias")
	if err := second.Restore(lost, false); err == nil || !strings.Contains(err.Error(), "itm_head.bias") {
		t.Errorf("got error %v, want one that names the tensor that is missing", err)
	}
	lost["itm_head.bias"] = tensors.FromValue([]float32{1, 2, 3})
	if err := second.Restore(lost, false); err == nil || !strings.Contains(err.Error(), "itm_head.bias") {
		t.Errorf("got error %v, want one that names the tensor of another shape", err)
	}
}

// TestCarriedState wants what an objective carries over to be restored with the weights: a trainer
// that goes on from there does what the first one does. A step that is not finite leaves it alone.
func TestCarriedState(t *testing.T) {
	obj, batch := tinyPretraining(3)
	make1 := func() *Trainer {
		return newTrainer(t, golden.Go(t), model.NewStore(), whole(obj, 3),
			Settings{AdamW: testAdam, Seed: 4, Trainable: notCarried(obj), InitializerRange: 0.2}, batch(0))
	}
	first, second := make1(), make1()
	for n := range 3 {
		step(t, first, n, batch(uint64(n)))
	}
	before := snapshot(t, first, false)
	for _, name := range []string{"image_queue", "text_queue", "queue_ptr", "momentum.vision_proj.weight", "momentum.vision_model.post_layernorm.bias"} {
		if before[name] == nil {
			t.Errorf("%s is not among what steps change", name)
		}
	}
	if ptr := tensors.MustCopyFlatData[int32](before["queue_ptr"])[0]; ptr != 9%7 {
		t.Errorf("pointer %d, want %d", ptr, 9%7)
	}
	for _, optimizer := range []bool{false, true} {
		if err := second.Restore(snapshot(t, first, optimizer), optimizer); err != nil {
			t.Fatal(err)
		}
	}
	for n := 3; n < 6; n++ {
		a, b := step(t, first, n, batch(uint64(n))), step(t, second, n, batch(uint64(n)))
		if a.GradNorm != b.GradNorm || !slices.Equal(a.Terms, b.Terms) {
			t.Errorf("step %d: got %v, want %v", n, b, a)
		}
	}
	if names := differing(snapshot(t, first, false), snapshot(t, second, false)); len(names) > 0 {
		t.Errorf("differ: %q", names)
	}
	lost := snapshot(t, first, false)
	delete(lost, "text_queue")
	if err := second.Restore(lost, false); err == nil || !strings.Contains(err.Error(), "text_queue") {
		t.Errorf("without the queue: %v", err)
	}

	kept := snapshot(t, first, false)
	poisoned := batch(9)
	poisoned[3] = tensors.FromValue([]float32{float32(math.NaN()), 0, 0})
	if _, err := first.Step(6, 0.01, [][]*tensors.Tensor{poisoned}); err == nil {
		t.Error("a step with NaN gave no error")
	}
	for name, value := range snapshot(t, first, false) {
		if name != "temp" && !value.Equal(kept[name]) {
			t.Errorf("a step with NaN changed %s", name)
		}
	}
}
