package objective

import (
	"math"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/nn"
	"goblip/models/opt"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestStage2Parity compares the loss of transformers' BLIP-2 whose labels hide the prompt.
func TestStage2Parity(t *testing.T) {
	c := golden.Open(t, "blip2-opt")
	var cfg blip2.Config
	c.JSON("model/config.json", &cfg)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(cfg.NumQueryTokens)) }
		targets := Where(LessThan(in[3], ZerosLike(in[3])), ZerosLike(in[3]), OnesLike(in[3])) // -100: not a target
		return Stage2(&cfg).Build(scope, []*Node{states[len(states)-1], text(in[1]), text(in[2]), text(targets)})
	})
	out := f.Run(c.Input("pixel_values"), c.Input("train_input_ids"), c.Input("train_attention_mask"), c.Input("train_labels"))
	f.UsesAll()
	c.Check("train.loss", out[0])
}

// TestLMParity compares the language-model loss of text alone.
func TestLMParity(t *testing.T) {
	c := golden.Open(t, "opt-350m-layout")
	var cfg opt.Config
	c.JSON("model/config.json", &cfg)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), LM(&cfg).Build)
	mask := c.Input("attention_mask")
	out := f.Run(c.Input("input_ids"), mask, mask)
	f.UsesAll()
	c.Check("loss", out[0])
}

const lavisCase = "blip2-qformer-stage1"

// lavis is the stage-1 model of LAVIS: its checkpoint under our names, its config, and the
// objective with negatives given as inputs 3 and 4.
func lavis(t *testing.T, c *golden.Case) (*model.Store, blip2.Config, func(in []*Node, exact bool) Stage1) {
	t.Helper()
	weights, err := blip2.ConvertLAVIS(c.Weights("model"))
	if err != nil {
		t.Fatal(err)
	}
	var cfg blip2.Config
	c.JSON("model_hf/config.json", &cfg)
	return golden.Store(t, weights), cfg, func(in []*Node, exact bool) Stage1 {
		trained := cfg
		trained.Vision.LayerNormEps = 1e-5 // of ln_vision in LAVIS; the frozen blocks have 1e-6
		return Stage1{Config: &trained, DecoderID: 287, Smoothing: 0.1, ExactKeys: exact,
			Negatives: func(_, _ *Node) (*Node, *Node) { return in[3], in[4] }}
	}
}

func lavisInputs(c *golden.Case) []*tensors.Tensor {
	var in []*tensors.Tensor
	for _, name := range []string{"pixel_values", "input_ids", "attention_mask", "neg_image_index", "neg_text_index"} {
		in = append(in, c.Input(name))
	}
	return in
}

// stage1Losses computes losses 0 to 2 with given negatives: inputs pixels, ids, mask, negatives of
// text and of pictures, picture numbers.
func stage1Losses(t *testing.T) (f *golden.Func, c *golden.Case) {
	t.Helper()
	c = golden.Open(t, lavisCase)
	store, cfg, stage1 := lavis(t, c)
	return golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		l := stage1(in, false).Losses(scope, states[len(states)-1], in[1], in[2], in[5])
		return []*Node{l.ITC, l.ITM, l.ITG, l.ImageToText, l.TextToImage}
	}), c
}

// TestStage1PaddingIsInvisible adds columns of padding, with words in them.
func TestStage1PaddingIsInvisible(t *testing.T) {
	f, c := stage1Losses(t)
	in := append(lavisInputs(c), tensors.FromValue([]int32{0, 1, 2, 3}))
	want := f.Run(in...)
	for i, filler := range []int32{223, 0} { // ids, mask
		flat := tensors.MustCopyFlatData[int32](in[1+i])
		var wide []int32
		for row := range 4 {
			wide = append(append(wide, flat[row*12:(row+1)*12]...), filler, filler, filler)
		}
		in[1+i] = tensors.FromFlatDataAndDimensions(wide, 4, 15)
	}
	got := f.Run(in...)
	for i, name := range []string{"itc", "itm", "itg"} {
		golden.Near(t, name, got[i], want[i], 1e-5, 0)
	}
}

// TestITCSharesTargets computes the loss of a batch that shows one picture twice: both of its texts
// are right for both.
func TestITCSharesTargets(t *testing.T) {
	f, c := stage1Losses(t)
	images := []int32{5, 1, 5, 2}
	out := f.Run(append(lavisInputs(c), tensors.FromValue(images))...)
	want := 0.0
	for _, scores := range out[3:5] {
		flat := tensors.MustCopyFlatData[float32](scores)
		for row := range 4 {
			at, same := flat[row*4:(row+1)*4], 0.0
			sum := 0.0
			for i, s := range at {
				sum += math.Exp(float64(s))
				if images[i] == images[row] {
					same++
				}
			}
			for i, s := range at {
				target := 0.1 / 4
				if images[i] == images[row] {
					target += 0.9 / same
				}
				want -= target * (float64(s) - math.Log(sum)) / 4 / 2
			}
		}
	}
	golden.Near(t, "itc", out[0], tensors.FromScalar(float32(want)), 1e-5, 0)
}

// TestNegativesFollowSimilarity draws hard negatives 1,500 times and compares their frequencies with
// LAVIS' sampling weights; the own pair is never drawn.
func TestNegativesFollowSimilarity(t *testing.T) {
	const draws = 1500
	c := golden.Open(t, lavisCase)
	counts := countNegatives(t, draws, c.Want("sim_i2t"), c.Want("sim_t2i"), []int32{0, 1, 2, 3})
	for i, name := range []string{"itm_weights_t2i", "itm_weights_i2t"} {
		weights := tensors.MustCopyFlatData[float32](c.Want(name))
		for j, p := range weights {
			got, want := float64(counts[i][j]), float64(p)*draws
			if spread := 5*math.Sqrt(want*(1-float64(p))) + 1e-3*want; math.Abs(got-want) > spread {
				t.Errorf("%s: %d of row %d was drawn %g times, want %.0f +- %.0f", name, j%4, j/4, got, want, spread)
			}
		}
		for own := 0; own < 16; own += 5 {
			if counts[i][own] != 0 {
				t.Errorf("%s: the own pair of row %d was drawn", name, own/4)
			}
		}
	}
}

// TestNegativesSkipTheSamePicture gives one picture twice.
func TestNegativesSkipTheSamePicture(t *testing.T) {
	c := golden.Open(t, lavisCase)
	images := []int32{7, 3, 7, 4}
	for _, counts := range countNegatives(t, 200, c.Want("sim_i2t"), c.Want("sim_t2i"), images) {
		for j, n := range counts {
			if images[j/4] == images[j%4] && n > 0 {
				t.Errorf("row %d got %d, the same picture, %d times", j/4, j%4, n)
			}
		}
	}
}

// countNegatives counts draws of pictures for texts, and of texts for pictures: [4, 4] each.
func countNegatives(t *testing.T, draws int, imageToText, textToImage *tensors.Tensor, images []int32) (counts [2][16]int) {
	t.Helper()
	f := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		nn.Train(in[0])
		imageOfText, textOfImage := Stage1{}.negatives(in[1], in[2], sameImage(in[3]))
		return []*Node{imageOfText, textOfImage}
	})
	for step := range draws {
		for i, drawn := range f.Run(nn.StepRNG(11, step), imageToText, textToImage, tensors.FromValue(images)) {
			for row, column := range tensors.MustCopyFlatData[int32](drawn) {
				counts[i][row*4+int(column)]++
			}
		}
	}
	return counts
}

// TestTerms checks the levels that curves are read against, and that ITG can be left out.
func TestTerms(t *testing.T) {
	cfg := blip2.Default()
	cfg.QFormer.VocabSize = 30523
	terms := Stage1{Config: &cfg, Smoothing: 0.1}.Objective(256).Terms
	for i, want := range []Term{{"itc", 0.876, "floor"}, {"itm", 0.6365, "chance"}, {"itg", 1.3577, "floor"}} {
		if got := terms[i]; got.Name != want.Name || got.Label != want.Label || math.Abs(got.Floor-want.Floor) > 0.001 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	prior := -math.Log(1.0/3)/3 - math.Log(2.0/3)*2/3
	if math.Abs(ITMChance-prior) > 1e-4 {
		t.Errorf("ITMChance is %g, want %g", ITMChance, prior)
	}
	if n := len((Stage1{Config: &cfg, WithoutITG: true}).Objective(4).Terms); n != 2 {
		t.Errorf("%d terms without ITG, want 2", n)
	}
}
