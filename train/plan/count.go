package plan

import (
	"goblip/models/vit"
)

// Work is what one step of a job computes and reads, over all devices, counted from its sizes.
type Work struct {
	Forward  float64 // floating-point operations of the forward pass, 2 for a multiply-add
	Backward float64 // of the backward pass
	Again    float64 // of what the backward pass computes again
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
	width float64 // bytes of a number that is computed with
	remat bool
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
}

// inBlock counts a transformer block that gradients pass, whose inside the backward pass may compute again;
// last is the product whose result the block adds to its output, or nil: no gradient needs that again.
func (c *counter) inBlock(count, last func()) {
	before := c.Forward
	count()
	if c.remat {
		c.Again += c.Forward - before
	}
	if last != nil {
		last()
	}
}

// attention counts the products of scores and values: batch texts of query tokens over key tokens.
func (c *counter) attention(batch, query, key, width int, f flow) {
	flops := 4 * float64(batch) * float64(query) * float64(key) * float64(width)
	if f == frozen {
		c.add(flops, 0)
		return
	}
	c.add(flops, 2*flops) // queries, keys and values all need gradients
}

// image counts the frozen tower.
func (c *counter) image(v *vit.Config, batch int) {
	v.Products(func(rows, in, out int) { c.linear(batch*rows, in, out, frozen) },
		func(tokens, width int) { c.attention(batch, tokens, tokens, width, frozen) })
}

// head counts the projection of rows on a vocabulary and the loss over it.
func (c *counter) head(rows, width, vocab int, f flow) {
	c.linear(rows, width, vocab, f)
}
