package plan

import (
	"goblip/models/vit"
)

// Work is what one step of a job computes and keeps, over all devices, counted from its sizes.
type Work struct {
	Forward  float64 // floating-point operations of the forward pass, 2 for a multiply-add
	Backward float64 // of the backward pass
	Again    float64 // of what the backward pass computes again
	Kept     float64 // bytes of activations that the backward pass needs
	Largest  float64 // bytes of the largest values that live for a moment
	Read     float64 // bytes of weights read, forward and backward
	Moved    float64 // bytes of activations read and written
}

// Flops are all operations of a step.
func (w Work) Flops() float64 { return w.Forward + w.Backward + w.Again }

// flow says how far gradients flow through a layer.
type flow float64

// The backward pass costs as many products of the forward pass's size as the number.
const (
	frozen  flow = 0 // none: no gradient passes
	through flow = 1 // its weights are frozen, but its input needs a gradient
	trained flow = 2 // its weights need one as well
)

// counter adds up the layers of a step.
type counter struct {
	Work
	width  float64 // bytes of a number that is computed with
	remat  bool
	block  Work // of the transformer block being counted
	inside bool
}

// linear counts x·W: rows [in] -> [out].
func (c *counter) linear(rows, in, out int, f flow) {
	flops := 2 * float64(rows) * float64(in) * float64(out)
	c.add(flops, float64(f)*flops)
	c.Moved += float64(rows) * float64(in+out) * c.width * float64(1+f)
	c.Read += float64(in) * float64(out) * c.width * float64(1+f)
}

func (c *counter) add(forward, backward float64) {
	c.Forward += forward
	c.Backward += backward
	if c.inside {
		c.block.Forward += forward
	}
}

// keep counts values that the backward pass needs, rows of dim numbers of so many bytes.
func (c *counter) keep(rows, dim int, bytes float64) {
	n := float64(rows) * float64(dim) * bytes
	if c.inside {
		c.block.Kept += n
		return
	}
	c.Kept += n
}

// peak counts values that live for a moment.
func (c *counter) peak(bytes float64) { c.Largest = max(c.Largest, bytes) }

// inBlock counts a transformer block of rows [width], whose inside the backward pass may compute again.
func (c *counter) inBlock(rows, width int, f flow, count func()) {
	if f == frozen {
		count()
		return
	}
	c.inside, c.block = true, Work{}
	count()
	c.inside = false
	if !c.remat {
		c.Kept += c.block.Kept
		return
	}
	c.Kept += float64(rows) * float64(width) * c.width
	c.Again += c.block.Forward
	c.peak(c.block.Kept)
}

// attention counts the products of scores and values: batch texts of query tokens over key tokens.
func (c *counter) attention(batch, query, key, width, heads int, f flow) {
	flops := 4 * float64(batch) * float64(query) * float64(key) * float64(width)
	if f == frozen {
		c.add(flops, 0)
		c.peak(float64(batch) * float64(heads) * float64(query) * float64(key) * (4 + c.width))
		return
	}
	c.add(flops, 2*flops) // queries, keys and values all need gradients
	c.keep(batch*heads*query, key, 4+c.width)
}

// image counts the frozen tower.
func (c *counter) image(v *vit.Config, batch int) {
	tokens, h := v.Tokens(), v.HiddenSize
	rows := batch * tokens
	c.linear(batch*(tokens-1), 3*v.PatchSize*v.PatchSize, h, frozen)
	for range v.NumHiddenLayers {
		c.linear(rows, h, 3*h, frozen)
		c.attention(batch, tokens, tokens, h, v.NumAttentionHeads, frozen)
		c.linear(rows, h, h, frozen)
		c.linear(rows, h, v.IntermediateSize, frozen)
		c.linear(rows, v.IntermediateSize, h, frozen)
	}
	c.peak(float64(rows) * float64(v.IntermediateSize) * c.width * 2)
}

// head counts the projection of rows on a vocabulary and the loss over it.
func (c *counter) head(rows, width, vocab int, f flow) {
	c.linear(rows, width, vocab, f)
	c.keep(rows, width, c.width)
	c.peak(float64(rows) * float64(vocab) * (4 + c.width))
}
