package forward

import (
	"fmt"
	"slices"

	"goblip/models/blip2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// captions decodes greedily from [DEC] with the Q-Former alone.
func (s *stage1) captions(r *run) error {
	for _, g := range r.generations("") {
		pixels, err := r.input("pixel_values")
		if err != nil {
			return err
		}
		o, err := r.options(g, 1, s.SEP)
		if err != nil {
			return err
		}
		if o.NumBeams != 1 || o.DoSample {
			return fmt.Errorf("%s: the Q-Former alone generates greedily", g.name)
		}
		ids, err := s.greedy(r, pixels, 1+o.MaxNewTokens)
		if err != nil {
			return err
		}
		r.put(g.name+idsSuffix, ids)
	}
	return nil
}

// greedy appends the best word until all rows ended; columns behind the end are pad.
func (s *stage1) greedy(r *run, pixels *tensors.Tensor, length int) (*tensors.Tensor, error) {
	next, err := model.NewExec(r.backend, r.store, func(root *model.Scope, pixels, ids, mask *Node) *Node {
		scope := root.At("model")
		im := blip2.EncodeImages(scope, &s.trained, lastState(scope, &s.cfg.Vision, pixels))
		return ArgMax(blip2.GenerateText(scope, &s.trained, im.Past, ids, mask), -1)
	})
	if err != nil {
		return nil, err
	}
	defer next.Finalize()
	rows := pixels.Shape().Dim(0)
	ids, mask := make([]int32, rows*length), make([]int32, rows*length)
	ended := make([]bool, rows)
	for row := range rows {
		ids[row*length] = int32(s.BOS)
	}
	width := 1
	for ; width < length && slices.Contains(ended, false); width++ {
		for row := range rows {
			mask[row*length+width-1] = 1
		}
		words, err := next.Call1(pixels, tensors.FromFlatDataAndDimensions(ids, rows, length), tensors.FromFlatDataAndDimensions(mask, rows, length))
		if err != nil {
			return nil, err
		}
		best, err := tensors.CopyFlatData[int32](words)
		if err != nil {
			return nil, err
		}
		for row := range rows {
			word := int32(s.Pad)
			if !ended[row] {
				word = best[row*length+width-1]
			}
			ids[row*length+width] = word
			ended[row] = ended[row] || int(word) == s.SEP
		}
	}
	var out []int32
	for row := range rows {
		out = append(out, ids[row*length:row*length+width]...)
	}
	return tensors.FromFlatDataAndDimensions(out, rows, width), nil
}
