package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	computeshapes "github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/models/nn"
	"goblip/models/vit"
	"goblip/train"
	"goblip/train/objective"
)

// benchOptions are what is not in the config, so that one config can be timed in several ways.
type benchOptions struct {
	devices, buckets         int
	precision, checkpointing string
	kept                     bool
	write                    string
}

// bench times the steps of a config; with --write it writes what other programs need, and returns an
// empty result.
func bench(cmd *cobra.Command, c *benchConfig, o benchOptions) (*benchResult, error) {
	step, err := c.step()
	if err != nil {
		return nil, err
	}
	if o.kept && step.vision == nil {
		return nil, usagef("--kept-states needs an image encoder that is not trained")
	}
	if o.buckets < 1 || o.buckets > 8 {
		return nil, usagef("--text-buckets must be 1 to 8")
	}
	backend, info, err := openBackend(cmd, o.devices)
	if err != nil {
		return nil, err
	}
	var batches [][]*tensors.Tensor
	for i := range max(c.Batches, 1) {
		batches = append(batches, c.batch(i, o.buckets))
	}
	store, loss := model.NewStore(), step.loss
	if o.kept {
		err = encodeBefore(backend, store, step.vision, batches)
	} else if step.vision != nil {
		loss = loss.On(func(scope *model.Scope, pixels *Node) *Node { return infer.ImageStates(scope, step.vision, pixels) })
	}
	if err != nil {
		return nil, err
	}
	var inputs []computeshapes.Shape
	for _, x := range batches[0] {
		inputs = append(inputs, x.Shape())
	}
	trainer, err := train.NewTrainer(backend, store, loss, train.Settings{
		AdamW: train.AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.05, Decays: step.decays},
		Seed:  benchSeed, Devices: o.devices, Trainable: step.trainable,
		Precision: o.precision, Checkpoint: o.checkpointing,
	}, inputs)
	if err != nil {
		return nil, err
	}
	defer trainer.Finalize()
	if o.write != "" {
		return &benchResult{}, writeBench(o.write, store, batches)
	}
	r := &benchResult{Parameters: trainer.NumTrained(), Backend: info.Description}
	return r, r.time(c, trainer, batches)
}

// benchSeed is that of weights and batches.
const benchSeed = 1

// time runs the steps. A first round over the batches compiles, and is not counted.
func (r *benchResult) time(c *benchConfig, trainer *train.Trainer, batches [][]*tensors.Tensor) error {
	var times []float64
	for step := range len(batches) + c.Steps {
		began, spent := time.Now(), pjrt.ProcessorTime()
		result, err := trainer.Step(step, 1e-4, [][]*tensors.Tensor{batches[step%len(batches)]})
		if err != nil {
			return err
		}
		seconds := time.Since(began).Seconds()
		r.Losses = append(r.Losses, result.Terms)
		if step == 0 {
			r.First = seconds
		}
		if step < len(batches) {
			continue
		}
		times = append(times, seconds)
		r.Sum += seconds
		r.CPUSeconds += (pjrt.ProcessorTime() - spent) / float64(c.Steps)
	}
	r.Compilations = trainer.Compilations()
	slices.Sort(times)
	r.Median, r.Min = times[len(times)/2], times[0]
	r.ImagesSeconds, r.PeakMemory = float64(c.Batch)/r.Median, pjrt.PeakMemory()
	return nil
}

// benchStep is what a config times.
type benchStep struct {
	loss      objective.Objective
	vision    *vit.Config // the frozen image encoder, on whose states loss is; nil: loss is on pixels
	trainable func(name string) bool
	decays    func(name string, shape computeshapes.Shape) bool // nil: BLIP-2's
}

// step builds the losses of the config's kind.
func (c *benchConfig) step() (*benchStep, error) {
	if c.Text != nil {
		return c.blipStep()
	}
	cfg, err := c.blip2()
	if err != nil {
		return nil, err
	}
	s := &benchStep{vision: &cfg.Vision, trainable: infer.Trainable}
	if c.LLM != nil {
		s.loss = objective.Stage2(cfg)
	} else {
		s.loss = objective.Stage1{Config: cfg, DecoderID: cfg.QFormer.VocabSize - 1, Smoothing: 0.1, Negatives: nextPair}.Objective(c.Batch)
	}
	return s, nil
}

// nextPair takes the next pair of the batch as the negative of each, whatever the scores.
func nextPair(scores, _ *Node) (imageOfText, textOfImage *Node) {
	batch := scores.Shape().Dim(0)
	next := AddScalar(Iota(scores.Graph(), computeshapes.Make(dtypes.Int32, batch), 0), 1)
	next = Mod(next, ConstAs(next, batch))
	return next, next
}

// encodeBefore puts the states of the pictures in their place.
func encodeBefore(backend compute.Backend, store *model.Store, vision *vit.Config, batches [][]*tensors.Tensor) error {
	encode := func(root *model.Scope, pixels *Node) *Node {
		return infer.ImageStates(root.At("model"), vision, pixels)
	}
	err := nn.Declare(backend, store, func(root *model.Scope, in []*Node) { encode(root, in[0]) }, batches[0][0].Shape())
	if err == nil {
		err = nn.Initialize(store, benchSeed, 0)
	}
	if err != nil {
		return err
	}
	exec, err := model.NewExec(backend, store, encode)
	if err != nil {
		return err
	}
	defer exec.Finalize()
	for _, batch := range batches {
		if batch[0], err = exec.Call1(batch[0]); err != nil {
			return err
		}
	}
	return nil
}

// batch is random batch number i: pixels, ids, mask, and for stage 1 the pictures' numbers, for stage 2 the
// targets, for BLIP the weight of the soft targets. Texts are padded to text_length, or to the shortest of so many lengths that holds them.
func (c *benchConfig) batch(i, buckets int) []*tensors.Tensor {
	rng := rand.New(rand.NewPCG(benchSeed, uint64(i+1)))
	side, vocab := c.Vision.ImageSize, c.vocab()
	pixels := make([]uint8, c.Batch*side*side*3)
	for i := range pixels {
		pixels[i] = uint8(rng.IntN(256))
	}
	draw, longest, texts := c.lengths(), 0, make([][]int32, c.Batch)
	for b := range texts {
		texts[b] = make([]int32, draw(rng))
		for t := range texts[b] {
			texts[b][t] = int32(5 + rng.IntN(vocab-6))
		}
		longest = max(longest, len(texts[b]))
	}
	length := c.TextLength
	for n := range buckets {
		if to := (c.TextLength*(n+1)/buckets + 1) / 2 * 2; longest <= to {
			length = min(to, c.TextLength)
			break
		}
	}
	ids, mask, numbers := make([]int32, c.Batch*length), make([]int32, c.Batch*length), make([]int32, c.Batch)
	for b, text := range texts {
		numbers[b] = int32(b)
		for t, id := range text {
			ids[b*length+t], mask[b*length+t] = id, 1
		}
	}
	seen := tensors.FromFlatDataAndDimensions(mask, c.Batch, length)
	out := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(pixels, c.Batch, side, side, 3), tensors.FromFlatDataAndDimensions(ids, c.Batch, length), seen,
	}
	switch {
	case c.LLM != nil:
		return append(out, seen)
	case c.Text != nil:
		return append(out, tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{blipAlpha}, c.Batch), c.Batch))
	}
	return append(out, tensors.FromFlatDataAndDimensions(numbers, c.Batch))
}

// lengths draws the number of a text's tokens.
func (c *benchConfig) lengths() func(rng *rand.Rand) int {
	if len(c.CaptionLengths) == 0 {
		return func(rng *rand.Rand) int { return c.TextLength/2 + rng.IntN(c.TextLength-c.TextLength/2) + 1 }
	}
	var all []int
	for _, length := range slices.Sorted(maps.Keys(c.CaptionLengths)) {
		all = append(all, slices.Repeat([]int{min(max(length, 3), c.TextLength)}, c.CaptionLengths[length])...)
	}
	return func(rng *rand.Rand) int { return all[rng.IntN(len(all))] }
}

// writeBench writes the weights by tensor name, and the batches: "pixels.0", "ids.0", "mask.0", "pixels.1" ...
func writeBench(dir string, store *model.Store, batches [][]*tensors.Tensor) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	weights, err := checkpoints.StoreTensors(store, nil)
	if err != nil {
		return err
	}
	var data []checkpoints.Named
	for i, batch := range batches {
		for k, name := range []string{"pixels", "ids", "mask"} {
			data = append(data, checkpoints.Named{Name: fmt.Sprintf("%s.%d", name, i), Tensor: batch[k]})
		}
	}
	return errors.Join(checkpoints.Write(filepath.Join(dir, "weights.safetensors"), weights, nil),
		checkpoints.Write(filepath.Join(dir, "batches.safetensors"), data, nil))
}
