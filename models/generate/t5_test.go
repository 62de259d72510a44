package generate

import (
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/gomlx/core/tensors"
)

// TestGenerateT5Parity generates what transformers generated with a T5: ids as it returns them, the
// start token in front and the filler behind, and the scores of beams.
func TestGenerateT5Parity(t *testing.T) {
	r := openReference(t, golden.Go(t), "blip2-t5")
	ids, mask := r.text("input_ids"), r.text("attention_mask")
	var about struct {
		Generation map[string]struct {
			NumBeams          int      `json:"num_beams"`
			MaxNewTokens      int      `json:"max_new_tokens"`
			MinLength         int      `json:"min_length"`
			LengthPenalty     *float64 `json:"length_penalty"`
			RepetitionPenalty *float64 `json:"repetition_penalty"`
		}
	}
	r.JSON("case.json", &about)
	if len(about.Generation) != 4 {
		t.Errorf("%d generations, want 4", len(about.Generation))
	}
	for name, g := range about.Generation {
		o := Default()
		_, _, o.EOSTokenID, _ = r.cfg.LLM()
		o.NumBeams, o.MaxNewTokens, o.MinLength = g.NumBeams, g.MaxNewTokens, g.MinLength
		if g.LengthPenalty != nil {
			o.LengthPenalty = *g.LengthPenalty
		}
		if g.RepetitionPenalty != nil {
			o.RepetitionPenalty = *g.RepetitionPenalty
		}
		got, err := r.generator.Generate(r.visual, ids, mask, 0, o, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start := []int32{int32(r.cfg.T5.DecoderStartTokenID)}
		r.Check("gen."+name+".ids", matrix(o.Rows([][]int32{start, start}, got, int32(r.cfg.T5.PadTokenID))))
		if o.NumBeams > 1 {
			r.Check("gen."+name+".sequences_scores", tensors.FromValue([]float32{float32(got[0].Score), float32(got[1].Score)}))
		}
	}
}

func matrix(rows [][]int32) *tensors.Tensor { return tensors.FromValue(rows) }
