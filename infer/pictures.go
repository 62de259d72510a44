package infer

import (
	"fmt"
	"iter"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/datasets/image/augment"

	"github.com/gomlx/gomlx/core/tensors"
)

// Pictures is a data set as a model sees it: 8-bit pixels of one size. They are in memory, or, of a
// larger set, read and decoded whenever they are asked for, which gives the same bytes.
type Pictures struct {
	Set       *datasets.Set
	Side      int             // pixels
	Processor image.Processor // how they are prepared, and are to be normalized
	Pixels    []byte          // [pictures, side, side, 3]; nil: they are streamed

	policy *augment.Policy // of pictures that change from epoch to epoch; nil: they do not
	seed   uint64
}

// MaxPixelBytes is what PreparePictures holds in memory at most.
const MaxPixelBytes = 8 << 30

// LoadPictures decodes all pictures of a set, in parallel, each to a square; transparent ones are laid
// on white. progress may be nil.
func LoadPictures(set *datasets.Set, side int, progress func(done, total int)) (*Pictures, error) {
	return PreparePictures(set, image.Processor{Size: side, Alpha: image.AlphaWhite}, progress)
}

// PreparePictures is LoadPictures as a model wants them: see ImageProcessor. Sets that need more
// than MaxPixelBytes are streamed.
func PreparePictures(set *datasets.Set, p image.Processor, progress func(done, total int)) (*Pictures, error) {
	if len(set.Records) == 0 {
		return nil, fmt.Errorf("%s: no pictures", set.Name)
	}
	if PixelBytes(set, p) > MaxPixelBytes {
		return StreamPictures(set, p)
	}
	pixels, err := set.LoadPixels(p, progress)
	if err != nil {
		return nil, err
	}
	return &Pictures{Set: set, Side: p.Side(), Processor: p, Pixels: pixels}, nil
}

// PixelBytes is what the pictures of a set take in memory.
func PixelBytes(set *datasets.Set, p image.Processor) int64 {
	return int64(set.Len()) * int64(p.Side()) * int64(p.Side()) * 3
}

// StreamPictures reads nothing yet: pictures are decoded when they are asked for.
func StreamPictures(set *datasets.Set, p image.Processor) (*Pictures, error) {
	if len(set.Records) == 0 {
		return nil, fmt.Errorf("%s: no pictures", set.Name)
	}
	return &Pictures{Set: set, Side: p.Side(), Processor: p}, p.Validate()
}

// Len is the number of pictures.
func (p *Pictures) Len() int { return len(p.Set.Records) }

// Picture is one picture's bytes [side, side, 3]. It panics as Batch does.
func (p *Pictures) Picture(i int) []byte {
	if p.Pixels == nil {
		pixels, err := p.Load([]int{i})
		if err != nil {
			panic(err)
		}
		return pixels
	}
	n := p.Side * p.Side * 3
	return p.Pixels[i*n : (i+1)*n]
}

// Load gathers pictures -> [len(rows), side, side, 3] bytes. Streamed ones are decoded on all
// processors; the error names the first that cannot be.
func (p *Pictures) Load(rows []int) ([]byte, error) {
	if p.Pixels == nil {
		return p.Set.LoadSome(rows, p.Processor)
	}
	out := make([]byte, 0, len(rows)*p.Side*p.Side*3)
	for _, r := range rows {
		out = append(out, p.Picture(r)...)
	}
	return out, nil
}

// Batch is Load as a tensor: -> uint8 [len(rows), side, side, 3]. It panics, with an error, if a
// streamed picture cannot be read.
func (p *Pictures) Batch(rows []int) *tensors.Tensor {
	pixels, err := p.Load(rows)
	if err != nil {
		panic(err)
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(rows), p.Side, p.Side, 3)
}

// Augmented are the same pictures, changed anew in each epoch: see BatchAt. They are streamed.
func (p *Pictures) Augmented(policy augment.Policy, seed uint64) (*Pictures, error) {
	if policy.Size != p.Side {
		return nil, fmt.Errorf("augmented to %d pixels, the pictures have %d", policy.Size, p.Side)
	}
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	changed := *p
	changed.policy, changed.seed = &policy, seed
	return &changed, nil
}

// LoadAt is Load in an epoch: the pictures as they are, or changed as the epoch changes them.
func (p *Pictures) LoadAt(rows []int, epoch int) ([]byte, error) {
	if p.policy == nil {
		return p.Load(rows)
	}
	return p.Set.LoadAugmented(rows, p.Processor, p.policy, p.seed, epoch)
}

// BatchAt is LoadAt as a tensor, see Batch.
func (p *Pictures) BatchAt(rows []int, epoch int) *tensors.Tensor {
	pixels, err := p.LoadAt(rows, epoch)
	if err != nil {
		panic(err)
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(rows), p.Side, p.Side, 3)
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
