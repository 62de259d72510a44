package plan

// Traffic is something that chips send each other in a step.
type Traffic struct {
	What  string  `json:"what"`
	Why   string  `json:"why"`
	Bytes float64 `json:"bytes"` // that a chip sends
}

// Traffic lists what n chips send each other, for a shard of train.Shards. A ring of n chips sends
// (n-1)/n of a tensor from each chip to collect it on all, or to sum it up in parts; summing it up for
// all is both.
func (j *Job) Traffic(n int, shard string) (list []Traffic) {
	if n < 2 {
		return nil
	}
	ring := float64(n-1) / float64(n)
	add := func(what, why string, bytes float64) {
		list = append(list, Traffic{what, why, bytes * ring})
	}
	trainedCount, frozenCount := j.Parameters()
	t, f := float64(trainedCount), float64(frozenCount)
	width := j.width()
	switch shard {
	case "none":
		add("gradients", "summed over the chips' samples, for all (all-reduce)", 2*4*t)
	case "optimizer":
		add("gradients", "summed over the chips' samples, each chip its part (reduce-scatter)", 4*t)
		add("trained weights", "each chip updates its part, all need the whole (all-gather)", 4*t)
	case "full":
		add("gradients", "summed over the chips' samples, each chip its part (reduce-scatter)", 4*t)
		add("trained weights", "collected for the forward and the backward pass (all-gather)", 2*4*t)
		add("frozen weights", "collected where they are used (all-gather); those of the image tower have no backward pass", width*(f+f-j.towerParameters()))
	}
	if j.Stage != 1 {
		return list
	}
	c, q := &j.Config, &j.Config.QFormer
	batch, patches := float64(j.Batch), float64(c.Vision.Tokens())
	add("contrastive features", "every picture is compared with every text (all-gather, float32)", batch*float64(c.NumQueryTokens+1)*float64(c.ImageTextHiddenSize)*4)
	if j.SendStates {
		add("states of negative pictures", "matching takes rows of other chips' pictures (summed up in parts)", batch*patches*float64(c.Vision.HiddenSize)*width)
		return list
	}
	crossed := float64((q.NumHiddenLayers + q.CrossAttentionFrequency - 1) / q.CrossAttentionFrequency)
	add("keys and values of negative pictures", "matching takes rows of other chips' pictures, and their gradient goes back", 2*batch*patches*2*float64(q.HiddenSize)*crossed*width)
	return list
}

// width is the bytes of a number that is computed with.
func (j *Job) width() float64 {
	if j.Precision == "bf16" {
		return 2
	}
	return 4
}
