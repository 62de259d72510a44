package objective

import (
	"fmt"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// stage2T5 computes the loss of stage 2, and gradients, for a batch of texts of different lengths.
func stage2T5(t *testing.T, gradients []string) (*golden.Func, *golden.Case) {
	t.Helper()
	weights, c := golden.Open(t, "blip2-t5"), golden.Open(t, "blip2-t5-stage2")
	var cfg blip2.Config
	weights.JSON("model/config.json", &cfg)
	cfg.T5.UntiedHead = true // the file has an lm_head.weight
	store := golden.Store(t, weights.Weights("model"))
	return golden.New(t, golden.Go(t), store, func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(cfg.NumQueryTokens)) } // without image tokens
		loss := Stage2T5(&cfg).Build(scope, []*Node{StopGradient(states[len(states)-1]), text(in[1]), text(in[2]), MaxScalar(in[3], 0), in[4]})[0]
		if len(gradients) == 0 {
			return []*Node{loss}
		}
		var of []*Node
		for _, name := range gradients {
			of = append(of, golden.Variable(t, store, strings.TrimPrefix(name, "grad.")).NodeValue(loss.Graph()))
		}
		return append([]*Node{loss}, Gradient(loss, of...)...)
	}), c
}

func stage2T5Inputs(c *golden.Case) []*tensors.Tensor {
	var in []*tensors.Tensor
	for _, name := range []string{"pixel_values", "input_ids", "attention_mask", "labels", "decoder_attention_mask"} {
		in = append(in, c.Input(name))
	}
	return in
}

// TestStage2T5Parity compares the loss of transformers' BLIP-2 with a T5, and the gradient of every
// tensor that stage 2 trains.
func TestStage2T5Parity(t *testing.T) {
	var gradients []string
	for _, name := range golden.Open(t, "blip2-t5-stage2").Expected() {
		if strings.HasPrefix(name, "grad.") {
			gradients = append(gradients, name)
		}
	}
	f, c := stage2T5(t, gradients)
	out := f.Run(stage2T5Inputs(c)...)
	f.UsesAll()
	c.Check("loss", out[0])
	if len(gradients) != 91 {
		t.Errorf("%d gradients, want 91", len(gradients))
	}
	for i, name := range gradients {
		if strings.HasSuffix(name, "key.bias") {
			continue // the true gradient is 0: softmax does not see what all keys share
		}
		c.CheckGradient(name, out[1+i])
	}
}

// TestStage2T5PaddingIsInvisible adds columns of padding to both texts, with words in them.
func TestStage2T5PaddingIsInvisible(t *testing.T) {
	f, c := stage2T5(t, nil)
	in := stage2T5Inputs(c)
	want := f.Run(in...)[0]
	for i, filler := range map[int]int32{1: 77, 2: 0, 3: 77, 4: 0} {
		rows, n := in[i].Shape().Dim(0), in[i].Shape().Dim(1)
		flat := tensors.MustCopyFlatData[int32](in[i])
		var wide []int32
		for row := range rows {
			wide = append(append(wide, flat[row*n:(row+1)*n]...), filler, filler)
		}
		in[i] = tensors.FromFlatDataAndDimensions(wide, rows, n+2)
	}
	golden.Near(t, "loss", f.Run(in...)[0], want, 1e-5, 0)
}

// TestSplitPrefix cuts texts at every number that may be drawn.
func TestSplitPrefix(t *testing.T) {
	for _, test := range []struct {
		text string
		u    float64
		want string
	}{
		{"", 0.5, "|"}, {"dog", 0.9, "|dog"},
		{"two dogs", 0, "two|dogs"}, {"two dogs", 0.999, "two|dogs"},
		{"a red  bus ", 0.999, "a|red bus"},
		{"a b c d e f", 0, "a|b c d e f"}, {"a b c d e f", 0.34, "a b|c d e f"}, {"a b c d e f", 0.9999999999, "a b c|d e f"},
	} {
		beginning, rest := SplitPrefix(test.text, test.u)
		if got := beginning + "|" + rest; got != test.want {
			t.Errorf("%q at %g: got %q, want %q", test.text, test.u, got, test.want)
		}
	}
	const words, draws = 9, 4000
	text, counts := strings.Join(strings.Split(strings.Repeat("w", words), ""), " "), map[int]int{}
	for i := range draws {
		beginning, _ := SplitPrefix(text, float64(i)/draws)
		counts[len(strings.Fields(beginning))]++
	}
	if want := map[int]int{1: 1000, 2: 1000, 3: 1000, 4: 1000}; fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("words in front: %v, want %v", counts, want)
	}
}
