package generate

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/t5"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestBLIP2WithT5 generates what transformers generated for pictures and prompts with a T5.
func TestBLIP2WithT5(t *testing.T) {
	r := openReference(t, golden.Go(t), "blip2-t5")
	ids, mask := r.text("input_ids"), r.text("attention_mask")
	checkGenerations(t, r.Case, r.cfg.T5, func(o Options) ([]Sequence, error) {
		return r.generator.Generate(r.visual, ids, mask, 0, o, nil)
	})
}

// plainT5 is a T5 on its own: inputs ids and mask.
func plainT5(t *testing.T, c *golden.Case) (*Generator, *t5.Config) {
	t.Helper()
	var cfg t5.Config
	c.JSON("model/config.json", &cfg)
	graphs := t5Graphs{
		cfg: &cfg,
		llm: func(scope *model.Scope) *model.Scope { return scope },
		encode: func(scope *model.Scope, in []*Node) (states, visible *Node) {
			return t5.Encode(scope, &cfg, t5.Embed(scope, &cfg, in[0]), in[1]), in[1]
		},
	}
	g := NewGenerator(golden.Go(t), golden.Store(t, c.Weights("model")), graphs, cfg.VocabSize)
	t.Cleanup(g.Finalize)
	return g, &cfg
}

// TestT5 generates with penalties, blocked n-grams and lengths of both signs; texts run beyond the last
// bucket of distances.
func TestT5(t *testing.T) {
	c := golden.Open(t, "t5-relu-tied")
	g, cfg := plainT5(t, c)
	start := []int32{int32(cfg.DecoderStartTokenID)}
	checkGenerations(t, c, cfg, func(o Options) ([]Sequence, error) {
		return g.Generate([]*tensors.Tensor{c.Input("input_ids"), c.Input("attention_mask")}, [][]int32{{1}, {1}, {1}}, [][]int32{start, start, start}, o, nil)
	})
}

// TestT5Alone wants a row to be the same in a batch and on its own.
func TestT5Alone(t *testing.T) {
	c := golden.Open(t, "t5-relu-tied")
	g, cfg := plainT5(t, c)
	run := func(ids, mask [][]int32, o Options, streams []uint64) []Sequence {
		prompts, visible := make([][]int32, len(ids)), make([][]int32, len(ids))
		for i := range ids {
			prompts[i], visible[i] = []int32{int32(cfg.DecoderStartTokenID)}, []int32{1}
		}
		out, err := g.Generate([]*tensors.Tensor{matrix(ids), matrix(mask)}, visible, prompts, o, streams)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ids, mask := rows(c.Input("input_ids")), rows(c.Input("attention_mask"))
	for name, set := range map[string]func(o *Options){
		"greedy":   func(o *Options) {},
		"beams":    func(o *Options) { o.NumBeams, o.RepetitionPenalty, o.MinNewTokens = 3, 1.3, 4 },
		"sampling": func(o *Options) { o.DoSample, o.TopP, o.Seed = true, 0.9, 5 },
	} {
		o := Default()
		o.EOSTokenID, o.MaxNewTokens = cfg.EOSTokenID, 12
		set(&o)
		all := run(ids, mask, o, []uint64{4, 5, 6})
		for i := range ids {
			alone := run(ids[i:i+1], mask[i:i+1], o, []uint64{uint64(4 + i)})
			if !slices.Equal(alone[0].IDs, all[i].IDs) {
				t.Errorf("%s: alone %s, in a batch %s", name, show(alone[0]), show(all[i]))
			}
		}
		// Row 1 has 23 visible tokens: its padding may go.
		if short := run([][]int32{ids[1][:23]}, [][]int32{mask[1][:23]}, o, []uint64{5}); !slices.Equal(short[0].IDs, all[1].IDs) {
			t.Errorf("%s: without padding %s, with %s", name, show(short[0]), show(all[1]))
		}
	}
}

// checkGenerations runs every setting of a case and compares ids as transformers returns them, the
// start token in front and the filler behind, and the scores of beams.
func checkGenerations(t *testing.T, c *golden.Case, cfg *t5.Config, run func(o Options) ([]Sequence, error)) {
	t.Helper()
	var about struct {
		Generation map[string]json.RawMessage
	}
	c.JSON("case.json", &about)
	checked := 0
	for name, given := range about.Generation {
		o := Default()
		if err := json.Unmarshal(given, &o); err != nil {
			t.Fatal(err)
		}
		o.EOSTokenID = cfg.EOSTokenID
		got, err := run(o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		prompts, scores := make([][]int32, len(got)), make([]float32, len(got))
		for i, s := range got {
			prompts[i], scores[i] = []int32{int32(cfg.DecoderStartTokenID)}, float32(s.Score)
		}
		c.Check("gen."+name+".ids", matrix(o.Rows(prompts, got, int32(cfg.PadTokenID))))
		checked++
		if o.NumBeams > 1 {
			c.Check("gen."+name+".sequences_scores", tensors.FromValue(scores))
			checked++
		}
	}
	want := 0
	for _, name := range c.Expected() {
		if strings.HasPrefix(name, "gen.") {
			want++
		}
	}
	if checked != want {
		t.Errorf("%d tensors of generation compared, %d expected", checked, want)
	}
}

func matrix(rows [][]int32) *tensors.Tensor { return tensors.FromValue(rows) }
