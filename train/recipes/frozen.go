package recipes

import (
	"goblip/datasets/image"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// frozen is how a run gets the states of its frozen image encoder: computed once and kept, where
// they fit into memory, else by the step itself, without gradient.
type frozen struct {
	objective objective.Objective // its first input is what images gives

	backend compute.Backend
	store   *model.Store
	cfg     *blip2.Config
	kept    bool
	quiet   bool

	processor image.Processor // of the pictures, for the step that encodes them itself
}

// freezeEncoder decides for data sets of at most the given number of pictures.
func freezeEncoder(backend compute.Backend, store *model.Store, cfg *blip2.Config, obj objective.Objective, pictures int, quiet bool) *frozen {
	f := &frozen{objective: obj, backend: backend, store: store, cfg: cfg, kept: infer.FitsInMemory(&cfg.Vision, pictures), quiet: quiet}
	if !f.kept {
		f.objective = obj.On(func(scope *model.Scope, pixels *Node) *Node {
			return infer.ImageStatesOf(scope, &cfg.Vision, f.processor, pixels)
		})
	}
	return f
}

// shape of the first input.
func (f *frozen) shape(batch int) shapes.Shape {
	v := &f.cfg.Vision
	if f.kept {
		return shapeFloat32(batch, v.Tokens(), v.HiddenSize)
	}
	return shapeUint8(batch, v.ImageSize, v.ImageSize, 3)
}

// images gathers a batch of a data set: its states, or its pixels. classes say how alike pictures
// look (infer.Features.Classes); nil where states are not kept.
func (f *frozen) images(p *infer.Pictures) (batch func(rows []int) *tensors.Tensor, classes func() [][]float32, err error) {
	f.processor = p.Processor
	if !f.kept {
		return p.Batch, func() [][]float32 { return nil }, nil
	}
	bar := progress("encoding pictures", p.Len(), f.quiet)
	features, err := infer.Encode(f.backend, f.store, &f.cfg.Vision, p, bar.Update)
	if err != nil {
		return nil, nil, err
	}
	bar.Done()
	return features.Batch, features.Classes, nil
}
