package capfilt

import "goblip/models/blip"

// Work is what one picture costs: floating-point operations of the products of matrices, 2 for a multiply-add, and
// bytes of memory read where reading is what takes the time.
type Work struct {
	Images  float64 `json:"image_encoder_flops"`
	Writing float64 `json:"writing_flops"`
	Scoring float64 `json:"scoring_flops"`
	// Read is of writing: a decoder reads its weights and the pictures' keys and values for each token.
	Read float64 `json:"writing_bytes"`
}

// Texts says how many there are of a picture, and how long they are.
type Texts struct {
	Web    int // that come with it
	Each   int // that each captioner writes
	Tokens int // of one
}

// WorkOf counts a picture's work for some BLIPs that write and some that score, in float32 and batches of
// so many rows.
func WorkOf(captioners, filters []*blip.Config, t Texts, batch int) (w Work) {
	for _, c := range captioners {
		w.Images += imageFlops(c)
		layers, head := decoderSizes(c)
		tokens := float64(c.Vision.Tokens())
		wide, seen := float64(c.Text.HiddenSize), 2*tokens*float64(c.Text.HiddenSize)*float64(c.Text.NumHiddenLayers)
		one := textFlops(c, t.Tokens, true) + 2*float64(t.Tokens)*head
		w.Writing += float64(t.Each) * one
		// Keys and values of the picture are computed once a text, and read for every token.
		weights := layers - 2*wide*float64(c.Text.EncoderHiddenSize)*float64(c.Text.NumHiddenLayers) + head
		w.Read += float64(t.Each) * float64(t.Tokens) * 4 * (weights/float64(batch) + seen)
	}
	texts := float64(t.Web + len(captioners)*t.Each)
	for _, c := range filters {
		w.Images += imageFlops(c)
		w.Scoring += texts * (textFlops(c, t.Tokens, true) + textFlops(c, t.Tokens, false))
	}
	return w
}

// imageFlops are those of the image encoder for one picture.
func imageFlops(c *blip.Config) (flops float64) {
	c.Vision.Products(func(rows, in, out int) { flops += 2 * float64(rows) * float64(in) * float64(out) },
		func(tokens, width int) { flops += 4 * float64(tokens) * float64(tokens) * float64(width) })
	return flops
}

// textFlops are those of the text layers for one text, read alone or with its picture. A text that is written costs the
// same: each token looks back at half of the text, here counted as all of it.
func textFlops(c *blip.Config, tokens int, picture bool) float64 {
	n, h, seen := float64(tokens), float64(c.Text.HiddenSize), float64(c.Vision.Tokens())
	layer := 2*n*(4*h*h+2*h*float64(c.Text.IntermediateSize)) + 4*n*n*h
	if picture {
		layer += 2*n*2*h*h + 2*seen*2*float64(c.Text.EncoderHiddenSize)*h + 4*n*seen*h
	}
	return float64(c.Text.NumHiddenLayers) * layer
}

// decoderSizes are the numbers of weights in the matrices of the layers and of the head.
func decoderSizes(c *blip.Config) (layers, head float64) {
	h := float64(c.Text.HiddenSize)
	layer := 4*h*h + 2*h*float64(c.Text.IntermediateSize) + 2*h*h + 2*h*float64(c.Text.EncoderHiddenSize)
	return float64(c.Text.NumHiddenLayers) * layer, h*h + h*float64(c.Text.VocabSize)
}
