package infer

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"slices"

	"goblip/datasets/image"
	"goblip/models/nn"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Features are the states of a frozen image encoder, before its final norm, for a whole data set:
// without augmentation they never change, so they are computed once.
type Features struct {
	tokens, width int
	states        []float32 // [pictures, tokens, width]
	pixels        []uint64  // a hash of each picture
}

// MaxFeatureBytes bounds the states kept in memory; larger sets are encoded at each step.
const MaxFeatureBytes = 6 << 30

// FitsInMemory says whether a set's states are small enough to keep.
func FitsInMemory(cfg *vit.Config, pictures int) bool {
	return int64(pictures)*int64(cfg.Tokens())*int64(cfg.HiddenSize)*4 <= MaxFeatureBytes
}

// ImageStates is the frozen encoder as graph, for pictures that are normalized by CLIP's statistics:
// uint8 [batch, side, side, 3] -> [batch, patches, hidden].
func ImageStates(scope *model.Scope, cfg *vit.Config, u8 *Node) *Node {
	return ImageStatesOf(scope, cfg, image.Processor{}, u8)
}

// ImageStatesOf is ImageStates for pictures that are normalized as a processor has it.
func ImageStatesOf(scope *model.Scope, cfg *vit.Config, p image.Processor, u8 *Node) *Node {
	return lastStates(scope, cfg, PixelValues(p, u8))
}

// lastStates are the tower's last ones before its final norm.
func lastStates(scope *model.Scope, cfg *vit.Config, values *Node) *Node {
	states := vit.Encode(scope.At("vision_model"), cfg, values)
	return StopGradient(states[len(states)-1])
}

// PixelValues are what a model sees of pictures: uint8 [batch, side, side, 3] -> [batch, 3, side, side].
func PixelValues(p image.Processor, u8 *Node) *Node {
	mean, std := p.Statistics()
	return nn.PixelValues(u8, mean, std)
}

// pixelGraph keeps the compiled graph that reads pictures, for pictures that are normalized alike.
type pixelGraph struct {
	exec      *model.Exec
	mean, std [3]float64
}

// of compiles build, a function of the pixel values [batch, 3, side, side], unless it did before.
func (g *pixelGraph) of(backend compute.Backend, store *model.Store, p image.Processor, build func(scope *model.Scope, values *Node) *Node) (*model.Exec, error) {
	mean, std := p.Statistics()
	if g.exec != nil && g.mean == mean && g.std == std {
		return g.exec, nil
	}
	g.finalize()
	var err error
	g.mean, g.std = mean, std
	g.exec, err = model.NewExec(backend, store, func(root *model.Scope, u8 *Node) *Node {
		return build(root.At("model"), PixelValues(p, u8))
	})
	return g.exec, err
}

// finalizeUnless is finalize, but for a graph that may still be running because ctx ended.
func (g *pixelGraph) finalizeUnless(ctx context.Context) {
	if ctx.Err() == nil {
		g.finalize()
	}
}

func (g *pixelGraph) finalize() {
	if g.exec != nil {
		g.exec.Finalize()
		g.exec = nil
	}
}

// Encode runs all pictures through the frozen encoder of a store. When ctx ends it returns its error at
// once; the batch that the device is at then ends by itself, and needs the store until then.
func Encode(ctx context.Context, backend compute.Backend, store *model.Store, cfg *vit.Config, p *Pictures, progress func(done, total int)) (*Features, error) {
	var g pixelGraph
	defer g.finalizeUnless(ctx)
	return g.encode(ctx, backend, store, cfg, p, progress)
}

// encode is Encode with a graph that is kept.
func (g *pixelGraph) encode(ctx context.Context, backend compute.Backend, store *model.Store, cfg *vit.Config, p *Pictures, progress func(done, total int)) (*Features, error) {
	f := &Features{tokens: cfg.Tokens(), width: cfg.HiddenSize}
	f.states = make([]float32, 0, p.Len()*f.tokens*f.width)
	size := p.Side * p.Side * 3
	err := g.each(ctx, backend, store, cfg, p, p.Len(), p.Load, func(u8 []byte, states []float32) error {
		for ; len(u8) > 0; u8 = u8[size:] {
			h := fnv.New64a()
			h.Write(u8[:size]) // never fails
			f.pixels = append(f.pixels, h.Sum64())
		}
		f.states = append(f.states, states...)
		if progress != nil {
			progress(f.Len(), p.Len())
		}
		return nil
	})
	return f, err
}

// each runs n pictures through the frozen encoder, some at a time in their order: load gives the bytes
// of those numbered so, put takes them and their states. The next ones are loaded meanwhile.
func (g *pixelGraph) each(ctx context.Context, backend compute.Backend, store *model.Store, cfg *vit.Config, p *Pictures, n int,
	load func(rows []int) ([]byte, error), put func(u8 []byte, states []float32) error) error {
	exec, err := g.of(backend, store, p.Processor, func(scope *model.Scope, values *Node) *Node { return lastStates(scope, cfg, values) })
	if err != nil {
		return err
	}
	type loaded struct {
		u8    []byte
		n     int
		count int // of the rows, how many are not padding
		err   error
	}
	ready, quit := make(chan loaded, 1), make(chan struct{})
	defer close(quit)
	go func() {
		defer close(ready)
		_ = batches(n, func(rows []int, count int) error {
			u8, err := load(rows)
			select {
			case ready <- loaded{u8, len(rows), count, err}:
				return err
			case <-quit:
				return context.Canceled
			}
		})
	}()
	for {
		var b loaded
		var more bool
		select {
		case b, more = <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !more || b.err != nil {
			return b.err
		}
		states, err := callUnless(ctx, exec, tensors.FromFlatDataAndDimensions(b.u8, b.n, p.Side, p.Side, 3))
		if err != nil {
			return err
		}
		var inner error
		err = tensors.ConstFlatData(states, func(flat []float32) {
			inner = put(b.u8[:len(b.u8)/b.n*b.count], flat[:len(flat)/b.n*b.count])
		})
		if err := errors.Join(err, inner, states.FinalizeAll()); err != nil {
			return err
		}
	}
}

// callUnless runs a graph unless ctx ends, or ended. A batch of a large tower takes a CPU minutes and cannot be
// broken off: it is left to itself then.
func callUnless(ctx context.Context, exec *model.Exec, in *tensors.Tensor) (*tensors.Tensor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type result struct {
		out *tensors.Tensor
		err error
	}
	done := make(chan result, 1)
	go func() {
		out, err := exec.Call1(in)
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Batch gathers states: -> float32 [len(rows), patches, hidden].
func (f *Features) Batch(rows []int) *tensors.Tensor {
	size := f.tokens * f.width
	out := make([]float32, 0, len(rows)*size)
	for _, r := range rows {
		out = append(out, f.states[r*size:(r+1)*size]...)
	}
	return tensors.FromFlatDataAndDimensions(out, len(rows), f.tokens, f.width)
}

// Len is the number of pictures.
func (f *Features) Len() int { return len(f.states) / (f.tokens * f.width) }

// Classes are the class token's states of all pictures, centred and of unit length:
// [pictures][hidden]. Their dot product says how alike two pictures look to the encoder.
func (f *Features) Classes() [][]float32 {
	out := make([][]float32, f.Len())
	for i := range out {
		out[i] = slices.Clone(f.states[i*f.tokens*f.width : i*f.tokens*f.width+f.width])
	}
	return centred(out)
}

// centred moves vectors so that their mean is 0, and makes each of unit length.
func centred(out [][]float32) [][]float32 {
	mean := make([]float64, len(out[0]))
	for i := range out {
		for j, x := range out[i] {
			mean[j] += float64(x) / float64(len(out))
		}
	}
	for _, v := range out {
		norm := 0.0
		for j := range v {
			v[j] -= float32(mean[j])
			norm += float64(v[j]) * float64(v[j])
		}
		for j := range v {
			v[j] /= float32(math.Sqrt(norm) + 1e-12)
		}
	}
	return out
}

// stream names the random numbers of sampling for a picture and a prompt: they are the same wherever
// the picture stands among others.
func (f *Features) stream(image int, prompt string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(prompt)) // never fails
	return f.pixels[image] ^ h.Sum64()
}
