package blip2

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"goblip/internal/golden"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestInstructionsMatter changes one visible word of one instruction: its own row changes, no other
// does; and a word under the mask changes nothing.
func TestInstructionsMatter(t *testing.T) {
	c := golden.Open(t, "instructblip")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		return []*Node{InstructedPrompt(scope, &cfg, lastState(scope, &cfg, in[0]), in[1], in[2])}
	})
	run := func(column int) *tensors.Tensor {
		ids := tensors.MustCopyFlatData[int32](c.Input("qformer_input_ids"))
		if column >= 0 {
			ids[column] = 49 - ids[column]
		}
		return f.Run(c.Input("pixel_values"), tensors.FromFlatDataAndDimensions(ids, 3, 9), c.Input("qformer_attention_mask"))[0]
	}
	before, visible, hidden := run(-1), run(3), run(7)
	golden.Near(t, "behind the mask", hidden, before, 0, 0)
	for row := range 3 {
		if same := rows[float32](visible, row).InDelta(rows[float32](before, row), 1e-3); same != (row > 0) {
			t.Errorf("row %d stayed the same: %v", row, same)
		}
	}
}

// TestConfigKeepsItsLanguageModel writes configs with an OPT and a T5 and reads them back.
func TestConfigKeepsItsLanguageModel(t *testing.T) {
	for _, name := range []string{"blip2-opt", "blip2-t5", "instructblip"} {
		var cfg, again Config
		golden.Open(t, name).JSON("model/config.json", &cfg)
		raw, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(cfg, again) || (cfg.T5 == nil) != (name == "blip2-opt") {
			t.Errorf("%s: wrote %s", name, raw)
		}
		if err := again.ValidateLLM(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var llama Config
	if err := json.Unmarshal([]byte(`{"model_type": "instructblip", "text_config": {"model_type": "llama"}}`), &llama); err != nil {
		t.Fatal(err)
	}
	if err := llama.ValidateLLM(); err == nil || !strings.Contains(err.Error(), `"llama" is not known`) {
		t.Errorf("got %v", err)
	}
}
