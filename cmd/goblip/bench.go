package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	computeshapes "github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/spf13/cobra"

	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/models/blip2"
	"goblip/models/vit"
	"goblip/train"
	"goblip/train/objective"
)

// benchConfig is a stage-1 step to time; scripts/bench/stage1_torch.py reads the same file.
type benchConfig struct {
	Vision struct {
		HiddenSize        int `json:"hidden_size"`
		IntermediateSize  int `json:"intermediate_size"`
		NumHiddenLayers   int `json:"num_hidden_layers"`
		NumAttentionHeads int `json:"num_attention_heads"`
		ImageSize         int `json:"image_size"`
		PatchSize         int `json:"patch_size"`
	} `json:"vision"`
	QFormer struct {
		HiddenSize              int `json:"hidden_size"`
		IntermediateSize        int `json:"intermediate_size"`
		NumHiddenLayers         int `json:"num_hidden_layers"`
		NumAttentionHeads       int `json:"num_attention_heads"`
		VocabSize               int `json:"vocab_size"`
		NumQueryTokens          int `json:"num_query_tokens"`
		CrossAttentionFrequency int `json:"cross_attention_frequency"`
		EncoderHiddenSize       int `json:"encoder_hidden_size"`
	} `json:"qformer"`
	ImageTextHiddenSize int `json:"image_text_hidden_size"`
	TextLength          int `json:"text_length"`
	Batch               int `json:"batch"`
	Steps               int `json:"steps"`
}

// benchResult is printed; seconds a step.
type benchResult struct {
	Median        float64   `json:"step_seconds_median"`
	Min           float64   `json:"step_seconds_min"`
	First         float64   `json:"first_step_seconds"` // compiling included
	ImagesSeconds float64   `json:"images_per_second"`
	PeakMemory    uint64    `json:"peak_memory_bytes"`
	Parameters    int       `json:"trained_parameters"`
	Losses        []float64 `json:"losses"` // itc, itm, itg of the last step
	Backend       string    `json:"backend"`
	CPUSeconds    float64   `json:"cpu_seconds"` // processor time of a step, on average
	Compilations  int       `json:"compilations"`
}

func newBenchCommand() *cobra.Command {
	var path string
	var asJSON bool
	var devices int
	var precision string
	command := &cobra.Command{
		Use:   "bench --config FILE",
		Short: "Time a stage-1 training step on this machine",
		Long: `Time a stage-1 training step on this machine: frozen image encoder, ITC, ITM with hard negatives, ITG,
gradient and AdamW, on random data. scripts/bench/run compares it with the same step in PyTorch.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var c benchConfig
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&c); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			r, err := bench(cmd, &c, devices, precision)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "step %.1f ms (median of %d; fastest %.1f ms), %.0f pictures/s, first step %.1f s\npeak memory %s, %d trained parameters, %s\n",
				1000*r.Median, c.Steps, 1000*r.Min, r.ImagesSeconds, r.First, formatBytes(r.PeakMemory), r.Parameters, r.Backend)
			return nil
		},
	}
	command.Flags().StringVar(&path, "config", "", "JSON file of sizes, such as scripts/bench/small.json")
	command.Flags().IntVar(&devices, "devices", 1, "data-parallel devices")
	command.Flags().StringVar(&precision, "precision", "f32", strings.Join(train.Precisions, " or "))
	command.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON")
	requireFlags(command, "config")
	command.AddCommand(newBenchCaptionCommand(), newBenchLoaderCommand())
	return command
}

// configs builds the model's config from the sizes.
func (c *benchConfig) blip2() (*blip2.Config, error) {
	cfg := blip2.Default()
	v := vit.Default()
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers = c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.NumHiddenLayers
	v.NumAttentionHeads, v.ImageSize, v.PatchSize = c.Vision.NumAttentionHeads, c.Vision.ImageSize, c.Vision.PatchSize
	cfg.Vision, cfg.NumQueryTokens, cfg.ImageTextHiddenSize = v, c.QFormer.NumQueryTokens, c.ImageTextHiddenSize
	q := &cfg.QFormer
	q.HiddenSize, q.IntermediateSize, q.NumHiddenLayers = c.QFormer.HiddenSize, c.QFormer.IntermediateSize, c.QFormer.NumHiddenLayers
	q.NumAttentionHeads, q.VocabSize, q.EncoderHiddenSize = c.QFormer.NumAttentionHeads, c.QFormer.VocabSize, c.QFormer.EncoderHiddenSize
	q.CrossAttentionFrequency = c.QFormer.CrossAttentionFrequency
	q.HiddenDropoutProb, q.AttentionProbsDropoutProb = 0, 0
	if c.Batch < 2 || c.Steps < 1 || c.TextLength < 3 || c.TextLength > q.MaxPositionEmbeddings || q.VocabSize < 10 {
		return nil, fmt.Errorf("bench: batch, steps, text_length or vocab_size is too small or too large")
	}
	return &cfg, cfg.Validate()
}

func bench(cmd *cobra.Command, c *benchConfig, devices int, precision string) (*benchResult, error) {
	cfg, err := c.blip2()
	if err != nil {
		return nil, err
	}
	backend, info, err := openBackend(cmd, devices)
	if err != nil {
		return nil, err
	}
	loss := objective.Stage1{Config: cfg, DecoderID: cfg.QFormer.VocabSize - 1, Smoothing: 0.1}.Objective(c.Batch)
	onStates := loss.Build
	loss.Build = func(scope *model.Scope, in []*Node) []*Node {
		return onStates(scope, append([]*Node{infer.ImageStates(scope, &cfg.Vision, in[0])}, in[1:]...))
	}
	side := cfg.Vision.ImageSize
	inputs := []computeshapes.Shape{
		computeshapes.Make(dtypes.Uint8, c.Batch, side, side, 3), computeshapes.Make(dtypes.Int32, c.Batch, c.TextLength),
		computeshapes.Make(dtypes.Int32, c.Batch, c.TextLength), computeshapes.Make(dtypes.Int32, c.Batch),
	}
	trainer, err := train.NewTrainer(backend, model.NewStore(), loss, train.Settings{
		AdamW: train.AdamW{Beta1: 0.9, Beta2: 0.98, Eps: 1e-8, WeightDecay: 0.05}, Seed: 1, Devices: devices, Trainable: infer.Trainable, Precision: precision,
	}, inputs)
	if err != nil {
		return nil, err
	}
	defer trainer.Finalize()
	batch := c.batch(side)
	r := &benchResult{Parameters: trainer.NumTrained(), Backend: info.Description}
	var times []float64
	var spent float64
	for step := range c.Steps + 1 {
		began := time.Now()
		result, err := trainer.Step(step, 1e-4, [][]*tensors.Tensor{batch})
		if err != nil {
			return nil, err
		}
		seconds := time.Since(began).Seconds()
		if step == 0 {
			r.First, spent = seconds, pjrt.ProcessorTime()
		} else {
			times = append(times, seconds)
		}
		r.Losses = result.Terms
	}
	r.CPUSeconds = (pjrt.ProcessorTime() - spent) / float64(c.Steps)
	r.Compilations = trainer.Compilations()
	slices.Sort(times)
	r.Median, r.Min = times[len(times)/2], times[0]
	r.ImagesSeconds, r.PeakMemory = float64(c.Batch)/r.Median, pjrt.PeakMemory()
	return r, nil
}

// batch is one random batch, the same for every step.
func (c *benchConfig) batch(side int) []*tensors.Tensor {
	rng := rand.New(rand.NewPCG(1, 1))
	pixels := make([]uint8, c.Batch*side*side*3)
	for i := range pixels {
		pixels[i] = uint8(rng.IntN(256))
	}
	ids, mask, numbers := make([]int32, c.Batch*c.TextLength), make([]int32, c.Batch*c.TextLength), make([]int32, c.Batch)
	for b := range c.Batch {
		numbers[b] = int32(b)
		length := c.TextLength/2 + rng.IntN(c.TextLength-c.TextLength/2) + 1
		for t := range length {
			ids[b*c.TextLength+t] = int32(5 + rng.IntN(c.QFormer.VocabSize-6))
			mask[b*c.TextLength+t] = 1
		}
	}
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(pixels, c.Batch, side, side, 3), tensors.FromFlatDataAndDimensions(ids, c.Batch, c.TextLength),
		tensors.FromFlatDataAndDimensions(mask, c.Batch, c.TextLength), tensors.FromFlatDataAndDimensions(numbers, c.Batch),
	}
}
