package forward

import (
	"fmt"

	"goblip/checkpoints"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/nn"
	"goblip/models/opt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// blip2OPT is Blip2ForConditionalGeneration with an OPT. Its texts are PREFIX_input_ids and
// PREFIX_attention_mask, image placeholders included.
func blip2OPT(r *run) error {
	var cfg blip2.Config
	if err := r.readModel(checkpoints.ConfigFile, &cfg); err != nil {
		return err
	}
	if err := firstError(cfg.Validate(), cfg.Text.Validate()); err != nil {
		return err
	}
	if cfg.ImageTokenIndex == nil {
		return fmt.Errorf("config.json: image_token_index is missing: no token stands for the image")
	}
	v := &cfg.Vision
	if err := r.loadOPT("language_model.", func(scope *model.Scope, in []*Node) {
		prompt := blip2.VisualPrompt(scope, &cfg, lastState(scope, v, in[0]))
		blip2.Prompted(scope, &cfg, prompt, in[1], in[1])
	}, shapes.Make(dtypes.Float32, 1, 3, v.ImageSize, v.ImageSize), shapes.Make(dtypes.Int32, 1, 2)); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values"}, func(scope *model.Scope, in []*Node, out *outputs) {
		qformerOutputs(scope, &cfg, visionOutputs(scope, v, in[0], "vision", out), cfg.Text.HiddenSize, out)
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "train_input_ids", "train_attention_mask", "train_labels"}, func(scope *model.Scope, in []*Node, out *outputs) {
		logits := optLogits(scope, &cfg, in[0], in[1], in[2])
		out.put("train.logits", logits)
		out.put("train.loss", shiftedLoss(logits, in[3], 0))
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "prompt_input_ids", "prompt_attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("prompt.logits", zeroMasked(optLogits(scope, &cfg, in[0], in[1], in[2]), in[2]))
	}); err != nil {
		return err
	}
	return blip2Generate(r, &cfg)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// qformerOutputs names the states of the queries, and their projection to the language model's width.
func qformerOutputs(scope *model.Scope, cfg *blip2.Config, embeds *Node, width int, out *outputs) *Node {
	encoded := blip2.Encode(scope, &cfg.QFormer, blip2.Pass{
		Queries: blip2.EmbedQueries(scope, cfg, embeds, embeds.Shape().Dim(0)),
		Images:  blip2.ImageKV(scope, &cfg.QFormer, embeds),
	})
	prompt := nn.Linear(scope.At("language_projection"), encoded.Queries, width)
	out.all("qformer.hidden_states.", encoded.States)
	out.put("qformer.last_hidden_state", encoded.Queries)
	out.put("language_projection", prompt)
	return prompt
}

// optLogits scatters the visual prompts to the image placeholders, in order, and runs the language
// model: ids, mask int32 [batch, seq] -> [batch, seq, vocab].
func optLogits(scope *model.Scope, cfg *blip2.Config, pixels, ids, mask *Node) *Node {
	llm := scope.At("language_model")
	prompt := blip2.VisualPrompt(scope, cfg, lastState(scope, &cfg.Vision, pixels))
	embeds := scatterPrompt(opt.Embed(llm, &cfg.Text, ids), prompt, ids, *cfg.ImageTokenIndex)
	states, _ := opt.Decode(llm, &cfg.Text, embeds, opt.Positions(mask), blip2.CausalMask(mask, embeds), nil)
	return opt.Logits(llm, &cfg.Text, states)
}

// scatterPrompt puts the rows of prompt [batch, queries, width] where ids [batch, seq] are the image
// token, in order: embeds [batch, seq, width].
func scatterPrompt(embeds, prompt, ids *Node, imageToken int) *Node {
	d := embeds.Shape().Dimensions
	here := Equal(ids, ConstAs(ids, imageToken))
	flat := Reshape(ConvertDType(here, dtypes.Int32), d[0]*d[1])
	row := MaxScalar(SubScalar(CumSum(flat, 0), 1), 0)
	rows := Reshape(prompt, prompt.Shape().Dim(0)*prompt.Shape().Dim(1), d[2])
	placed := Reshape(nn.Lookup(rows, row), d...)
	return Where(BroadcastToDims(InsertAxes(here, -1), d...), placed, embeds)
}

func blip2Generate(r *run, cfg *blip2.Config) error {
	if !r.needs("gen.*") || !r.hasInput("pixel_values") {
		return nil
	}
	pixels, err := r.input("pixel_values")
	if err != nil {
		return err
	}
	generator, err := generate.NewBLIP2(r.backend, r.store, cfg)
	if err != nil {
		return err
	}
	defer generator.Finalize()
	states, err := r.value([]*tensors.Tensor{pixels}, func(scope *model.Scope, in []*Node) *Node { return lastState(scope, &cfg.Vision, in[0]) })
	if err != nil {
		return err
	}
	visual, err := generator.VisualPrompt(states)
	if err != nil {
		return err
	}
	for variant, prefix := range map[string]string{"": "prompt", "noprompt": "", "rightpad": "rightpad"} {
		wanted := r.generations(variant)
		if len(wanted) == 0 {
			continue
		}
		var prompts, mask [][]int32
		if prefix == "" { // the image and the token that begins a text
			for range pixels.Shape().Dim(0) {
				prompts, mask = append(prompts, []int32{int32(cfg.Text.BOSTokenID)}), append(mask, []int32{1})
			}
			prompts, mask = placeholders(prompts, cfg), ones(mask, cfg.NumQueryTokens)
		} else if prompts, mask, err = r.texts(prefix + "_"); err != nil {
			return err
		}
		if err := checkPlaceholders(prompts, cfg); err != nil {
			return fmt.Errorf("%s_input_ids: %w", prefix, err)
		}
		for _, g := range wanted {
			o, err := r.options(g, len(prompts[0]), cfg.Text.EOSTokenID)
			if err != nil {
				return err
			}
			q := cfg.NumQueryTokens
			sequences, err := generator.Continue(visual, tail(prompts, q), tail(mask, q), prompts, o, nil)
			if err != nil {
				return err
			}
			r.putSequences(g, o, prompts, sequences, cfg.Text.PadTokenID)
		}
	}
	return nil
}

// texts reads PREFIXinput_ids and PREFIXattention_mask, row by row.
func (r *run) texts(prefix string) (ids, mask [][]int32, err error) {
	if ids, err = r.rows(prefix + "input_ids"); err == nil {
		mask, err = r.rows(prefix + "attention_mask")
	}
	return ids, mask, err
}

func placeholders(rows [][]int32, cfg *blip2.Config) (out [][]int32) {
	for _, row := range rows {
		var all []int32
		for range cfg.NumQueryTokens {
			all = append(all, int32(*cfg.ImageTokenIndex))
		}
		out = append(out, append(all, row...))
	}
	return out
}

func ones(rows [][]int32, n int) (out [][]int32) {
	for _, row := range rows {
		var all []int32
		for range n {
			all = append(all, 1)
		}
		out = append(out, append(all, row...))
	}
	return out
}

// checkPlaceholders wants the image in front, where the processor of BLIP-2 puts it.
func checkPlaceholders(rows [][]int32, cfg *blip2.Config) error {
	for i, row := range rows {
		for j, id := range row {
			if (id == int32(*cfg.ImageTokenIndex)) != (j < cfg.NumQueryTokens) {
				return fmt.Errorf("row %d: the image token %d must fill the first %d columns and no other", i, *cfg.ImageTokenIndex, cfg.NumQueryTokens)
			}
		}
	}
	return nil
}

// tail drops the first columns.
func tail(rows [][]int32, n int) (out [][]int32) {
	for _, row := range rows {
		out = append(out, row[n:])
	}
	return out
}
