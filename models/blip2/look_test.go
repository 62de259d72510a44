package blip2

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/golden"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestLook wants the weights that transformers computes (scripts/golden_look.py), alone and beside a text,
// with and without blocks that are computed again.
func TestLook(t *testing.T) {
	c := golden.Open(t, "blip2-retrieval")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	want := lookedAt(t)
	// The first ids stand for the queries; the model that made the case takes them off.
	text := func(name string) *tensors.Tensor { return behind(c.Input(name), cfg.NumQueryTokens) }
	for _, recompute := range []bool{false, true} {
		f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
			if recompute {
				nn.Recompute(in[0].Graph())
			}
			states := lastState(scope, &cfg, in[0])
			alone, text := Look(scope, &cfg, states, nil, nil), Look(scope, &cfg, states, in[1], in[2])
			return append(slices.Concat(alone.Looks, text.Looks), text.Queries)
		})
		got := f.Run(c.Input("pixel_values"), text("itm_input_ids"), text("itm_attention_mask"))
		if len(got) != len(want)+1 {
			t.Fatalf("%d layers looked, want %d", len(got)-1, len(want))
		}
		for i, name := range slices.Sorted(maps.Keys(want)) { // alone.0, ..., text.0, ...
			golden.Near(t, fmt.Sprintf("%s, recompute %v", name, recompute), got[i], want[name], 1e-5, 1e-5)
		}
	}
}

// behind leaves out the first columns of int32 [rows, columns].
func behind(x *tensors.Tensor, columns int) *tensors.Tensor {
	d := x.Shape().Dimensions
	var kept []int32
	for row := range slices.Chunk(tensors.MustCopyFlatData[int32](x), d[1]) {
		kept = append(kept, row[columns:]...)
	}
	return tensors.FromFlatDataAndDimensions(kept, d[0], d[1]-columns)
}

// lookedAt reads what transformers computed.
func lookedAt(t *testing.T) map[string]*tensors.Tensor {
	t.Helper()
	file, err := checkpoints.Open("testdata/look.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[string]*tensors.Tensor{}
	for _, name := range file.Names() {
		if all[name], err = file.Tensor(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestMasks draws the masks of ITM and ITG for two queries and texts of three words, one of them padded.
func TestMasks(t *testing.T) {
	f := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
		return []*Node{MatchMask(in[0], 2), GenerateMask(in[0], 2)}
	})
	got := f.Run(tensors.FromFlatDataAndDimensions([]int32{1, 1, 1, 1, 1, 0}, 2, 3))
	for i, want := range []string{
		"11111" + "11110",
		"11100" + "11110" + "11111" + "11100" + "11110" + "11110",
	} {
		drawn := ""
		for _, sees := range tensors.MustCopyFlatData[bool](got[i]) {
			drawn += map[bool]string{true: "1", false: "0"}[sees]
		}
		if drawn != want {
			t.Errorf("mask %d: got %s, want %s", i, drawn, want)
		}
	}
}
