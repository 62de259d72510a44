package generate

import (
	"fmt"

	"goblip/models/nn"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Graphs is a decoder with a cache: a prompt at once, then token by token. An encoder-decoder model
// encodes its source in Prefill too, and keeps cross-attention's keys and values in Memory; a
// decoder alone has no Memory.
type Graphs interface {
	// Prefill reads what Generate was given as inputs, in that order. scope is the model's root.
	Prefill(scope *model.Scope, inputs []*Node) Prefilled

	// Next reads one token a row -> logits of the word after it, float32 [rows, vocab], and the
	// token's own keys and values, each [rows, heads, 1, head_dim], in the order of the cache.
	Next(scope *model.Scope, step Step) (logits *Node, own []*Node)
}

// Prefilled is what a batch of prompts leaves behind.
type Prefilled struct {
	Logits *Node   // of the word after the prompt, float32 [batch, vocab]
	Memory []*Node // what later tokens read and never change, each [batch, ...]
	Cache  []*Node // keys and values of the prompt's columns, each [batch, heads, columns, head_dim]
}

// Step is one token of every row. The beams of an item are rows beside each other: rows is
// batch*beams, and row r belongs to item r/beams of Memory, which is not repeated for them.
type Step struct {
	Tokens  *Node   // int32 [rows, 1]
	Column  *Node   // int32 scalar: where the tokens go in the cache
	Visible *Node   // int32 0/1 [rows, columns]: which columns of the cache count, this token's not yet
	Memory  []*Node // as Prefill gave it
	Cache   []*Node // each [rows, heads, columns, head_dim], columns with room for all tokens to come
}

// Mask lets a step's token see the visible columns and, behind them, itself: additive
// [rows, 1, 1, columns+1].
func (s Step) Mask(like *Node) *Node {
	all := Concatenate([]*Node{s.Visible, OnesLike(s.Tokens)}, 1)
	return nn.AdditiveMask(InsertAxes(GreaterThan(all, ScalarZero(all.Graph(), all.DType())), 1), like)
}

// PositionShift is what a later token's position differs from its column by, for Memory: a token's
// position is one more than that of the column before. positions int32 [batch, columns] of the prompt
// -> [batch, 1].
func PositionShift(positions *Node) *Node {
	last := positions.Shape().Dim(1) - 1
	return SubScalar(Slice(positions, AxisRange(), AxisRange(last)), last)
}

// Positions are the tokens' positions: shift of PositionShift -> int32 [rows, 1].
func (s Step) Positions(shift *Node) *Node {
	batch, rows := shift.Shape().Dim(0), s.Tokens.Shape().Dim(0)
	shift = Reshape(BroadcastToDims(shift, batch, rows/batch), rows, 1) // an item's beams beside each other
	return Add(shift, BroadcastToDims(s.Column, rows, 1))
}

// Generator runs Graphs for Run. Its graphs have fixed shapes (batch, prompt, new tokens), so that each
// compiles once; rows never see each other: a batch of n gives what n single calls give.
type Generator struct {
	graphs   Graphs
	vocab    int
	backend  compute.Backend
	store    *model.Store
	first    map[firstKey]*model.Exec
	next     map[bool]*model.Exec // true: rows change places, in beam search
	memories int                  // tensors of Memory, known once Prefill was built
}

// firstKey is what the shapes of Prefill's inputs do not tell.
type firstKey struct{ beams, newTokens int }

// NewGenerator prepares generation; the store holds the loaded model under /model.
func NewGenerator(backend compute.Backend, store *model.Store, graphs Graphs, vocab int) *Generator {
	return &Generator{graphs: graphs, vocab: vocab, backend: backend, store: store,
		first: map[firstKey]*model.Exec{}, next: map[bool]*model.Exec{}}
}

// Finalize frees the compiled graphs.
func (g *Generator) Finalize() {
	for _, e := range g.first {
		e.Finalize()
	}
	for _, e := range g.next {
		e.Finalize()
	}
}

// Generate continues a batch. inputs are Prefill's; visible [batch][columns] says which columns of the
// cache count after it; prompts and streams are those of Run.
func (g *Generator) Generate(inputs []*tensors.Tensor, visible, prompts [][]int32, o Options, streams []uint64) ([]Sequence, error) {
	if len(visible) != len(prompts) || len(prompts) == 0 {
		return nil, fmt.Errorf("%d prompts with %d rows of visible columns", len(prompts), len(visible))
	}
	d := &cachedDecoder{g: g, beams: o.NumBeams, newTokens: o.MaxNewTokens, inputs: inputs, prompt: visible}
	defer d.free()
	return Run(d, prompts, g.vocab, o, streams)
}

// exec compiles a graph at its first use.
func exec[K comparable](g *Generator, all map[K]*model.Exec, key K, build func(scope *model.Scope, in []*Node) []*Node) (*model.Exec, error) {
	if e := all[key]; e != nil {
		return e, nil
	}
	e, err := model.NewExec(g.backend, g.store, func(root *model.Scope, in []*Node) []*Node { return build(root.At("model"), in) })
	if err == nil {
		all[key] = e
	}
	return e, err
}

// cachedDecoder holds the cache of one generation.
type cachedDecoder struct {
	g                *Generator
	beams, newTokens int
	inputs           []*tensors.Tensor
	prompt           [][]int32 // visible columns of the prompt
	columns          int       // of the cache: prompt and new tokens
	at               int       // the next token's column
	visible          []int32   // [rows, columns]
	memory, cache    []*tensors.Tensor
}

func (d *cachedDecoder) free() {
	for _, t := range append(d.memory, d.cache...) {
		_ = t.FinalizeAll()
	}
}

// First fills the cache with the prompt and repeats each item for its beams.
func (d *cachedDecoder) First() ([]float32, error) {
	g := d.g
	e, err := exec(g, g.first, firstKey{d.beams, d.newTokens}, func(scope *model.Scope, in []*Node) []*Node {
		return g.firstGraph(scope, in, d.beams, d.newTokens)
	})
	if err != nil {
		return nil, err
	}
	d.at = len(d.prompt[0])
	d.columns = d.at + d.newTokens
	for _, row := range d.prompt {
		for range d.beams {
			d.visible = append(append(d.visible, row...), make([]int32, d.newTokens)...)
		}
	}
	out, err := e.Call(arguments(d.inputs)...)
	if err != nil {
		return nil, err
	}
	d.memory, d.cache = out[1:1+g.memories], out[1+g.memories:]
	return logitsOf(out[0])
}

// Next runs one token a row.
func (d *cachedDecoder) Next(tokens, parents []int32) ([]float32, error) {
	g, rows, reorder := d.g, len(tokens), d.beams > 1
	e, err := exec(g, g.next, reorder, func(scope *model.Scope, in []*Node) []*Node { return g.nextGraph(scope, in, reorder) })
	if err != nil {
		return nil, err
	}
	args := []any{
		tensors.FromFlatDataAndDimensions(tokens, rows, 1),
		tensors.FromScalar(int32(d.at)),
		tensors.FromFlatDataAndDimensions(d.visible, rows, d.columns),
	}
	if reorder {
		args = append(args, tensors.FromFlatDataAndDimensions(parents, rows))
	}
	args = append(append(args, arguments(d.memory)...), arguments(d.cache)...)
	out, err := e.Call(args...)
	if err != nil {
		return nil, err
	}
	old := d.cache
	d.cache = out[1:]
	for _, t := range old {
		if err := t.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	for r := range rows {
		d.visible[r*d.columns+d.at] = 1
	}
	d.at++
	return logitsOf(out[0])
}

func arguments(of []*tensors.Tensor) []any {
	args := make([]any, len(of))
	for i, t := range of {
		args[i] = t
	}
	return args
}

func logitsOf(t *tensors.Tensor) ([]float32, error) {
	flat, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, err
	}
	return flat, t.FinalizeAll()
}

// firstGraph: -> logits [rows, vocab], then Memory as it is, then the cache for all beams with room
// for the tokens to come.
func (g *Generator) firstGraph(scope *model.Scope, in []*Node, beams, newTokens int) []*Node {
	p := g.graphs.Prefill(scope, in)
	g.memories = len(p.Memory)
	batch := p.Logits.Shape().Dim(0)
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
	out := append([]*Node{repeat(p.Logits)}, p.Memory...)
	for _, x := range p.Cache {
		out = append(out, repeat(GrowRight(x, 2, newTokens, 0)))
	}
	return out
}

// nextGraph: inputs as in Next -> logits [rows, vocab] and the cache with the tokens in it.
func (g *Generator) nextGraph(scope *model.Scope, in []*Node, reorder bool) []*Node {
	s := Step{Tokens: in[0], Column: in[1], Visible: in[2]}
	rest := in[3:]
	var parents *Node
	if reorder {
		parents, rest = rest[0], rest[1:]
	}
	s.Memory, s.Cache = rest[:g.memories], append([]*Node{}, rest[g.memories:]...)
	if reorder {
		for i, x := range s.Cache {
			s.Cache[i] = nn.Lookup(x, parents)
		}
	}
	logits, own := g.graphs.Next(scope, s)
	out := []*Node{logits}
	for i, x := range s.Cache { // not DynamicUpdateSlice, which the pure-Go backend lacks
		dims := x.Shape().Dimensions
		here := Equal(Iota(x.Graph(), shapes.Make(s.Column.DType(), dims...), 2), s.Column)
		out = append(out, Where(here, BroadcastToDims(own[i], dims...), x))
	}
	return out
}

// keysValues is how models pair the two.
type keysValues interface{ ~struct{ Key, Value *Node } }

// flatten lists keys and values layer by layer, as caches hold them.
func flatten[KV keysValues](kvs []KV) []*Node {
	var out []*Node
	for _, kv := range kvs {
		p := struct{ Key, Value *Node }(kv)
		out = append(out, p.Key, p.Value)
	}
	return out
}

// pairs undoes flatten.
func pairs[KV keysValues](flat []*Node) []KV {
	out := make([]KV, len(flat)/2)
	for i := range out {
		out[i] = KV(struct{ Key, Value *Node }{flat[2*i], flat[2*i+1]})
	}
	return out
}
