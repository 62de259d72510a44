package infer

import (
	"errors"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Looks are the weights of a Q-Former's cross-attentions on pictures: how much each query looks at each
// patch. A row over the patches sums to 1.
type Looks struct {
	Layers, Heads, Queries int // Layers counts those that have cross-attention
	Patches                int // the class token, then the picture's patches row by row

	weights [][]float32 // by layer: flat [pictures, heads, queries, patches]
}

// Looks computes where the queries of a BLIP-2's stage 1 look: in pictures alone (texts nil), or as
// they read picture i beside texts[i] for ITM.
func (r *Retriever) Looks(f *Features, texts []string) (*Looks, error) {
	if r.look == nil {
		return nil, errors.New("this model has no queries: only BLIP-2's stage 1 has")
	}
	if texts != nil && len(texts) != f.Len() {
		return nil, fmt.Errorf("%d texts for %d pictures", len(texts), f.Len())
	}
	words := r.encode(texts)
	length := r.textLength(words)
	l := &Looks{}
	err := batches(f.Len(), func(rows []int, n int) error {
		args := []any{f.Batch(rows)}
		if texts != nil {
			ids, mask := r.padded(words, rows, length)
			args = append(args, ids, mask)
		}
		out, err := r.looks.Call(args...)
		if err != nil {
			return err
		}
		return l.add(out[:len(out)-1], n)
	})
	return l, err
}

// compileLooks makes the graph of Looks: states, or states with ids and mask -> each layer's weights
// [batch, heads, queries, patches], then the queries.
func (r *Retriever) compileLooks() (err error) {
	r.looks, err = model.NewExec(r.backend, r.store, func(root *model.Scope, in []*Node) []*Node {
		in = append(in, nil, nil) // where there is no text
		out := r.look(root.At("model"), in[0], in[1], in[2])
		// The Go backend fails where the graph has a parameter that comes after the last output.
		return append(out.Looks, out.Queries)
	})
	return err
}

// add appends the first n pictures of a batch: by layer [batch, heads, queries, patches].
func (l *Looks) add(layers []*tensors.Tensor, n int) error {
	if l.weights == nil {
		d := layers[0].Shape().Dimensions
		l.Layers, l.Heads, l.Queries, l.Patches = len(layers), d[1], d[2], d[3]
		l.weights = make([][]float32, len(layers))
	}
	for i, t := range layers {
		if err := appendRows(&l.weights[i], n*l.Heads*l.Queries*l.Patches)(t, nil); err != nil {
			return err
		}
	}
	return nil
}

// Of is where one query of a picture looks in a layer (0 to Layers-1), the mean over heads: [patches].
func (l *Looks) Of(picture, layer, query int) []float32 {
	mean := make([]float32, l.Patches)
	for head := range l.Heads {
		for i, w := range l.Head(picture, layer, head, query) {
			mean[i] += w / float32(l.Heads)
		}
	}
	return mean
}

// Head is Of of one head alone.
func (l *Looks) Head(picture, layer, head, query int) []float32 {
	at := ((picture*l.Heads+head)*l.Queries + query) * l.Patches
	return l.weights[layer][at : at+l.Patches]
}
