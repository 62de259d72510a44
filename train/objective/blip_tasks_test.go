package objective

import (
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestBLIPTrainingParity compares the losses of captioning, matching and answering with the BLIP
// source's, and the gradient of every tensor.
func TestBLIPTrainingParity(t *testing.T) {
	smoothing := func(cfg *blip.Config) float64 { return cfg.Text.LabelSmoothing }
	for _, test := range []struct {
		name      string
		gradients int
		inputs    string
		build     func(cfg *blip.Config, scope *model.Scope, in []*Node) (loss, inner *Node)
		inner     string
	}{
		{"train/blip-caption", 91, "pixel_values ids mask targets", func(cfg *blip.Config, scope *model.Scope, in []*Node) (*Node, *Node) {
			head := captionHead(scope, cfg, in[0], in[1], in[2])
			logits := head.Logits()
			head.States = allButLast(head.States)
			return nextWord(head, in[1], in[3], smoothing(cfg)), logits
		}, "logits"},
		{"train/blip-itm", 88, "pixel_values ids mask image_of_text text_of_image", func(cfg *blip.Config, scope *model.Scope, in []*Node) (*Node, *Node) {
			memory := blip.GroundedMemory(scope, cfg, blip.ImageStates(scope, cfg, in[0]))
			logits := MatchPairs(scope, cfg, memory, in[1], in[2], in[3], in[4])
			// The reference has the three kinds of pairs one behind the other.
			return pairLoss(logits), Reshape(Transpose(Reshape(logits, 4, 3, 2), 0, 1), 12, 2)
		}, "logits"},
		{"train/blip-vqa", 147, "pixel_values ids mask answers seen weights", func(cfg *blip.Config, scope *model.Scope, in []*Node) (*Node, *Node) {
			states := blip.GroundedStates(scope, cfg, blip.ImageStates(scope, cfg, in[0]), in[1], in[2])
			losses := blip.AnswerLosses(scope, cfg, states, in[2], in[3], in[4], smoothing(cfg))
			return answerLoss(losses, in[5], 3), losses
		}, "losses"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := golden.Open(t, test.name)
			var cfg blip.Config
			c.JSON("model/config.json", &cfg)
			var names []string
			for _, name := range c.Expected() {
				if strings.HasPrefix(name, "grad.") {
					names = append(names, name)
				}
			}
			if len(names) != test.gradients {
				t.Errorf("%d gradients, want %d", len(names), test.gradients)
			}
			store := golden.Store(t, c.Weights("model"))
			f := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
				loss, inner := test.build(&cfg, scope, in)
				var of []*Node
				for _, name := range names {
					of = append(of, golden.Variable(t, store, strings.TrimPrefix(name, "grad.")).NodeValue(loss.Graph()))
				}
				return append([]*Node{loss, inner}, Gradient(loss, of...)...)
			})
			var in []*tensors.Tensor
			for _, name := range strings.Fields(test.inputs) {
				in = append(in, c.Input(name))
			}
			out := f.Run(in...)
			c.Check("loss", out[0])
			c.Check(test.inner, out[1])
			for i, name := range names {
				c.CheckAny(name, out[2+i])
			}
		})
	}
}

// TestAnswerPlaces wants empty places, and padding of questions and answers, to change nothing.
func TestAnswerPlaces(t *testing.T) {
	c := golden.Open(t, "train/blip-vqa")
	var cfg blip.Config
	c.JSON("model/config.json", &cfg)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		states := blip.GroundedStates(scope, &cfg, blip.ImageStates(scope, &cfg, in[0]), in[1], in[2])
		return []*Node{answerLoss(blip.AnswerLosses(scope, &cfg, states, in[2], in[3], in[4], 0.1), in[5], 3)}
	})
	padded := func(x *tensors.Tensor, filler int32) *tensors.Tensor { // a column more
		rows, n := x.Shape().Dim(0), x.Shape().Dim(1)
		flat := tensors.MustCopyFlatData[int32](x)
		var wide []int32
		for row := range rows {
			wide = append(append(wide, flat[row*n:(row+1)*n]...), filler)
		}
		return tensors.FromFlatDataAndDimensions(wide, rows, n+1)
	}
	more := func(x *tensors.Tensor) *tensors.Tensor { // a third place a question, [DEC] alone
		n := x.Shape().Dim(1)
		flat := tensors.MustCopyFlatData[int32](x)
		var wide []int32
		for q := range 3 {
			wide = append(append(wide, flat[q*2*n:(q+1)*2*n]...), make([]int32, n)...)
		}
		return tensors.FromFlatDataAndDimensions(wide, 9, n)
	}
	w := tensors.MustCopyFlatData[float32](c.Input("weights"))
	out := f.Run(c.Input("pixel_values"), padded(c.Input("ids"), 9), padded(c.Input("mask"), 0), padded(more(c.Input("answers")), 8),
		padded(more(c.Input("seen")), 0), tensors.FromValue([]float32{w[0], w[1], 0, w[2], w[3], 0, w[4], w[5], 0}))
	c.Check("loss", out[0])
}

// TestJudgePair wants the two pictures to be two: the loss knows their order, and a row does not see
// another row's pictures.
func TestJudgePair(t *testing.T) {
	cfg := tinyBLIP()
	cfg.Text.NumHiddenLayers = 3 // one layer that averages, two that merge
	obj := BLIPJudge(cfg, [3]float64{0.5, 0.5, 0.5}, [3]float64{0.5, 0.5, 0.5})
	picture := func(seed int) []uint8 {
		p := make([]uint8, 8*8*3)
		for i := range p {
			p[i] = uint8(i*seed + i*i%7)
		}
		return p
	}
	batch := func(pictures ...int) *tensors.Tensor {
		var flat []uint8
		for _, p := range pictures {
			flat = append(flat, picture(p)...)
		}
		return tensors.FromFlatDataAndDimensions(flat, len(pictures)/2, 2, 8, 8, 3)
	}
	ids := tensors.FromValue([][]int32{{11, 4, 5, 3}, {11, 6, 3, 0}})
	mask, labels := tensors.FromValue([][]int32{{1, 1, 1, 1}, {1, 1, 1, 0}}), tensors.FromValue([]int32{1, 0})
	store := model.NewStore()
	pixels := batch(3, 5, 7, 11)
	if err := nn.Declare(golden.Go(t), store, func(root *model.Scope, in []*Node) { obj.Build(root.At("model"), in) },
		pixels.Shape(), ids.Shape(), mask.Shape(), labels.Shape()); err != nil {
		t.Fatal(err)
	}
	if err := nn.Initialize(store, 5, 0.5); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"crossattention.output.merge_layer.weight"} {
		for layer, want := range []bool{false, true, true} {
			path := "text_encoder.encoder.layer." + string(rune('0'+layer)) + "." + name
			found := false
			for v := range store.IterVariables() {
				found = found || strings.HasSuffix(v.Path(), strings.ReplaceAll(path, ".", "/"))
			}
			if found != want {
				t.Errorf("%s: %v, want %v", path, found, want)
			}
		}
	}
	f := golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{JudgeLogits(scope, cfg, in[0], in[1], in[2], [3]float64{0.5, 0.5, 0.5}, [3]float64{0.5, 0.5, 0.5})}
	})
	run := func(pictures ...int) []float32 {
		return tensors.MustCopyFlatData[float32](f.Run(batch(pictures...), ids, mask)[0])
	}
	first, exchanged, other := run(3, 5, 7, 11), run(5, 3, 7, 11), run(3, 5, 2, 13)
	if near(first[0], exchanged[0]) || !near(first[2], exchanged[2]) {
		t.Errorf("pictures exchanged: %v, before %v", exchanged, first)
	}
	if !near(first[0], other[0]) || near(first[2], other[2]) {
		t.Errorf("other pictures in the second row: %v, before %v", other, first)
	}
}

func near(a, b float32) bool { return a-b < 1e-5 && b-a < 1e-5 }
