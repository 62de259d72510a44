package plan

import (
	"goblip/models/opt"
	"goblip/models/t5"
)

// stage2 counts the query pass, and the frozen language model that reads it.
func (c *counter) stage2(j *Job) {
	cfg := &j.Config
	q, queries, patches := &cfg.QFormer, cfg.NumQueryTokens, cfg.Vision.Tokens()
	c.crossKV(q, j.Batch*patches)
	c.encode(q, pass{batch: j.Batch, queries: queries, patches: patches})
	width, _, _, _ := cfg.LLM()
	c.linear(j.Batch*queries, q.HiddenSize, width, trained)
	if cfg.T5 != nil {
		c.t5(cfg.T5, j.Batch, queries+j.Text, j.Text)
		return
	}
	c.opt(&cfg.Text, j.Batch, queries+j.Text-1, j.Text-1)
}

// opt counts a decoder over seq tokens that scores the last of them.
func (c *counter) opt(t *opt.Config, batch, seq, scored int) {
	h, rows := t.HiddenSize, batch*seq
	if t.WordEmbedProjDim != h {
		c.linear(rows, t.WordEmbedProjDim, h, through)
	}
	var last func()
	if t.DoLayerNormBefore {
		last = func() { c.linear(rows, t.FFNDim, h, through) }
	}
	for range t.NumHiddenLayers {
		c.inBlock(func() {
			for range 4 {
				c.linear(rows, h, h, through)
			}
			c.attention(batch, seq, seq, h, through)
			c.linear(rows, h, t.FFNDim, through)
			if !t.DoLayerNormBefore { // the norm behind it
				c.linear(rows, t.FFNDim, h, through)
			}
		}, last)
	}
	if t.WordEmbedProjDim != h {
		c.linear(rows, h, t.WordEmbedProjDim, through)
	}
	c.head(batch*scored, t.WordEmbedProjDim, t.VocabSize, through)
}

// t5 counts an encoder over read tokens and a decoder over written ones.
func (c *counter) t5(t *t5.Config, batch, read, written int) {
	h, inner := t.DModel, t.DKV*t.NumHeads
	attend := func(query, key int, asks, f flow) {
		rows := batch * query
		c.linear(rows, h, inner, asks)
		c.attention(batch, query, key, inner, f)
		if asks != f { // no gradient for the queries
			c.add(0, -2*float64(rows)*float64(key)*float64(inner))
		}
		c.linear(rows, inner, h, f)
	}
	memory := func(rows int, f flow) {
		c.linear(rows, h, inner, f)
		c.linear(rows, h, inner, f)
	}
	forward := func(rows int) {
		wide := 1
		if t.IsGatedAct {
			wide = 2
		}
		for range wide {
			c.linear(rows, h, t.DFF, through)
		}
	}
	narrow := func(rows int) func() { return func() { c.linear(rows, t.DFF, h, through) } }
	for range t.NumLayers {
		c.inBlock(func() {
			memory(batch*read, through)
			attend(read, read, through, through)
			forward(batch * read)
		}, narrow(batch*read))
	}
	for range t.NumDecoderLayers {
		memory(batch*read, through) // of cross-attention
	}
	for i := range t.NumDecoderLayers {
		c.inBlock(func() {
			own := through
			if i == 0 { // what the decoder reads first is words alone
				own = frozen
			}
			memory(batch*written, own)
			attend(written, written, own, own)
			attend(written, read, own, through)
			forward(batch * written)
		}, narrow(batch*written))
	}
	c.head(batch*written, h, t.VocabSize, through)
}

// Count counts a step of the job.
func (j *Job) Count() Work { return j.count(j.Remat) }

func (j *Job) count(checkpoint string) Work {
	c := counter{width: j.width(), remat: checkpoint == "blocks"}
	c.image(&j.Config.Vision, j.Batch)
	if j.Stage == 1 {
		c.stage1(j)
	} else {
		c.stage2(j)
	}
	return c.Work
}
