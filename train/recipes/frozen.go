package recipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goblip/datasets/image"
	"goblip/datasets/image/augment"
	"goblip/infer"
	"goblip/infer/cache"
	"goblip/models/blip2"
	"goblip/train"
	"goblip/train/objective"
	"goblip/train/runlog"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Encoding are the settings of how pictures reach the Q-Former through the frozen image tower. Empty or
// 0, they leave a run as it was before they were there.
type Encoding struct {
	Augment  string  `json:"augment,omitempty" help:"none (also when empty); crop: random crop and flip, anew in each epoch; randaugment: and two operations of RandAugment at level 5. The tower then runs in every step, unless --feature-cache keeps crops" source:"LAVIS pretrain_stage1, pretrain_stage2: crop"`
	MinCrop  float64 `json:"min_crop,omitempty" help:"share of a picture's area that a random crop keeps at least; 0: 0.5" source:"LAVIS: 0.5"`
	Features string  `json:"features,omitempty" help:"with --feature-cache: bf16 (also when empty), int8 or f32, what the tower's states are kept in" source:"ours"`
	Crops    int     `json:"feature_crops,omitempty" help:"with --feature-cache and augment: how many crops of each picture are kept; epoch e shows number e modulo this" source:"ours"`
}

// prepare completes the settings for a run with or without a feature cache, and says what makes no sense.
func (e *Encoding) prepare(o Options) error {
	cached, augments := o.FeatureCache != "", e.augments()
	if e.MinCrop < 0 || e.MinCrop > 1 {
		return fmt.Errorf("min_crop %g is not within [0, 1]", e.MinCrop)
	}
	if augments && e.MinCrop == 0 {
		e.MinCrop = 0.5
	}
	if cached && e.Features == "" {
		e.Features = cache.Types[0]
	}
	if augments {
		if _, err := augment.Named(e.Augment, 1, e.MinCrop); err != nil {
			return err
		}
	}
	switch {
	case e.Features != "" && !slices.Contains(cache.Types, e.Features):
		return fmt.Errorf("features %q is none of %v", e.Features, cache.Types)
	case !cached && e.Features != "":
		return fmt.Errorf("features=%s is how --feature-cache DIR keeps them, which is missing", e.Features)
	case cached && augments && e.Crops < 1:
		return fmt.Errorf("augment=%s with --feature-cache needs feature_crops=N: how many crops of each picture are kept", e.Augment)
	case e.Crops != 0 && !(cached && augments):
		return fmt.Errorf("feature_crops is for runs with --feature-cache and augment")
	}
	return nil
}

// augments says whether training pictures change from epoch to epoch.
func (e *Encoding) augments() bool { return e.Augment != "" && e.Augment != "none" }

// Streams says whether a run reads pictures one by one rather than to have all of them in memory.
func (e *Encoding) Streams(o Options) bool { return e.augments() || o.FeatureCache != "" }

// frozen is how a run gets the states of its frozen image encoder: out of files, or computed once and
// kept, where they fit into memory and pictures do not change, else by the step itself, without gradient.
type frozen struct {
	ctx       context.Context     // ends what images and classes compute
	objective objective.Objective // its first input is what images gives

	backend  compute.Backend
	store    *model.Store
	cfg      *blip2.Config
	encoding *Encoding
	seed     uint64
	options  Options
	given    bool // states, rather than pixels
	fits     bool // into memory

	name  string      // of the recipe
	shown *runlog.Bar // the last one

	processor image.Processor // of the pictures, for the step that encodes them itself
}

// encoded are the pictures of a data set: a batch of them as an epoch shows them, their states or their
// pixels, and how alike pictures look (infer.Features.Classes), nil where that is not known.
type encoded struct {
	batch   func(rows []int, epoch int) *tensors.Tensor
	classes func() ([][]float32, error)
}

// freezeEncoder decides for the pictures of a run.
func freezeEncoder(ctx context.Context, name string, backend compute.Backend, store *model.Store, cfg *blip2.Config, obj objective.Objective, e *Encoding, seed uint64, p *infer.Pictures, o Options) *frozen {
	f := &frozen{ctx: ctx, name: name, objective: obj, backend: backend, store: store, cfg: cfg, encoding: e, seed: seed, options: o,
		fits: infer.FitsInMemory(&cfg.Vision, max(p.Len(), held(o).Len()))}
	f.given = o.FeatureCache != "" || f.fits && !e.augments()
	if !f.given {
		f.objective = obj.On(func(scope *model.Scope, pixels *Node) *Node {
			return infer.ImageStatesOf(scope, &cfg.Vision, f.processor, pixels)
		})
	}
	return f
}

// shape of the first input.
func (f *frozen) shape(batch int) shapes.Shape {
	v := &f.cfg.Vision
	if f.given {
		return shapeFloat32(batch, v.Tokens(), v.HiddenSize)
	}
	return shapeUint8(batch, v.ImageSize, v.ImageSize, 3)
}

// images prepares the pictures of a data set. Those that are held out stay as they are.
func (f *frozen) images(p *infer.Pictures) (s encoded, err error) {
	f.processor = p.Processor
	changing := p
	if f.encoding.augments() && p != f.options.HeldOut {
		if changing, err = augmented(p, f.encoding.Augment, f.encoding.MinCrop, f.seed); err != nil {
			return s, err
		}
	}
	switch {
	case f.options.FeatureCache != "":
		features, err := infer.CacheFeatures(f.ctx, f.backend, f.store, &f.cfg.Vision, changing, infer.FeatureCacheOptions{
			Dir: f.options.FeatureCache, Type: f.encoding.Features, Crops: f.encoding.Crops, Note: f.options.Note, Progress: f.bar})
		if err != nil {
			return s, f.stopped(err)
		}
		return encoded{features.BatchAt, features.Classes}, nil
	case f.given:
		features, err := f.encode(p)
		if err != nil {
			return s, err
		}
		batch := func(rows []int, _ int) *tensors.Tensor { return features.Batch(rows) }
		return encoded{batch, func() ([][]float32, error) { return features.Classes(), nil }}, nil
	}
	return encoded{changing.BatchAt, func() ([][]float32, error) {
		if !f.fits {
			return nil, nil
		}
		features, err := f.encode(p)
		if err != nil {
			return nil, err
		}
		return features.Classes(), nil
	}}, nil
}

// encode computes the states of pictures as they are.
func (f *frozen) encode(p *infer.Pictures) (*infer.Features, error) {
	update, end := f.bar("encoding pictures", p.Len())
	features, err := infer.Encode(f.ctx, f.backend, f.store, &f.cfg.Vision, p, update)
	if err == nil {
		end()
	}
	return features, f.stopped(err)
}

// stopped makes the end of the context a run that stopped, as it does in the steps that follow.
func (f *frozen) stopped(err error) error {
	if f.ctx.Err() == nil || !errors.Is(err, f.ctx.Err()) {
		return err
	}
	f.shown.Stop()
	kept, _ := strings.CutSuffix(err.Error(), f.ctx.Err().Error())
	if kept = strings.TrimSuffix(kept, ": "); kept != "" {
		kept = ", " + kept
	}
	return fmt.Errorf("%s %w while pictures were encoded%s", f.name, train.ErrStopped, kept)
}

func (f *frozen) bar(what string, total int) (update func(done, total int), end func()) {
	f.shown = progress(what, total, f.options.Quiet)
	return f.shown.Update, f.shown.Done
}
