package infer

import (
	"fmt"
	"iter"

	"goblip/datasets"
	"goblip/datasets/image"

	"github.com/gomlx/gomlx/core/tensors"
)

// Pictures is a data set in memory: 8-bit pixels of one size.
type Pictures struct {
	Set       *datasets.Set
	Side      int             // pixels
	Processor image.Processor // how they were prepared, and are to be normalized
	Pixels    []byte
}

// maxPixelBytes bounds what LoadPictures holds in memory.
const maxPixelBytes = 8 << 30

// LoadPictures decodes all pictures of a set, in parallel, each to a square; transparent ones are laid
// on white. progress may be nil.
func LoadPictures(set *datasets.Set, side int, progress func(done, total int)) (*Pictures, error) {
	return PreparePictures(set, image.Processor{Size: side, Alpha: image.AlphaWhite}, progress)
}

// PreparePictures is LoadPictures as a model wants them: see ImageProcessor.
func PreparePictures(set *datasets.Set, p image.Processor, progress func(done, total int)) (*Pictures, error) {
	if len(set.Records) == 0 {
		return nil, fmt.Errorf("%s: no pictures", set.Name)
	}
	side := p.Side()
	if need := int64(len(set.Records)) * int64(side) * int64(side) * 3; need > maxPixelBytes {
		return nil, fmt.Errorf("%s: %d pictures of %d pixels a side need %d GiB of memory, more than %d", set.Name, len(set.Records), side, need>>30, maxPixelBytes>>30)
	}
	pixels, err := set.LoadPixels(p, progress)
	if err != nil {
		return nil, err
	}
	return &Pictures{Set: set, Side: side, Processor: p, Pixels: pixels}, nil
}

// Len is the number of pictures.
func (p *Pictures) Len() int { return len(p.Set.Records) }

// Picture is one picture's bytes [side, side, 3].
func (p *Pictures) Picture(i int) []byte {
	n := p.Side * p.Side * 3
	return p.Pixels[i*n : (i+1)*n]
}

// Batch gathers pictures: -> uint8 [len(rows), side, side, 3].
func (p *Pictures) Batch(rows []int) *tensors.Tensor {
	out := make([]byte, 0, len(rows)*p.Side*p.Side*3)
	for _, r := range rows {
		out = append(out, p.Picture(r)...)
	}
	return tensors.FromFlatDataAndDimensions(out, len(rows), p.Side, p.Side, 3)
}

// Captions runs over every caption of the set.
func Captions(set *datasets.Set) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, r := range set.Records {
			for _, c := range r.Captions {
				if !yield(c) {
					return
				}
			}
		}
	}
}
