package forward

import (
	"fmt"

	"goblip/checkpoints"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/opt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// optLM is OPTForCausalLM: text padded on the right, or on the left (leftpad_*).
func optLM(r *run) error {
	var cfg opt.Config
	if err := r.readModel(checkpoints.ConfigFile, &cfg); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	// decode names the states too: the input of each layer and, as transformers has it, the model's
	// output behind project_out in place of the last layer's.
	decode := func(scope *model.Scope, ids, mask *Node, out *outputs) *Node {
		embeds := opt.Embed(scope, &cfg, ids)
		final, layers := opt.States(scope, &cfg, embeds, opt.Positions(mask), blip2.CausalMask(mask, embeds))
		if out != nil {
			out.all("hidden_states.", layers)
			out.put(fmt.Sprintf("hidden_states.%d", len(layers)), final)
		}
		return opt.Logits(scope, &cfg, final)
	}
	text := shapes.Make(dtypes.Int32, 1, 2)
	if err := r.loadOPT("", func(scope *model.Scope, in []*Node) { decode(scope, in[0], in[1], nil) }, text, text); err != nil {
		return err
	}
	if err := r.graph([]string{"input_ids", "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("logits", decode(scope, in[0], in[1], out))
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"input_ids", "attention_mask", "labels"}, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("loss", shiftedLoss(decode(scope, in[0], in[1], nil), in[2], 0))
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"leftpad_input_ids", "leftpad_attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("leftpad.logits", zeroMasked(decode(scope, in[0], in[1], nil), in[1]))
	}); err != nil {
		return err
	}
	prefix := "leftpad_"
	if !r.hasInput("leftpad_input_ids") {
		prefix = ""
	}
	generator := generate.NewGenerator(r.backend, r.store, generate.OPT{Config: &cfg}, cfg.VocabSize)
	defer generator.Finalize()
	for _, g := range r.generations("") {
		prompts, mask, err := r.texts(prefix)
		if err != nil {
			return err
		}
		if err := r.generate(generator, g, nil, prompts, mask, cfg.EOSTokenID, cfg.PadTokenID); err != nil {
			return err
		}
	}
	return nil
}
