package plan

import (
	"fmt"
	"slices"

	"goblip/infer"
	"goblip/models/blip2"
	"goblip/models/opt"
	"goblip/models/t5"
	"goblip/models/vit"
	"goblip/train"
	"goblip/train/objective"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Job is what is to be trained: a stage of BLIP-2 with its sizes.
type Job struct {
	Stage     int // 1 or 2
	Config    blip2.Config
	Batch     int    // pictures a step, over all devices
	Text      int    // tokens of a padded text; of T5's labels too
	Steps     int    // optimizer steps
	Precision string // of train.Precisions
	Remat     string // of train.Checkpoints

	SendStates bool // objective.Stage1.SendStates, which runs on several devices have

	Source string // where sizes, batch and steps come from
}

// Visions and LLMs are the towers that BLIP-2 was trained with, by name.
var (
	Visions = []string{"vit-g", "vit-l"}
	LLMs    = []string{"opt-2.7b", "opt-6.7b", "flan-t5-xl", "flan-t5-xxl"}
)

// Recipes are the names of the jobs that Paper knows.
var Recipes = []string{"blip2/stage1", "blip2/stage2"}

// Paper is a stage as the paper trained it (section 3.4): towers, batch and steps.
func Paper(recipe, vision, llm string) (*Job, error) {
	j := &Job{Config: blip2.Default(), Text: 32, Precision: "bf16", Remat: "none", Source: "BLIP-2 section 3.4"}
	c := &j.Config
	c.QFormer.UseQFormerTextInput = true
	c.QFormer.VocabSize = 30523
	c.Vision.LayerNormEps = 1e-6
	switch vision {
	case "vit-g":
	case "vit-l":
		v := vit.DefaultCLIP()
		v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.PatchSize = 1024, 4096, 23, 16, 14
		c.Vision, c.QFormer.EncoderHiddenSize = v, v.HiddenSize
	default:
		return nil, fmt.Errorf("image tower %q is none of %v", vision, Visions)
	}
	switch recipe {
	case "blip2/stage1":
		j.Stage, j.Batch, j.Steps = 1, 1680, 250_000
		if vision == "vit-l" {
			j.Batch = 2320
		}
		c.Architectures = []string{blip2.RetrievalClass}
		return j, c.Validate()
	case "blip2/stage2":
		j.Stage, j.Batch, j.Steps = 2, 1920, 80_000
	default:
		return nil, fmt.Errorf("recipe %q is none of %v", recipe, Recipes)
	}
	c.Architectures = []string{blip2.GenerationClass}
	c.QFormer.UseQFormerTextInput = false
	decoder := func(hidden, layers, ffn int) {
		t := opt.Default()
		t.HiddenSize, t.WordEmbedProjDim, t.NumHiddenLayers, t.FFNDim, t.NumAttentionHeads = hidden, hidden, layers, ffn, 32
		t.Dropout, t.AttentionDropout, t.VocabSize = 0, 0, 50304
		c.Text = t
	}
	both := func(width, heads, ff int) {
		t := t5.Default()
		t.DModel, t.DKV, t.NumHeads, t.DFF, t.NumLayers, t.NumDecoderLayers = width, 64, heads, ff, 24, 24
		t.DropoutRate, t.IsGatedAct, t.DenseActFn, t.UntiedHead, t.ScaleDecoderOutputs = 0, true, "gelu", true, false
		c.T5, j.Batch = &t, 1520
	}
	switch llm {
	case "opt-2.7b":
		decoder(2560, 32, 10240)
	case "opt-6.7b":
		decoder(4096, 32, 16384)
	case "flan-t5-xl":
		both(2048, 32, 5120)
	case "flan-t5-xxl":
		both(4096, 64, 10240)
	default:
		return nil, fmt.Errorf("language model %q is none of %v", llm, LLMs)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return j, c.ValidateLLM()
}

// Validate says what of the job makes no sense on so many devices.
func (j *Job) Validate(devices int) error {
	switch {
	case j.Batch < 2 || j.Steps < 1:
		return fmt.Errorf("batch must be 2 or more and steps 1 or more")
	case j.Text < 4 || j.Text > j.Config.QFormer.MaxPositionEmbeddings:
		return fmt.Errorf("text of %d tokens: must be 4 to %d", j.Text, j.Config.QFormer.MaxPositionEmbeddings)
	case devices < 1 || j.Batch%devices != 0:
		return fmt.Errorf("batch %d does not divide over %d devices", j.Batch, devices)
	case !slices.Contains(train.Precisions, j.Precision):
		return fmt.Errorf("precision %q is none of %v", j.Precision, train.Precisions)
	case !slices.Contains(train.Checkpoints, j.Remat):
		return fmt.Errorf("checkpointing %q is none of %v", j.Remat, train.Checkpoints)
	}
	if err := j.Config.Validate(); err != nil {
		return err
	}
	if j.Stage == 2 {
		return j.Config.ValidateLLM()
	}
	return nil
}

// Objective is the losses of the job's step, from pixels on, and the shapes of its inputs.
func (j *Job) Objective() (objective.Objective, []shapes.Shape) {
	cfg := &j.Config
	side := cfg.Vision.ImageSize
	text := shapes.Make(dtypes.Int32, j.Batch, j.Text)
	inputs := []shapes.Shape{shapes.Make(dtypes.Uint8, j.Batch, side, side, 3), text, text}
	var obj objective.Objective
	switch {
	case j.Stage == 1:
		obj = objective.Stage1{Config: cfg, DecoderID: cfg.QFormer.VocabSize - 1, Smoothing: 0.1, SendStates: j.SendStates}.Objective(j.Batch)
		inputs = append(inputs, shapes.Make(dtypes.Int32, j.Batch))
	case cfg.T5 != nil:
		obj = objective.Stage2T5(cfg)
		inputs = append(inputs, text, text)
	default:
		obj = objective.Stage2(cfg)
		inputs = append(inputs, text)
	}
	return obj.On(func(scope *model.Scope, pixels *Node) *Node { return infer.ImageStates(scope, &cfg.Vision, pixels) }), inputs
}

// Settings are those of the trainer that runs the job on so many devices.
func (j *Job) Settings(devices int) train.Settings {
	return train.Settings{
		AdamW: train.AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.05}, Seed: 1,
		Devices: devices, Trainable: infer.Trainable, Precision: j.Precision, Checkpoint: j.Remat,
	}
}
