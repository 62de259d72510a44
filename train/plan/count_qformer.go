package plan

import "goblip/models/blip2"

// A pass of the Q-Former: so many samples, each with queries and text tokens, reading past ones.
type pass struct {
	batch, queries, text, past int
	patches                    int  // of a picture, which queries read
	queriesOnly                bool // the last block computes queries alone
}

// crossKV counts the projections of pictures that every pass shares: rows of the tower's states.
func (c *counter) crossKV(q *blip2.QFormerConfig, rows int) {
	for i := 0; i < q.NumHiddenLayers; i += q.CrossAttentionFrequency {
		c.linear(rows, q.EncoderHiddenSize, q.HiddenSize, trained)
		c.linear(rows, q.EncoderHiddenSize, q.HiddenSize, trained)
	}
}

// encode counts a pass, all of it trained.
func (c *counter) encode(q *blip2.QFormerConfig, p pass) {
	h, rows := q.HiddenSize, p.batch*(p.queries+p.text)
	project := func(rows, in int) { // dense, dropout, residual, norm
		c.linear(rows, in, h, trained)
	}
	for i := range q.NumHiddenLayers {
		c.inBlock(func() {
			asking := p.queries + p.text
			if p.queriesOnly && i == q.NumHiddenLayers-1 {
				asking = p.queries
			}
			c.linear(p.batch*asking, h, h, trained)
			c.linear(rows, h, h, trained)
			c.linear(rows, h, h, trained)
			c.attention(p.batch, asking, p.past+p.queries+p.text, h, trained)
			project(p.batch*asking, h)
			if reads := p.batch * p.queries; reads > 0 && i%q.CrossAttentionFrequency == 0 {
				c.linear(reads, h, h, trained)
				c.attention(p.batch, p.queries, p.patches, h, trained)
				project(reads, h)
			}
			forward := func(rows int) {
				if rows == 0 {
					return
				}
				c.linear(rows, h, q.IntermediateSize, trained)
				project(rows, q.IntermediateSize)
			}
			forward(p.batch * p.queries)
			forward(p.batch * (asking - p.queries))
		}, nil)
	}
}

// stage1 counts the four passes and the three losses.
func (c *counter) stage1(j *Job) {
	cfg := &j.Config
	q, queries, patches := &cfg.QFormer, cfg.NumQueryTokens, cfg.Vision.Tokens()
	c.crossKV(q, j.Batch*patches)
	c.encode(q, pass{batch: j.Batch, queries: queries, patches: patches})
	c.linear(j.Batch*queries, q.HiddenSize, cfg.ImageTextHiddenSize, trained)
	c.encode(q, pass{batch: j.Batch, text: j.Text})
	c.linear(j.Batch, q.HiddenSize, cfg.ImageTextHiddenSize, trained)
	// Both directions read the same similarities; each has the gradient of one side.
	pairs := 2 * float64(j.Batch) * float64(j.Batch) * float64(queries) * float64(cfg.ImageTextHiddenSize)
	c.add(pairs, 2*pairs)
	if j.SendStates {
		c.crossKV(q, j.Batch*patches)
	}
	c.encode(q, pass{batch: 3 * j.Batch, queries: queries, text: j.Text, patches: patches, queriesOnly: true})
	c.linear(3*j.Batch*queries, q.HiddenSize, 2, trained)
	c.encode(q, pass{batch: j.Batch, text: j.Text - 1, past: queries})
	rows := j.Batch * (j.Text - 1)
	c.linear(rows, q.HiddenSize, q.HiddenSize, trained)
	c.head(rows, q.HiddenSize, q.VocabSize, trained)
}
