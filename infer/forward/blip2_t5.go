package forward

import (
	"fmt"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/models/generate"
	"goblip/models/t5"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// withT5 is a BLIP-2 or an InstructBLIP whose language model is a T5. Texts are input_ids and
// attention_mask, image placeholders included; an InstructBLIP's instructions are qformer_input_ids
// and qformer_attention_mask.
type withT5 struct {
	*run
	cfg    blip2.Config
	images []string // inputs of the visual prompt
}

func blip2T5(r *run) error {
	m := withT5{run: r}
	cfg := &m.cfg
	if err := r.readModel(checkpoints.ConfigFile, cfg); err != nil {
		return err
	}
	if err := firstError(cfg.Validate(), cfg.ValidateLLM()); err != nil {
		return err
	}
	if cfg.ImageTokenIndex == nil {
		return fmt.Errorf("config.json: image_token_index is missing: no token stands for the image")
	}
	m.images = imageInputs(cfg)
	if err := m.load(); err != nil {
		return err
	}
	if names := r.given(append(m.images, t5Inputs...)); len(names) >= len(m.images) {
		if err := r.graph(names, m.everything); err != nil {
			return err
		}
	}
	return m.generate()
}

// t5Inputs are a T5's, in the order of what follows from them.
var t5Inputs = []string{"input_ids", "attention_mask", "labels", "decoder_attention_mask"}

// given are the first of names, up to one that the case lacks.
func (r *run) given(names []string) []string {
	for i, name := range names {
		if !r.hasInput(name) {
			return names[:i]
		}
	}
	return names
}

func (m *withT5) load() error {
	folder, err := m.folder()
	if err != nil {
		return err
	}
	defer folder.Close()
	o, err := infer.T5LoadOptions(folder, "language_model.", "", m.cfg.T5)
	if err != nil {
		return err
	}
	o.IgnoreUnexpected = infer.IsPositionIDs
	v := &m.cfg.Vision
	return m.run.load(o, func(scope *model.Scope, in []*Node) {
		infer.WholeModel(scope, &m.cfg, lastState(scope, v, in[0]), in[1])
	}, shapes.Make(dtypes.Float32, 1, 3, v.ImageSize, v.ImageSize), shapes.Make(dtypes.Int32, 1, 2))
}

// everything names what follows from the images, then from texts, labels, and a mask of decoder inputs,
// as far as they are given.
func (m *withT5) everything(scope *model.Scope, in []*Node, out *outputs) {
	prompt := promptOutputs(scope, &m.cfg, in, out)
	texts := in[len(m.images):]
	if len(texts) < 2 {
		return
	}
	llm, ids, mask := scope.At("language_model"), texts[0], texts[1]
	embeds := scatterPrompt(t5.Embed(llm, m.cfg.T5, ids), prompt, ids, *m.cfg.ImageTokenIndex)
	states := t5.Encode(llm, m.cfg.T5, embeds, mask)
	out.put("t5.encoder_last_hidden_state", states)
	m.answers(texts[2:], out, func(labels, labelMask *Node) *Node {
		return blip2.AnswerLogits(scope, &m.cfg, states, mask, labels, labelMask)
	})
}

// answers names the logits and the loss of labels, its gradients, and the same with a mask of decoder
// inputs; given are labels and the mask, or less.
func (r *run) answers(given []*Node, out *outputs, logits func(labels, labelMask *Node) *Node) {
	if len(given) == 0 {
		return
	}
	labels := given[0]
	scores := logits(labels, nil)
	loss := labelLoss(scores, labels, 0)
	out.put("logits", scores)
	out.put("loss", loss)
	r.gradients("grad.", loss, func(name string) string { return name }, out)
	if len(given) > 1 {
		scores := logits(labels, given[1])
		out.put("with_decoder_mask.logits", scores)
		out.put("with_decoder_mask.loss", labelLoss(scores, labels, 0))
	}
}

func (m *withT5) generate() error {
	wanted := m.generations("")
	if len(wanted) == 0 || !m.hasInput("pixel_values") {
		return nil
	}
	images := make([]*tensors.Tensor, len(m.images))
	for i, name := range m.images {
		var err error
		if images[i], err = m.input(name); err != nil {
			return err
		}
	}
	ids, mask, err := m.texts("")
	if err != nil {
		return err
	}
	if err := checkPlaceholders(ids, &m.cfg); err != nil {
		return fmt.Errorf("input_ids: %w", err)
	}
	generator, err := generate.NewBLIP2(m.backend, m.store, &m.cfg)
	if err != nil {
		return err
	}
	defer generator.Finalize()
	states, err := m.value(images[:1], func(scope *model.Scope, in []*Node) *Node { return lastState(scope, &m.cfg.Vision, in[0]) })
	if err != nil {
		return err
	}
	visual, err := generator.VisualPrompt(states, images[1:]...)
	if err != nil {
		return err
	}
	q := m.cfg.NumQueryTokens
	return m.decodeT5(m.cfg.T5, len(ids), wanted, func(starts [][]int32, o generate.Options) ([]generate.Sequence, error) {
		return generator.Continue(visual, tail(ids, q), tail(mask, q), starts, o, nil)
	})
}

// decodeT5 generates all that is wanted of a T5, behind the start token of each row.
func (r *run) decodeT5(cfg *t5.Config, rows int, wanted []generation, run func(starts [][]int32, o generate.Options) ([]generate.Sequence, error)) error {
	starts := make([][]int32, rows)
	for i := range starts {
		starts[i] = []int32{int32(cfg.DecoderStartTokenID)}
	}
	for _, g := range wanted {
		o, err := r.options(g, 1, cfg.EOSTokenID)
		if err != nil {
			return err
		}
		sequences, err := run(starts, o)
		if err != nil {
			return err
		}
		r.putSequences(g, o, starts, sequences, cfg.PadTokenID)
	}
	return nil
}
