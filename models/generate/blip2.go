package generate

import (
	"fmt"
	"slices"

	"goblip/models/blip2"
	"goblip/models/opt"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIP2 generates text for pictures with a stage-2 model, whose language model is an OPT or a T5, or
// with an InstructBLIP.
type BLIP2 struct {
	cfg       *blip2.Config
	prompt    *model.Exec
	generator *Generator
}

// NewBLIP2 prepares generation; the store holds the loaded model under /model.
func NewBLIP2(backend compute.Backend, store *model.Store, cfg *blip2.Config) (*BLIP2, error) {
	var graphs Graphs = optGraphs{cfg}
	if cfg.T5 != nil {
		graphs = blip2T5(cfg)
	}
	_, vocab, _, _ := cfg.LLM()
	b := &BLIP2{cfg: cfg, generator: NewGenerator(backend, store, graphs, vocab)}
	var err error
	b.prompt, err = model.NewExec(backend, store, func(root *model.Scope, in []*Node) *Node {
		if cfg.Instructed() {
			return blip2.InstructedPrompt(root.At("model"), cfg, in[0], in[1], in[2])
		}
		return blip2.VisualPrompt(root.At("model"), cfg, in[0])
	})
	return b, err
}

// Finalize frees the compiled graphs.
func (b *BLIP2) Finalize() {
	b.prompt.Finalize()
	b.generator.Finalize()
}

// VisualPrompt runs the Q-Former: states [batch, patches, image_hidden] -> [batch, queries, width].
// An InstructBLIP's takes instructions too: ids and mask int32 [batch, text].
func (b *BLIP2) VisualPrompt(states *tensors.Tensor, instructions ...*tensors.Tensor) (*tensors.Tensor, error) {
	return b.prompt.Call1(arguments(append([]*tensors.Tensor{states}, instructions...))...)
}

// Generate continues text prompts behind visual prompts (see VisualPrompt).
// ids and mask are [batch, text]: for an OPT padded on the left, </s> and the text; for a T5 padded on
// the right, the text and </s>. placeholder is the id that stands for a soft token where penalties
// look at an OPT's prompt. Padding is no part of a prompt for them and for MinLength: transformers
// counts it, so that there a row depends on the longest one. A T5's penalties and lengths know nothing
// of the prompt, which its encoder reads; they count the start token.
func (b *BLIP2) Generate(visual *tensors.Tensor, ids, mask [][]int32, placeholder int32, o Options, streams []uint64) ([]Sequence, error) {
	prompts := make([][]int32, len(ids))
	for i := range prompts {
		if t := b.cfg.T5; t != nil {
			prompts[i] = []int32{int32(t.DecoderStartTokenID)}
			continue
		}
		for range b.cfg.NumQueryTokens {
			prompts[i] = append(prompts[i], placeholder)
		}
		for j, id := range ids[i] {
			if mask[i][j] != 0 {
				prompts[i] = append(prompts[i], id)
			}
		}
	}
	return b.Continue(visual, ids, mask, prompts, o, streams)
}

// Continue is Generate with prompts as penalties and MinLength are to see them, and with an OPT's
// padding on any side: parity with transformers needs both. Behind padding on the right a new token's
// position is 1, as if the padding had been a text of one word.
func (b *BLIP2) Continue(visual *tensors.Tensor, ids, mask, prompts [][]int32, o Options, streams []uint64) ([]Sequence, error) {
	batch, queries := len(ids), b.cfg.NumQueryTokens
	if batch == 0 || visual.Shape().Dim(0) != batch {
		return nil, fmt.Errorf("%d visual prompts for %d texts", visual.Shape().Dim(0), batch)
	}
	text := len(ids[0])
	inputs := []*tensors.Tensor{visual, tensors.FromFlatDataAndDimensions(slices.Concat(ids...), batch, text),
		tensors.FromFlatDataAndDimensions(slices.Concat(mask...), batch, text)}
	visible := make([][]int32, batch)
	if b.cfg.T5 != nil {
		for i := range visible {
			visible[i] = []int32{1} // the start token
		}
		return b.generator.Generate(inputs, visible, prompts, o, streams)
	}
	if limit := b.cfg.Text.MaxPositionEmbeddings; queries+text+o.MaxNewTokens > limit {
		return nil, fmt.Errorf("%d soft tokens, %d of the prompt and %d new ones are more than the language model's %d positions",
			queries, text, o.MaxNewTokens, limit)
	}
	for i := range visible {
		visible[i] = append(slices.Repeat([]int32{1}, queries), mask[i]...)
	}
	return b.generator.Generate(inputs, visible, prompts, o, streams)
}

// optGraphs is the decoder of a BLIP-2 with an OPT.
type optGraphs struct{ cfg *blip2.Config }

// Prefill: inputs visual [batch, queries, width], ids and mask int32 [batch, text].
func (b optGraphs) Prefill(scope *model.Scope, in []*Node) Prefilled {
	visual, ids, mask := in[0], in[1], in[2]
	cfg, llm := &b.cfg.Text, scope.At("language_model")
	embeds := Concatenate([]*Node{visual, opt.Embed(llm, cfg, ids)}, 1)
	full := Concatenate([]*Node{blip2.OnesLike32(mask, b.cfg.NumQueryTokens), mask}, 1)
	logits, next, cache := prefillOPT(llm, cfg, embeds, full)
	return Prefilled{Logits: logits, Memory: []*Node{next}, Cache: cache}
}

// Next continues behind the last column.
func (b optGraphs) Next(scope *model.Scope, s Step) (logits *Node, own []*Node) {
	return nextOPT(scope.At("language_model"), &b.cfg.Text, s)
}

// OPT is the decoder of an OPTForCausalLM.
type OPT struct{ Config *opt.Config }

// Prefill: inputs ids and mask int32 [batch, text].
func (o OPT) Prefill(scope *model.Scope, in []*Node) Prefilled {
	logits, next, cache := prefillOPT(scope, o.Config, opt.Embed(scope, o.Config, in[0]), in[1])
	return Prefilled{Logits: logits, Memory: []*Node{next}, Cache: cache}
}

// Next continues behind the last column.
func (o OPT) Next(scope *model.Scope, s Step) (logits *Node, own []*Node) {
	return nextOPT(scope, o.Config, s)
}

// prefillOPT reads embedded prompts: mask int32 [batch, columns]. next int32 [batch, 1] is what makes
// a column's number the position of its token.
func prefillOPT(llm *model.Scope, cfg *opt.Config, embeds, mask *Node) (logits, next *Node, cache []*Node) {
	positions := MaxScalar(opt.Positions(mask), 0)
	states, kv := opt.Decode(llm, cfg, embeds, positions, blip2.CausalMask(mask, embeds), nil)
	last := Squeeze(Slice(states, AxisRange(), AxisElem(-1)), 1)
	return opt.Logits(llm, cfg, last), PositionShift(positions), flatten(kv)
}

func nextOPT(llm *model.Scope, cfg *opt.Config, s Step) (logits *Node, own []*Node) {
	embeds := opt.Embed(llm, cfg, s.Tokens)
	states, kv := opt.Decode(llm, cfg, embeds, s.Positions(s.Memory[0]), s.Mask(embeds), pairs[opt.KV](s.Cache))
	return opt.Logits(llm, cfg, Squeeze(states, 1)), flatten(kv)
}
