package train

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/vit"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// optimisation is the case of that name: LAVIS' stage 1, twenty steps over five batches.
type optimisation struct {
	*golden.Case
	weights  map[string]*tensors.Tensor
	cfg      blip2.Config
	batches  [][]*tensors.Tensor // states, ids, mask, picture numbers
	schedule Schedule
	adam     AdamW
	decay    []string // our names
	noDecay  []string
}

func openOptimisation(t *testing.T) *optimisation {
	t.Helper()
	o := &optimisation{Case: golden.Open(t, "optimisation")}
	stage1 := golden.Open(t, "blip2-qformer-stage1")
	var err error
	if o.weights, err = blip2.ConvertLAVIS(stage1.Weights("model")); err != nil {
		t.Fatal(err)
	}
	stage1.JSON("model_hf/config.json", &o.cfg)
	encode := golden.New(t, golden.Go(t), golden.Store(t, o.weights), func(scope *model.Scope, in []*Node) []*Node {
		return vit.Encode(scope.At("vision_model"), &o.cfg.Vision, in[0])
	})
	for i := range 5 {
		states := encode.Run(o.Input(fmt.Sprintf("batch%d.pixel_values", i)))
		o.batches = append(o.batches, []*tensors.Tensor{states[len(states)-1], o.Input(fmt.Sprintf("batch%d.input_ids", i)),
			o.Input(fmt.Sprintf("batch%d.attention_mask", i)), tensors.FromValue([]int32{0, 1, 2, 3})})
	}
	o.cfg.Vision.LayerNormEps = 1e-5 // of ln_vision in LAVIS
	o.cfg.QFormer.HiddenDropoutProb, o.cfg.QFormer.AttentionProbsDropoutProb = 0, 0
	var about struct {
		Schedule struct {
			Epochs      int
			Steps       int       `json:"iters_per_epoch"`
			Warmup      int       `json:"warmup_steps"`
			Peak        float64   `json:"init_lr"`
			Min         float64   `json:"min_lr"`
			Start       float64   `json:"warmup_start_lr"`
			WeightDecay float64   `json:"weight_decay"`
			Betas       []float64 `json:"betas"`
			Eps         float64   `json:"eps"`
		}
		Decay   []string `json:"decay"`
		NoDecay []string `json:"no_decay"`
	}
	o.JSON("case.json", &about)
	s := about.Schedule
	o.schedule = EpochCosine(s.Start, s.Peak, s.Min, s.Warmup, s.Steps, s.Epochs)
	o.adam = AdamW{Beta1: s.Betas[0], Beta2: s.Betas[1], Eps: s.Eps, WeightDecay: s.WeightDecay}
	rename := func(names []string) (ours []string) {
		for _, name := range names {
			hf, _ := blip2.FromLAVIS(name)
			ours = append(ours, hf)
		}
		slices.Sort(ours)
		return ours
	}
	o.decay, o.noDecay = rename(about.Decay), rename(about.NoDecay)
	return o
}

// objective is stage 1 with each step's negatives as inputs 4 and 5.
func (o *optimisation) objective() objective.Objective {
	stage1 := objective.Stage1{Config: &o.cfg, DecoderID: 287, Smoothing: 0.1}
	obj := stage1.Objective(4)
	obj.Build = func(scope *model.Scope, in []*Node) []*Node {
		given := stage1
		given.Negatives = func(_, _ *Node) (*Node, *Node) { return in[4], in[5] }
		return given.Objective(4).Build(scope, in)
	}
	return obj
}

// TestOptimisationParity compares twenty steps with torch's AdamW under LAVIS' schedule: losses,
// gradient norms, and all weights at the end.
func TestOptimisationParity(t *testing.T) {
	for _, test := range []struct {
		name    string
		clip    float64
		backend compute.Backend
	}{{"plain", 0, golden.Backend(t)}, {"clip1", 1, golden.Go(t)}} {
		t.Run(test.name, func(t *testing.T) {
			o := openOptimisation(t)
			o.adam.ClipNorm = test.clip
			store := golden.Store(t, o.weights)
			negatives := [][]int32{tensors.MustCopyFlatData[int32](o.Input("neg_image_index")), tensors.MustCopyFlatData[int32](o.Input("neg_text_index"))}
			var got [6][]float32 // loss, itc, itm, lm, gradient norm, lr
			var trainer *Trainer
			for step := range 20 {
				batch := slices.Clone(o.batches[step%5])
				for _, n := range negatives {
					batch = append(batch, tensors.FromValue(n[step*4:step*4+4]))
				}
				if trainer == nil {
					trainer = newTrainer(t, test.backend, store, o.objective(), Settings{AdamW: o.adam}, batch)
				}
				result, err := trainer.Step(step, o.schedule(step), [][]*tensors.Tensor{batch})
				if err != nil {
					t.Fatal(err)
				}
				itc, itm, lm := result.Terms[0], result.Terms[1], result.Terms[2]
				for i, v := range []float64{itc + itm + lm, itc, itm, lm, result.GradNorm, o.schedule(step)} {
					got[i] = append(got[i], float32(v))
				}
			}
			for i, name := range []string{"loss", "loss_itc", "loss_itm", "loss_lm", "grad_norm"} {
				o.Check(test.name+"."+name, tensors.FromValue(got[i]))
			}
			golden.Near(t, "lr", tensors.FromValue(got[5]), o.Want(test.name+".lr"), 1e-9, 0)
			o.checkWeights(t, test.name, trainer)
			decayed, plain := trainer.Groups()
			slices.Sort(decayed)
			slices.Sort(plain)
			if !slices.Equal(decayed, o.decay) || !slices.Equal(plain, o.noDecay) {
				t.Errorf("decayed %q, not decayed %q", decayed, plain)
			}
		})
	}
}

// checkWeights compares mean, deviation and sum of magnitudes of every trained tensor, and all
// values of three.
func (o *optimisation) checkWeights(t *testing.T, name string, trainer *Trainer) {
	t.Helper()
	trained, err := trainer.Trained(false)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, expected := range o.Expected() {
		if lavis, ok := strings.CutPrefix(expected, name+".final_full."); ok {
			hf, _ := blip2.FromLAVIS(lavis)
			o.Check(expected, trained[hf])
			continue
		}
		lavis, ok := strings.CutPrefix(expected, name+".final.")
		if !ok {
			continue
		}
		checked++
		hf, _ := blip2.FromLAVIS(lavis)
		got, want := moments(tensors.MustCopyFlatData[float32](trained[hf])), tensors.MustCopyFlatData[float32](o.Want(expected))
		golden.Near(t, expected, tensors.FromValue(got[:2]), tensors.FromValue(want[:2]), 1e-4, 0)
		golden.Near(t, expected, tensors.FromValue(got[2:]), tensors.FromValue(want[2:]), 1e-4, 1e-4)
	}
	if keys := 6; checked != len(trained)-keys { // key.bias has no true gradient: Adam makes steps of noise
		t.Errorf("%d tensors compared of %d", checked, len(trained))
	}
}

// moments are mean, population standard deviation and sum of magnitudes.
func moments(x []float32) []float32 {
	n, sum, magnitudes, squares := float64(len(x)), 0.0, 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
		magnitudes += math.Abs(float64(v))
	}
	for _, v := range x {
		squares += (float64(v) - sum/n) * (float64(v) - sum/n)
	}
	return []float32{float32(sum / n), float32(math.Sqrt(squares / n)), float32(magnitudes)}
}

// TestAdamWParity gives torch's gradients to the optimizer: a vector, a matrix, rank 3 and a scalar.
func TestAdamWParity(t *testing.T) {
	c := golden.Open(t, "optimisation")
	names := []string{"p0", "p1", "p2", "p3"}
	weights := map[string]*tensors.Tensor{}
	batch := func(step int) (in []*tensors.Tensor) {
		for _, name := range names {
			in = append(in, c.Input(fmt.Sprintf("unit.%s.grad.%d", name, step)))
		}
		return in
	}
	for _, name := range names {
		weights[name] = c.Input("unit." + name + ".start")
	}
	store := golden.Store(t, weights)
	obj := objective.Objective{Terms: []objective.Term{{Name: "dot"}}, Build: func(scope *model.Scope, in []*Node) []*Node {
		sum := ScalarZero(in[0].Graph(), in[0].DType())
		for i, name := range names {
			w := scope.VariableWithShape(name, in[i].Shape()).NodeValue(in[i].Graph())
			sum = Add(sum, ReduceAllSum(Mul(w, in[i])))
		}
		return []*Node{sum}
	}}
	adam := AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.05}
	trainer := newTrainer(t, golden.Go(t), store, obj, Settings{AdamW: adam}, batch(0))
	for step := range 10 {
		if _, err := trainer.Step(step, 0.01, [][]*tensors.Tensor{batch(step)}); err != nil {
			t.Fatal(err)
		}
		trained, err := trainer.Trained(false)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			expected := fmt.Sprintf("unit.%s.after.%d", name, step)
			golden.Near(t, expected, trained[name], c.Want(expected), 1e-6, 0)
		}
	}
}

// newTrainer makes a trainer for batches of that form.
func newTrainer(t *testing.T, backend compute.Backend, store *model.Store, obj objective.Objective, set Settings, batch []*tensors.Tensor) *Trainer {
	t.Helper()
	var inputs []shapes.Shape
	for _, in := range batch {
		inputs = append(inputs, in.Shape())
	}
	trainer, err := NewTrainer(backend, store, obj, set, inputs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trainer.Finalize)
	return trainer
}
