package generate

import (
	"fmt"

	"goblip/models/blip2"
	"goblip/models/nn"
	"goblip/models/opt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIP2 generates text for pictures with a stage-2 model. Its graphs have fixed shapes (batch,
// prompt, new tokens), so that each compiles once; a short batch is filled up with copies of its
// first picture, and rows never see each other: a batch of n gives what n single calls give.
type BLIP2 struct {
	cfg     *blip2.Config
	backend compute.Backend
	store   *model.Store
	prompt  *model.Exec
	first   map[int]*model.Exec // by beams and cache length
	next    *model.Exec
}

// NewBLIP2 prepares generation; the store holds the loaded model under /model.
func NewBLIP2(backend compute.Backend, store *model.Store, cfg *blip2.Config) (*BLIP2, error) {
	b := &BLIP2{cfg: cfg, backend: backend, store: store, first: map[int]*model.Exec{}}
	var err error
	if b.prompt, err = model.NewExec(backend, store, func(scope *model.Scope, states *Node) *Node {
		return blip2.VisualPrompt(scope.At("model"), cfg, states)
	}); err != nil {
		return nil, err
	}
	b.next, err = model.NewExec(backend, store, b.nextGraph)
	return b, err
}

// Finalize frees the compiled graphs.
func (b *BLIP2) Finalize() {
	b.prompt.Finalize()
	b.next.Finalize()
	for _, e := range b.first {
		e.Finalize()
	}
}

// VisualPrompt runs the Q-Former: states [batch, patches, image_hidden] -> [batch, queries, width].
func (b *BLIP2) VisualPrompt(states *tensors.Tensor) (*tensors.Tensor, error) {
	return b.prompt.Call1(states)
}

// Generate continues text prompts behind visual prompts (see VisualPrompt).
// ids and mask are [batch, text], padded on the left: </s> and the text. placeholder is the id that
// stands for a soft token where penalties look at the prompt. Padding is no part of a prompt for them
// and for MinLength: transformers counts it, so that there a row depends on the longest one.
func (b *BLIP2) Generate(visual *tensors.Tensor, ids, mask [][]int32, placeholder int32, o Options, streams []uint64) ([]Sequence, error) {
	prompts := make([][]int32, len(ids))
	for i := range prompts {
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

// Continue is Generate with prompts as penalties and MinLength are to see them, and with padding on
// any side: the parity with transformers needs both. A new token's position is one behind that of
// the last column, and masked columns have position 0, so that behind padding on the right it is 1.
func (b *BLIP2) Continue(visual *tensors.Tensor, ids, mask, prompts [][]int32, o Options, streams []uint64) ([]Sequence, error) {
	batch, queries, text := len(ids), b.cfg.NumQueryTokens, len(ids[0])
	if visual.Shape().Dim(0) != batch {
		return nil, fmt.Errorf("%d visual prompts for %d texts", visual.Shape().Dim(0), batch)
	}
	total := queries + text + o.MaxNewTokens
	if limit := b.cfg.Text.MaxPositionEmbeddings; total > limit {
		return nil, fmt.Errorf("%d soft tokens, %d of the prompt and %d new ones are more than the language model's %d positions",
			queries, text, o.MaxNewTokens, limit)
	}
	d := &blip2Decoder{b: b, beams: o.NumBeams, visual: visual, ids: ids, mask: mask, length: total}
	defer d.free()
	return Run(d, prompts, b.cfg.Text.VocabSize, o, streams)
}

// blip2Decoder holds the cache of one generation.
type blip2Decoder struct {
	b         *BLIP2
	beams     int
	visual    *tensors.Tensor
	ids, mask [][]int32
	length    int   // of the cache: soft tokens, prompt and new tokens
	at        int32 // where the next token goes in the cache
	cache     []*tensors.Tensor
	visible   []int32 // [rows, length]
	positions []int32 // [rows]
}

func (d *blip2Decoder) free() {
	for _, t := range d.cache {
		_ = t.FinalizeAll()
	}
}

// First fills the cache with the prompt and repeats each item for its beams.
func (d *blip2Decoder) First() ([]float32, error) {
	b, batch, text, queries := d.b, len(d.ids), len(d.ids[0]), d.b.cfg.NumQueryTokens
	key := d.beams<<16 | d.length
	exec := b.first[key]
	if exec == nil {
		var err error
		if exec, err = model.NewExec(b.backend, b.store, func(scope *model.Scope, visual, ids, mask *Node) []*Node {
			return b.firstGraph(scope.At("model"), visual, ids, mask, d.beams, d.length)
		}); err != nil {
			return nil, err
		}
		b.first[key] = exec
	}
	var flat, mask []int32
	for i := range d.ids {
		flat, mask = append(flat, d.ids[i]...), append(mask, d.mask[i]...)
		row := make([]int32, d.length)
		seen := int32(0)
		for j := range queries + text {
			row[j] = 1
			if j >= queries {
				row[j] = d.mask[i][j-queries]
			}
			seen += row[j]
		}
		if row[queries+text-1] == 0 { // padding on the right
			seen = 1
		}
		for range d.beams {
			d.visible = append(d.visible, row...)
			d.positions = append(d.positions, seen)
		}
	}
	d.at = int32(queries + text)
	out, err := exec.Call(d.visual, tensors.FromFlatDataAndDimensions(flat, batch, text), tensors.FromFlatDataAndDimensions(mask, batch, text))
	if err != nil {
		return nil, err
	}
	d.cache = out[1:]
	return tensors.CopyFlatData[float32](out[0])
}

// Next runs one token a row.
func (d *blip2Decoder) Next(tokens, parents []int32) ([]float32, error) {
	rows := len(tokens)
	args := []any{
		tensors.FromFlatDataAndDimensions(tokens, rows, 1),
		tensors.FromFlatDataAndDimensions(parents, rows),
		tensors.FromFlatDataAndDimensions(d.positions, rows, 1),
		tensors.FromFlatDataAndDimensions(d.visible, rows, d.length),
		tensors.FromScalar(d.at),
	}
	old := d.cache
	for _, t := range old {
		args = append(args, t)
	}
	out, err := d.b.next.Call(args...)
	if err != nil {
		return nil, err
	}
	d.cache = out[1:]
	for _, t := range old {
		if err := t.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	for r := range rows {
		d.visible[r*d.length+int(d.at)] = 1
		d.positions[r]++
	}
	d.at++
	return tensors.CopyFlatData[float32](out[0])
}

// firstGraph: -> logits [rows, vocab] and per layer keys, values [rows, heads, length, head_dim].
func (b *BLIP2) firstGraph(scope *model.Scope, visual, ids, mask *Node, beams, length int) []*Node {
	cfg, llm := &b.cfg.Text, scope.At("language_model")
	embeds := Concatenate([]*Node{visual, opt.Embed(llm, cfg, ids)}, 1)
	full := Concatenate([]*Node{blip2.OnesLike32(mask, b.cfg.NumQueryTokens), mask}, 1)
	positions := MaxScalar(opt.Positions(full), 0)
	states, cache := opt.Decode(llm, cfg, embeds, positions, blip2.CausalMask(full, embeds), nil)
	last := Squeeze(Slice(states, AxisRange(), AxisElem(-1)), 1)
	batch := ids.Shape().Dim(0)
	repeat := func(x *Node) *Node { // [batch, ...] -> [batch*beams, ...]
		if beams == 1 {
			return x
		}
		rows := make([]int32, 0, batch*beams)
		for i := range batch * beams {
			rows = append(rows, int32(i/beams))
		}
		return nn.Lookup(x, Const(x.Graph(), rows))
	}
	out := []*Node{repeat(opt.Logits(llm, cfg, last))}
	for _, kv := range cache {
		for _, x := range []*Node{kv.Key, kv.Value} {
			room := length - x.Shape().Dim(2)
			out = append(out, repeat(GrowRight(x, 2, room, 0)))
		}
	}
	return out
}

// nextGraph runs tokens [rows, 1]; inputs as in Next.
func (b *BLIP2) nextGraph(root *model.Scope, in []*Node) []*Node {
	cfg, llm := &b.cfg.Text, root.At("model").At("language_model")
	tokens, parents, positions, visible, at := in[0], in[1], in[2], in[3], in[4]
	past := make([]opt.KV, cfg.NumHiddenLayers)
	for i := range past {
		past[i] = opt.KV{Key: nn.Lookup(in[5+2*i], parents), Value: nn.Lookup(in[6+2*i], parents)}
	}
	embeds := opt.Embed(llm, cfg, tokens)
	mask := Concatenate([]*Node{visible, blip2.OnesLike32(visible, 1)}, 1) // cache, then the token itself
	mask = InsertAxes(GreaterThan(mask, ScalarZero(mask.Graph(), mask.DType())), 1)
	states, own := opt.Decode(llm, cfg, embeds, positions, nn.AdditiveMask(mask, embeds), past)
	out := []*Node{opt.Logits(llm, cfg, Squeeze(states, 1))}
	put := func(cache, x *Node) *Node { // not DynamicUpdateSlice, which the pure-Go backend lacks
		here := Equal(Iota(at.Graph(), shapes.Make(at.DType(), cache.Shape().Dimensions...), 2), at)
		return Where(here, BroadcastToDims(x, cache.Shape().Dimensions...), cache)
	}
	for i := range past {
		out = append(out, put(past[i].Key, own[i].Key), put(past[i].Value, own[i].Value))
	}
	return out
}
