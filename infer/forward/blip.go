package forward

import (
	"goblip/infer"
	"goblip/models/blip"
	"goblip/models/generate"
	"goblip/models/nn"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// openBLIP loads a BLIP of a class, and runs its image tower.
func openBLIP(r *run, class string) (*blip.Config, error) {
	folder, err := r.folder()
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	cfg, err := infer.LoadBLIP(r.backend, r.store, folder, class)
	if err != nil {
		return nil, err
	}
	for _, tower := range []string{"vision", "vision_interp"} {
		input := "pixel_values"
		if tower == "vision_interp" { // another size: positions are resized
			input = "pixel_values_interp"
		}
		if err := r.graph([]string{input}, func(scope *model.Scope, in []*Node, out *outputs) {
			visionOutputs(scope, &cfg.Vision, in[0], tower, out)
		}); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// blipCaption is BlipForConditionalGeneration: loss and logits of labelled texts, and captions:
// gen.SETTING from [DEC] alone, gen.prompt.SETTING and gen.ragged_prompt.SETTING behind prompts of
// one length or of several. As transformers does it, a prompt's first column becomes [DEC] and the
// last column of all of them is dropped, for the sake of [SEP].
func blipCaption(r *run) error {
	cfg, err := openBLIP(r, blip.CaptionClass)
	if err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "input_ids", "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		image := blip.ImageStates(scope, cfg, in[0])
		states := blip.DecoderStates(scope, cfg, blip.Memory(scope, cfg, image), nil, in[1], in[2])
		out.put("image_embeds", image)
		out.put("decoder.embeddings", blip.EmbedWords(scope, cfg, in[1], nil))
		out.put("decoder.last_hidden_state", states)
		out.put("logits", blip.WordLogits(scope, cfg, states))
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "input_ids", "attention_mask", "labels"}, func(scope *model.Scope, in []*Node, out *outputs) {
		states := blip.DecoderStates(scope, cfg, blip.Memory(scope, cfg, blip.ImageStates(scope, cfg, in[0])), nil, in[1], in[2])
		logits := blip.WordLogits(scope, cfg, states)
		out.put("loss", shiftedLoss(logits, in[3], cfg.Text.LabelSmoothing))
		out.put("loss_nosmooth", shiftedLoss(logits, in[3], 0))
	}); err != nil {
		return err
	}
	if !r.needs("gen.*") || !r.hasInput("pixel_values") {
		return nil
	}
	pixels, err := r.input("pixel_values")
	if err != nil {
		return err
	}
	image, err := r.value([]*tensors.Tensor{pixels}, func(scope *model.Scope, in []*Node) *Node { return blip.ImageStates(scope, cfg, in[0]) })
	if err != nil {
		return err
	}
	generator := generate.NewGenerator(r.backend, r.store, generate.BLIP{Config: cfg}, cfg.Text.VocabSize)
	defer generator.Finalize()
	for variant, prefix := range map[string]string{"": "", "prompt": "prompt_", "ragged_prompt": "ragged_prompt_"} {
		wanted := r.generations(variant)
		if len(wanted) == 0 {
			continue
		}
		prompts, mask := decoderStart(cfg, pixels.Shape().Dim(0))
		if prefix != "" {
			if prompts, mask, err = r.texts(prefix); err != nil {
				return err
			}
			for i := range prompts {
				last := len(prompts[i]) - 1
				prompts[i], mask[i] = prompts[i][:last], mask[i][:last]
				prompts[i][0] = int32(cfg.Text.BOSTokenID)
			}
		}
		for _, g := range wanted {
			if err := r.generate(generator, g, []*tensors.Tensor{image}, prompts, mask, cfg.Text.SEPTokenID, cfg.Text.PadTokenID); err != nil {
				return err
			}
		}
	}
	return nil
}

// decoderStart is [DEC] for each row.
func decoderStart(cfg *blip.Config, rows int) (prompts, mask [][]int32) {
	for range rows {
		prompts, mask = append(prompts, []int32{int32(cfg.Text.BOSTokenID)}), append(mask, []int32{1})
	}
	return prompts, mask
}

// blipITM is BlipForImageTextRetrieval: itm.* judges picture and text of one row, with the [CLS] that
// transformers leaves in front and, as itm_enc_token, with the original's [ENC]; cos.* compares every
// picture with every text.
func blipITM(r *run) error {
	cfg, err := openBLIP(r, blip.RetrievalClass)
	if err != nil {
		return err
	}
	for name, ids := range map[string]string{"itm": "input_ids", "itm_enc_token": "enc_input_ids"} {
		if err := r.graph([]string{"pixel_values", ids, "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
			states := blip.GroundedStates(scope, cfg, blip.ImageStates(scope, cfg, in[0]), in[1], in[2])
			logits := blip.Match(scope, states)
			out.put(name+".question_embeds", states)
			out.put(name+".logits", logits)
			out.put(name+".probs", Softmax(logits, -1))
		}); err != nil {
			return err
		}
	}
	return r.graph([]string{"pixel_values", "cos_input_ids", "cos_attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		states := blip.TextStates(scope, cfg, in[1], in[2])
		image, text := blip.ImageFeatures(scope, cfg, blip.ImageStates(scope, cfg, in[0])), blip.TextFeatures(scope, cfg, states)
		out.put("cos.question_embeds", states)
		out.put("cos.image_features", image)
		out.put("cos.text_features", text)
		out.put("cos.scores", Einsum("id,td->it", image, text))
	})
}

// blipVQA is BlipForQuestionAnswering: the answer decoder attends to the question's states, padding
// included. When it generates, transformers says so; in the loss it passes the question's mask, but
// its cross-attention drops the mask on the way (transformers 5.23, and the values of the case).
func blipVQA(r *run) error {
	cfg, err := openBLIP(r, blip.VQAClass)
	if err != nil {
		return err
	}
	question := []string{"pixel_values", "input_ids", "attention_mask"}
	encode := func(scope *model.Scope, in []*Node) *Node {
		return blip.GroundedStates(scope, cfg, blip.ImageStates(scope, cfg, in[0]), in[1], in[2])
	}
	if err := r.graph(question, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("encoder.last_hidden_state", encode(scope, in))
	}); err != nil {
		return err
	}
	answer := append(question, "decoder_input_ids", "decoder_attention_mask", "labels")
	if err := r.graph(answer, func(scope *model.Scope, in []*Node, out *outputs) {
		memory := blip.Memory(scope, cfg, encode(scope, in))
		logits := blip.WordLogits(scope, cfg, blip.DecoderStates(scope, cfg, memory, nil, in[3], in[4]))
		out.put("decoder.logits", logits)
		out.put("loss", shiftedLoss(logits, in[5], cfg.Text.LabelSmoothing))
		out.put("answer_nll", answerLoss(logits, in[5], cfg.Text.LabelSmoothing))
	}); err != nil {
		return err
	}
	if !r.needs("gen.*") {
		return nil
	}
	var inputs []*tensors.Tensor
	for _, name := range question {
		value, err := r.input(name)
		if err != nil {
			return err
		}
		inputs = append(inputs, value)
	}
	states, err := r.value(inputs, encode)
	if err != nil {
		return err
	}
	generator := generate.NewGenerator(r.backend, r.store, generate.BLIP{Config: cfg}, cfg.Text.VocabSize)
	defer generator.Finalize()
	prompts, mask := decoderStart(cfg, inputs[0].Shape().Dim(0))
	for _, g := range r.generations("") {
		if err := r.generate(generator, g, []*tensors.Tensor{states}, prompts, mask, cfg.Text.SEPTokenID, cfg.Text.PadTokenID); err != nil {
			return err
		}
	}
	return nil
}

// answerLoss sums the next word's cross entropy over each row's labels: -> [batch].
func answerLoss(logits, labels *Node, smoothing float64) *Node {
	n := labels.Shape().Dim(1)
	logits, labels = Slice(logits, AxisRange(), AxisRange(0, n-1)), Slice(labels, AxisRange(), AxisRange(1))
	counts := ConvertDType(NotEqual(labels, ConstAs(labels, ignored)), logits.DType())
	return ReduceSum(Mul(nn.CrossEntropy(logits, MaxScalar(labels, 0), smoothing), counts), 1)
}
