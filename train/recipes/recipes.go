// Package recipes holds whole runs: which data, which model, which settings. A recipe is a Go
// function that prepares a train.Run; its settings are a struct whose fields all have a name, a
// help text and a source, and can be changed by --set name=value.
//
//	recipes.go   what runs share
//	settings.go  settings by name
//	batches.go   token ids, batches
//	order.go     in which order records are visited
//	augment.go   random crops and the like
//	frozen.go    the frozen image encoder's states, and what changes them
//	clip.go      recipe "clip": the image tower, by contrast with text
//	negatives.go wrong captions that read like right ones
//	checkpointing.go  setting checkpointing=auto
//	folder.go    the model folder at the end
//	lm.go        recipe "lm": the language model, on text alone
//	stage1.go    recipe "blip2/stage1"
//	stage2.go    recipe "blip2/stage2"; stage2_t5.go, its texts for an encoder-decoder LLM
//	vqa.go       recipe "blip2/vqa"
//	blip.go      what the recipes of BLIP share; blip_text.go prepares texts
//	blip_contrast.go  settings of ITC with a momentum encoder
//	blip_pretrain.go, blip_caption.go, blip_retrieval.go, blip_vqa.go, blip_nlvr.go  recipes "blip/..."
package recipes

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets"
	"goblip/infer"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Common are the settings of every recipe.
type Common struct {
	Steps      int    `json:"steps" help:"optimizer steps"`
	Batch      int    `json:"batch" help:"pictures (or texts) a micro-batch, over all devices"`
	Accumulate int    `json:"accumulate" help:"micro-batches a step; contrastive losses see one micro-batch at a time, but for itc_batch"`
	Seed       uint64 `json:"seed" help:"of initial weights, order of the data, dropout and negatives"`

	LearningRate  float64 `json:"learning_rate" help:"peak"`
	MinRate       float64 `json:"min_learning_rate" help:"at the last step"`
	WarmupRate    float64 `json:"warmup_learning_rate" help:"at the first step"`
	WarmupSteps   int     `json:"warmup_steps" help:"linear rise"`
	Schedule      string  `json:"schedule" help:"step: cosine per step; epoch: LAVIS' cosine per epoch; decay:R: times R each epoch, as BLIP's pre-training (decay:0.9)"`
	WeightDecay   float64 `json:"weight_decay" help:"AdamW; see the decay groups in --explain"`
	Beta1         float64 `json:"beta1" help:"AdamW"`
	Beta2         float64 `json:"beta2" help:"AdamW"`
	ClipNorm      float64 `json:"clip_norm" help:"global gradient norm; 0: no clipping, as in LAVIS"`
	InitRange     float64 `json:"initializer_range" help:"standard deviation of new weights"`
	MaxTextLength int     `json:"max_text_length" help:"tokens; longer captions are cut"`

	// Empty or 0, these leave a run as it was before they were there.
	Precision     string `json:"precision,omitempty" help:"f32 (also when empty), or bf16: computes in bfloat16, stores frozen towers in it"`
	Checkpointing string `json:"checkpointing,omitempty" help:"none (also when empty); blocks: the backward pass computes the inside of blocks again, which saves memory; auto: blocks where a step would not fit otherwise"`
	TextBuckets   int    `json:"text_buckets,omitempty" help:"lengths that texts are padded to, a batch to the shortest that holds it; 0 or 1: one" source:"ours: each length compiles a program of its own"`
}

// Options are what does not belong to a run's identity.
type Options struct {
	Dir             string // run folder
	Devices         int
	CheckpointEvery int
	LogEvery        int
	EvalEvery       int
	Resume          bool
	Shard           string // of train.Shards
	Quiet           bool

	// Note tells the user something before the run; may be nil.
	Note func(format string, args ...any)

	// FeatureCache is the folder that keeps the states of the frozen image tower, for recipes blip2/...;
	// empty: none. See infer.CacheFeatures.
	FeatureCache string

	// HeldOut is what the losses are measured on every EvalEvery steps; nil: nothing.
	HeldOut *infer.Pictures
}

// Validate says which setting makes no sense.
func (c *Common) Validate() error {
	switch {
	case c.Steps < 1 || c.Batch < 1 || c.Accumulate < 1:
		return fmt.Errorf("steps, batch and accumulate must be 1 or more")
	case c.LearningRate <= 0 || c.MinRate < 0 || c.WarmupRate < 0 || c.WarmupSteps < 0:
		return fmt.Errorf("learning rates must not be negative")
	case c.Schedule != "step" && c.Schedule != "epoch" && !c.decays():
		return fmt.Errorf("schedule %q is not step, epoch or decay:R with R in (0, 1]", c.Schedule)
	case c.Beta1 < 0 || c.Beta1 >= 1 || c.Beta2 < 0 || c.Beta2 >= 1:
		return fmt.Errorf("beta1 and beta2 must lie in [0, 1)")
	case c.InitRange <= 0:
		return fmt.Errorf("initializer_range must be positive")
	case c.MaxTextLength < 4:
		return fmt.Errorf("max_text_length must be 4 or more")
	case c.Precision != "" && !slices.Contains(train.Precisions, c.Precision):
		return fmt.Errorf("precision %q is none of %v", c.Precision, train.Precisions)
	case c.Checkpointing != "" && !slices.Contains(train.Checkpoints, c.Checkpointing):
		return fmt.Errorf("checkpointing %q is none of %v", c.Checkpointing, train.Checkpoints)
	case c.TextBuckets < 0 || c.TextBuckets > 8:
		return fmt.Errorf("text_buckets must be 0 to 8: each is a program to compile")
	}
	return nil
}

// decayRate is R of schedule "decay:R".
func (c *Common) decayRate() float64 {
	text, _ := strings.CutPrefix(c.Schedule, "decay:")
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return rate
}

func (c *Common) decays() bool {
	rate := c.decayRate()
	return strings.HasPrefix(c.Schedule, "decay:") && rate > 0 && rate <= 1
}

func (c *Common) schedule(records int) train.Schedule {
	warmup := min(c.WarmupSteps, c.Steps/2)
	start := c.WarmupRate
	if c.WarmupSteps == 0 {
		start = c.LearningRate
	}
	perEpoch := max(1, records/(c.Batch*c.Accumulate))
	if c.decays() {
		return train.EpochDecay(start, c.LearningRate, c.MinRate, c.decayRate(), c.WarmupSteps, perEpoch)
	}
	if c.Schedule == "epoch" {
		return train.EpochCosine(start, c.LearningRate, c.MinRate, c.WarmupSteps, perEpoch, (c.Steps+perEpoch-1)/perEpoch)
	}
	return train.WarmupCosine(c.WarmupRate, c.LearningRate, c.MinRate, warmup, c.Steps)
}

func (c *Common) adam() train.AdamW {
	return train.AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: 1e-8, WeightDecay: c.WeightDecay, ClipNorm: c.ClipNorm}
}

// recipe carries what a prepared recipe hands to run.
type recipe struct {
	name      string
	backend   compute.Backend
	store     *model.Store
	objective objective.Objective
	common    *Common
	settings  any // saved as config.json of the run
	decays    func(name string, shape shapes.Shape) bool
	trainable func(name string) bool
	whole     bool // losses are those of all micro-batches of a step together
	inputs    []shapes.Shape
	records   int
	corpus    string        // fingerprint of the data
	set       *datasets.Set // of pictures; nil: none
	data      batchFunc
	held      batchFunc // of heldOut records
	heldOut   int
}

// batchFunc makes micro-batch number i.
type batchFunc func(i int) ([]*tensors.Tensor, error)

// heldBatches is the most batches that one evaluation looks at.
const heldBatches = 8

// run trains and leaves the trained model in the store.
func (r *recipe) run(ctx context.Context, o Options) (train.Summary, error) {
	var none train.Summary
	if r.common.Batch > r.records {
		return none, fmt.Errorf("%s: batch %d is larger than the data set of %d records", r.name, r.common.Batch, r.records)
	}
	if devices := max(o.Devices, 1); r.common.Batch%devices != 0 {
		return none, fmt.Errorf("%s: batch %d does not divide over %d devices", r.name, r.common.Batch, devices)
	}
	adam := r.common.adam()
	adam.Decays = r.decays
	settings := train.Settings{
		AdamW: adam, Seed: r.common.Seed, Devices: o.Devices, Accumulate: r.common.Accumulate, Trainable: r.trainable,
		InitializerRange: r.common.InitRange, Precision: r.common.Precision, Checkpoint: r.common.Checkpointing, Shard: o.Shard, Whole: r.whole,
	}
	if err := r.decideCheckpointing(&settings, o); err != nil {
		return none, fmt.Errorf("%s: %w", r.name, err)
	}
	trainer, err := train.NewTrainer(r.backend, r.store, r.objective, settings, r.inputs)
	if err != nil {
		return none, fmt.Errorf("%s: %w", r.name, err)
	}
	defer trainer.Finalize()
	run := train.Run{
		Name: r.name, Dir: o.Dir, Config: r.settings, Corpus: r.corpus, Trainer: trainer, Terms: r.objective.Terms,
		Schedule: r.common.schedule(r.records), Steps: r.common.Steps, Batch: r.common.Batch, Data: r.data,
		LogEvery: o.LogEvery, EvalEvery: o.EvalEvery, CheckpointEvery: o.CheckpointEvery, Resume: o.Resume, Quiet: o.Quiet,
	}
	if r.held != nil {
		if run.HeldOut, run.HeldBatches = r.held, min(r.heldOut/r.common.Batch, heldBatches); run.HeldBatches == 0 {
			return none, fmt.Errorf("%s: %d held-out records are fewer than the batch of %d", r.name, r.heldOut, r.common.Batch)
		}
	}
	summary, err := run.Do(ctx)
	if r.set != nil {
		summary.LeftOut = r.set.LeftOut()
	}
	if err != nil {
		return summary, err
	}
	return summary, trainer.Release()
}

// feed sets the run's data, and what it is evaluated on.
func (r *recipe) feed(batches func(p *infer.Pictures) (batchFunc, error), p *infer.Pictures, o Options) (err error) {
	if r.data, err = batches(p); err != nil {
		return err
	}
	r.data = guard(r.data, p.Set)
	r.records, r.corpus, r.set = p.Len(), fingerprint(p.Set), p.Set
	if o.HeldOut != nil {
		r.heldOut = o.HeldOut.Len()
		if r.held, err = batches(o.HeldOut); err == nil {
			r.held = guard(r.held, o.HeldOut.Set)
		}
	}
	return err
}

// guard makes a batch without pictures that cannot be read, or fails: see datasets.Set.OnBad.
func guard(batch batchFunc, set *datasets.Set) batchFunc {
	batch = recovered(batch)
	return func(i int) ([]*tensors.Tensor, error) {
		for {
			before := set.LeftOut()
			out, err := batch(i)
			if err != nil || set.LeftOut() == before {
				return out, err
			}
		}
	}
}

// recovered makes the panic of a picture that cannot be read an error: see infer.Pictures.Batch.
func recovered(batch batchFunc) batchFunc {
	return func(i int) (out []*tensors.Tensor, err error) {
		defer func() {
			switch failed := recover().(type) {
			case nil:
			case runtime.Error:
				panic(failed) // a mistake of ours
			case error:
				err = failed
			default:
				panic(failed)
			}
		}()
		return batch(i)
	}
}

// held is the held-out set, or an empty one.
func held(o Options) *infer.Pictures {
	if o.HeldOut == nil {
		return &infer.Pictures{Set: &datasets.Set{}}
	}
	return o.HeldOut
}

// finalDir is where a run's model folder goes.
func finalDir(dir string) string { return filepath.Join(dir, "final") }

func shapeInt32(dims ...int) shapes.Shape   { return shapes.Make(dtypes.Int32, dims...) }
func shapeFloat32(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }
func shapeUint8(dims ...int) shapes.Shape   { return shapes.Make(dtypes.Uint8, dims...) }
