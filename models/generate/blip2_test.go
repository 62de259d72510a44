package generate

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip2"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// reference is the case of transformers' Blip2ForConditionalGeneration, ready to generate.
type reference struct {
	*golden.Case
	cfg       blip2.Config
	generator *BLIP2
	visual    *tensors.Tensor
}

func openReference(t *testing.T, backend compute.Backend) *reference {
	t.Helper()
	r := &reference{Case: golden.Open(t, "blip2-opt")}
	r.JSON("model/config.json", &r.cfg)
	store := golden.Store(t, r.Weights("model"))
	states := golden.New(t, backend, store, func(scope *model.Scope, in []*Node) []*Node {
		all := vit.Encode(scope.At("vision_model"), &r.cfg.Vision, in[0])
		return all[len(all)-1:]
	}).Run(r.Input("pixel_values"))[0]
	var err error
	if r.generator, err = NewBLIP2(backend, store, &r.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.generator.Finalize)
	if r.visual, err = r.generator.VisualPrompt(states); err != nil {
		t.Fatal(err)
	}
	return r
}

// text reads ids or a mask without the columns of the soft tokens.
func (r *reference) text(name string) [][]int32 {
	all := rows(r.Input(name))
	for i := range all {
		all[i] = all[i][r.cfg.NumQueryTokens:]
	}
	return all
}

func rows(x *tensors.Tensor) [][]int32 {
	return slices.Collect(slices.Chunk(tensors.MustCopyFlatData[int32](x), x.Shape().Dim(1)))
}

// TestGenerateAlone wants a row to be the same in a batch and on its own without padding, whatever the
// penalties: they must not see the padding that a longer neighbour causes.
func TestGenerateAlone(t *testing.T) {
	r := openReference(t, golden.Go(t))
	prompts, mask := r.text("prompt_input_ids"), r.text("prompt_attention_mask")
	short := prompts[1][slices.Index(mask[1], 1):]
	ones := make([]int32, len(short))
	for i := range ones {
		ones[i] = 1
	}
	one := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](r.visual)[r.visual.Shape().Size()/2:], 1, r.visual.Shape().Dim(1), r.visual.Shape().Dim(2))
	for _, test := range []struct {
		name string
		set  func(o *Options)
	}{
		{"greedy", func(o *Options) {}},
		{"beams", func(o *Options) { o.NumBeams = 3 }},
		{"penalties", func(o *Options) { o.RepetitionPenalty, o.NoRepeatNgramSize, o.MinLength = 1.3, 2, 14 }},
		{"beams and penalties", func(o *Options) {
			o.NumBeams, o.RepetitionPenalty, o.NoRepeatNgramSize, o.MinLength = 3, 1.3, 2, 14
		}},
		{"sampling", func(o *Options) { o.DoSample, o.TopP, o.Seed, o.MinLength = true, 0.9, 3, 12 }},
	} {
		o := Default()
		o.EOSTokenID, o.MaxNewTokens = r.cfg.Text.EOSTokenID, 10
		test.set(&o)
		placeholder := int32(*r.cfg.ImageTokenIndex)
		both, err := r.generator.Generate(r.visual, prompts, mask, placeholder, o, []uint64{7, 8})
		if err != nil {
			t.Fatal(err)
		}
		alone, err := r.generator.Generate(one, [][]int32{short}, [][]int32{ones}, placeholder, o, []uint64{8})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(both[1].IDs, alone[0].IDs) || math.Abs(both[1].Score-alone[0].Score) > 1e-4 {
			t.Errorf("%s: in a batch %s, alone %s", test.name, show(both[1]), show(alone[0]))
		}
	}
}

func show(s Sequence) string { return fmt.Sprintf("%v (%g)", s.IDs, s.Score) }
