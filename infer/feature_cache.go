package infer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/image/augment"
	"goblip/infer/cache"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// FeatureCacheOptions say where features are kept and how.
type FeatureCacheOptions struct {
	Dir  string
	Type string // of cache.Types

	// Crops is how many changed versions of each picture are kept: those that Augmented pictures have in
	// epochs 0 to Crops-1. Of pictures that do not change there is one.
	Crops int

	Note func(format string, args ...any) // may be nil
	// Progress begins a bar; may be nil.
	Progress func(what string, total int) (update func(done, total int), end func())
}

// CachedFeatures are Features in files: see package cache. They hold nothing in memory.
type CachedFeatures struct {
	cache         *cache.Cache
	crops         int
	tokens, width int
}

// MaxClassBytes bounds the class tokens that CachedFeatures.Classes reads into memory.
const MaxClassBytes = 1 << 30

// CacheFeatures opens the features of pictures, and computes those that are missing with the encoder of a
// store. They are found by the encoder's weights, by how pictures become pixel values, and by the
// pictures themselves: those of anything else are left alone, and a note says so. When ctx ends it returns
// its error at once, as Encode does; shards that are whole stay, and the next call goes on behind them.
func CacheFeatures(ctx context.Context, backend compute.Backend, store *model.Store, cfg *vit.Config, p *Pictures, o FeatureCacheOptions) (*CachedFeatures, error) {
	f := &CachedFeatures{crops: 1, tokens: cfg.Tokens(), width: cfg.HiddenSize}
	if p.policy != nil {
		f.crops = max(o.Crops, 1)
	}
	begin := func(what string, total int) (func(done, total int), func()) {
		if o.Progress == nil {
			return nil, func() {}
		}
		return o.Progress(what, total)
	}
	key := cache.Key{Type: o.Type, Rows: p.Len() * f.crops, Tokens: f.tokens, Width: f.width, Transform: transformHash(p, f.crops)}
	var err error
	if key.Weights, err = encoderHash(store, cfg); err != nil {
		return nil, err
	}
	stamp, _ := p.Set.Stamp()
	if f.cache, err = cache.Find(o.Dir, key, stamp); err != nil {
		return nil, err
	}
	if f.cache == nil {
		update, end := begin("hashing pictures", p.Len())
		if key.Pictures, err = p.Set.Contents(ctx, update); err != nil {
			return nil, err
		}
		end()
		var others string
		if f.cache, others, err = cache.Open(o.Dir, key, stamp); err != nil {
			return nil, err
		}
		if others != "" && o.Note != nil {
			o.Note("feature cache %s: what it holds is of %s; features of this run are computed beside it", o.Dir, others)
		}
	}
	missing, err := f.cache.Missing()
	if err != nil || missing == 0 {
		return f, err
	}
	if o.Note != nil {
		o.Note("feature cache %s: %d of %d pictures are to be encoded, %.3g MiB in all", f.cache.Dir(), missing, f.cache.Len(), float64(f.cache.Bytes())/(1<<20))
	}
	update, end := begin("encoding pictures", missing)
	var g pixelGraph
	defer g.finalizeUnless(ctx)
	done := 0
	err = f.cache.Build(func(first, n int, put func([]float32) error) error {
		load := func(rows []int) ([]byte, error) { return p.loadCrops(rows, first, f.crops) }
		return g.each(ctx, backend, store, cfg, p, n, load, func(_ []byte, states []float32) error {
			done += len(states) / (f.tokens * f.width)
			if update != nil {
				update(done, missing)
			}
			return put(states)
		})
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		missing, miss := f.cache.Missing()
		return nil, errors.Join(fmt.Errorf("feature cache %s keeps %d of %d pictures: %w", f.cache.Dir(), f.cache.Len()-missing, f.cache.Len(), err), miss)
	}
	if err == nil {
		end()
	}
	return f, err
}

// loadCrops loads rows of a cache, counted from first: row r is crop r%crops of picture r/crops.
func (p *Pictures) loadCrops(rows []int, first, crops int) ([]byte, error) {
	size := p.Side * p.Side * 3
	out := make([]byte, len(rows)*size)
	for crop := range crops {
		var at, pictures []int
		for i, r := range rows {
			if (first+r)%crops == crop {
				at, pictures = append(at, i), append(pictures, (first+r)/crops)
			}
		}
		if len(at) == 0 {
			continue
		}
		pixels, err := p.LoadAt(pictures, crop)
		if err != nil {
			return nil, err
		}
		for k, i := range at {
			copy(out[i*size:], pixels[k*size:][:size])
		}
	}
	return out, nil
}

// BatchAt gathers the states that pictures have in an epoch: crop epoch%crops of each
// -> float32 [len(rows), patches, hidden]. It panics, with an error, if a file cannot be read.
func (f *CachedFeatures) BatchAt(rows []int, epoch int) *tensors.Tensor {
	states := make([]float32, len(rows)*f.tokens*f.width)
	numbers := make([]int, len(rows))
	for i, r := range rows {
		numbers[i] = r*f.crops + epoch%f.crops
	}
	if err := f.cache.Read(numbers, states); err != nil {
		panic(err)
	}
	return tensors.FromFlatDataAndDimensions(states, len(rows), f.tokens, f.width)
}

// Len is the number of pictures.
func (f *CachedFeatures) Len() int { return f.cache.Len() / f.crops }

// Classes are those of Features.Classes, of the first crop of each picture; nil where they need more
// memory than MaxClassBytes.
func (f *CachedFeatures) Classes() ([][]float32, error) {
	n := f.Len()
	if int64(n)*int64(f.width)*4 > MaxClassBytes {
		return nil, nil
	}
	all := make([]float32, n*f.width)
	rows, out := make([]int, n), make([][]float32, n)
	for i := range rows {
		rows[i], out[i] = i*f.crops, all[i*f.width:(i+1)*f.width]
	}
	if err := f.cache.Read(rows, all); err != nil {
		return nil, err
	}
	return centred(out), nil
}

// transformHash is of all that makes pixel values of a picture's file.
func transformHash(p *Pictures, crops int) string {
	mean, std := p.Processor.Statistics()
	c := p.Processor
	return hashOf(struct {
		Side, Size, Crop, Fit, Filter int
		Alpha                         string
		Upright                       bool
		Mean, Std                     [3]float64
		Policy                        *augment.Policy
		Seed                          uint64
		Crops                         int
	}{p.Side, c.Size, c.Crop, int(c.Resolved()), c.Filter.Number(), c.Alpha.String(), c.Upright, mean, std, p.policy, p.seed, crops})
}

// encoderHash is of all that makes states of pixel values: the tensors up to the final norm, which
// stages 1 and 2 train, and the config.
func encoderHash(store *model.Store, cfg *vit.Config) (string, error) {
	named, err := checkpoints.StoreTensors(store, func(name string) string {
		if strings.HasPrefix(name, "vision_model.") && !strings.HasPrefix(name, "vision_model.post_layernorm.") {
			return name
		}
		return ""
	})
	if err != nil {
		return "", err
	}
	slices.SortFunc(named, func(a, b checkpoints.Named) int { return strings.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, n := range named {
		fmt.Fprintf(h, "%s %s\n", n.Name, n.Tensor.Shape())
		if err := n.Tensor.ConstBytes(func(data []byte) { h.Write(data) }); err != nil {
			return "", fmt.Errorf("tensor %s: %w", n.Name, err)
		}
	}
	c := *cfg
	if c.ModelType == vit.InstructBLIP { // another name of the same tower
		c.ModelType = vit.EVA
	}
	c.InitializerRange = 0
	fmt.Fprintf(h, "%s\n", hashOf(c))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashOf is the SHA-256 of a value's JSON.
func hashOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // plain structs always have a JSON form
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
