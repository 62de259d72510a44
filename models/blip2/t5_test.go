package blip2

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestT5Parity compares transformers' Blip2ForConditionalGeneration with a T5, layer by layer.
func TestT5Parity(t *testing.T) {
	c := golden.Open(t, "blip2-t5")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ValidateLLM(); err != nil {
		t.Fatal(err)
	}
	cfg.T5.UntiedHead = true // the file has an lm_head.weight
	names := []string{"vision.last_hidden_state", "vision.pooler_output", "qformer.last_hidden_state", "language_projection",
		"t5.encoder_last_hidden_state", "logits", "loss", "with_decoder_mask.logits", "with_decoder_mask.loss"}
	for i := range cfg.Vision.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("vision.hidden_states.%d", i))
	}
	for i := range cfg.QFormer.NumHiddenLayers + 1 {
		names = append(names, fmt.Sprintf("qformer.hidden_states.%d", i))
	}
	f := golden.New(t, golden.Backend(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(cfg.NumQueryTokens)) }
		pixels, ids, mask, labels, labelMask := in[0], text(in[1]), text(in[2]), in[3], in[4]
		vision := scope.At("vision_model")
		states := vit.Encode(vision, &cfg.Vision, pixels)
		last := states[len(states)-1]
		embeds := vit.PostLayerNorm(vision, &cfg.Vision, last)
		class := Slice(embeds, AxisRange(), AxisElem(0))
		pooled := Squeeze(vit.PostLayerNorm(vision, &cfg.Vision, class), 1)
		encoded := Encode(scope, &cfg.QFormer, Pass{Queries: EmbedQueries(scope, &cfg, embeds, 2), Images: ImageKV(scope, &cfg.QFormer, embeds)})
		prompt := VisualPrompt(scope, &cfg, last)
		read, visible := EncodePrompted(scope, &cfg, prompt, ids, mask)
		out := []*Node{embeds, pooled, encoded.Queries, prompt, read}
		for _, hidden := range []*Node{nil, labelMask} {
			logits := AnswerLogits(scope, &cfg, read, visible, labels, hidden)
			out = append(out, logits, meanLoss(logits, labels))
		}
		return append(append(out, states...), encoded.States...)
	})
	out := f.Run(c.Input("pixel_values"), c.Input("input_ids"), c.Input("attention_mask"), c.Input("labels"), c.Input("decoder_attention_mask"))
	f.UsesAll()
	for i, name := range names {
		c.Check(name, out[i])
	}
}

// TestInstructedParity compares transformers' InstructBlipForConditionalGeneration: queries beside
// instructions of several lengths, and what follows from them.
func TestInstructedParity(t *testing.T) {
	c := golden.Open(t, "instructblip")
	var cfg Config
	c.JSON("model/config.json", &cfg)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if !cfg.Instructed() || cfg.T5.DenseActFn != "gelu" || cfg.T5.ScaleDecoderOutputs {
		t.Errorf("config read as %+v", cfg.T5)
	}
	cfg.T5.UntiedHead = true
	f := golden.New(t, golden.Go(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
		text := func(x *Node) *Node { return Slice(x, AxisRange(), AxisRange(cfg.NumQueryTokens)) }
		states := lastState(scope, &cfg, in[0])
		encoded := EncodeInstructed(scope, &cfg, states, in[1], in[2])
		prompt := InstructedPrompt(scope, &cfg, states, in[1], in[2])
		read, visible := EncodePrompted(scope, &cfg, prompt, text(in[3]), text(in[4]))
		logits := AnswerLogits(scope, &cfg, read, visible, in[5], nil)
		return []*Node{vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, states), encoded.States[len(encoded.States)-1],
			prompt, read, logits, meanLoss(logits, in[5])}
	})
	var in []*tensors.Tensor
	for _, name := range []string{"pixel_values", "qformer_input_ids", "qformer_attention_mask", "input_ids", "attention_mask", "labels"} {
		in = append(in, c.Input(name))
	}
	out := f.Run(in...)
	f.UsesAll()
	for i, name := range []string{"vision.last_hidden_state", "qformer.last_hidden_state", "language_projection", "t5.encoder_last_hidden_state", "logits", "loss"} {
		c.Check(name, out[i])
	}
}

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

// meanLoss averages the cross entropy over labels that are not negative.
func meanLoss(logits, labels *Node) *Node {
	counts := GreaterOrEqual(labels, ZerosLike(labels))
	loss := nn.CrossEntropy(logits, Max(labels, ZerosLike(labels)), 0)
	weights := ConvertDType(counts, loss.DType())
	return Div(ReduceAllSum(Mul(loss, weights)), ReduceAllSum(weights))
}
