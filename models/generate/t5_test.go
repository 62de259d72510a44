package generate

import (
	"slices"
	"testing"

	"goblip/internal/golden"
	"goblip/models/t5"

	"github.com/gomlx/gomlx/core/tensors"
)

// plainT5 is a T5 on its own: inputs ids and mask.
func plainT5(t *testing.T, c *golden.Case) (*Generator, *t5.Config) {
	t.Helper()
	var cfg t5.Config
	c.JSON("model/config.json", &cfg)
	g := NewGenerator(golden.Go(t), golden.Store(t, c.Weights("model")), T5(&cfg), cfg.VocabSize)
	t.Cleanup(g.Finalize)
	return g, &cfg
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

func matrix(of [][]int32) *tensors.Tensor { return tensors.FromValue(of) }
