package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"goblip/models/blip2"
	"goblip/models/opt"
	"goblip/models/vit"
	"goblip/train"
)

// benchConfig is a training step to time: of stage 1, of stage 2 if there is an LLM, or of BLIP's pre-training
// if there is a text encoder instead of a Q-Former. The programs of scripts/bench read the same file.
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
	LLM *struct { // an OPT
		HiddenSize        int `json:"hidden_size"`
		FFNDim            int `json:"ffn_dim"`
		NumHiddenLayers   int `json:"num_hidden_layers"`
		NumAttentionHeads int `json:"num_attention_heads"`
		VocabSize         int `json:"vocab_size"`
	} `json:"llm"`
	Text *struct { // BLIP's text encoder, and its decoder
		HiddenSize        int `json:"hidden_size"`
		IntermediateSize  int `json:"intermediate_size"`
		NumHiddenLayers   int `json:"num_hidden_layers"`
		NumAttentionHeads int `json:"num_attention_heads"`
		VocabSize         int `json:"vocab_size"`
	} `json:"text"`
	QueueSize           int `json:"queue_size"` // features of each modality that BLIP keeps
	ImageTextHiddenSize int `json:"image_text_hidden_size"`
	TextLength          int `json:"text_length"`
	Batch               int `json:"batch"`
	Steps               int `json:"steps"`

	// Batches is how many different ones the steps go through, again and again; 0: one.
	Batches int `json:"batches"`
	// CaptionLengths says how often texts have so many tokens; without it each length from half of
	// text_length on is equally likely.
	CaptionLengths map[int]int `json:"caption_lengths"`
}

// benchResult is printed; seconds a step.
type benchResult struct {
	Median        float64     `json:"step_seconds_median"`
	Min           float64     `json:"step_seconds_min"`
	First         float64     `json:"first_step_seconds"` // compiling included
	ImagesSeconds float64     `json:"images_per_second"`
	PeakMemory    uint64      `json:"peak_memory_bytes"`
	Parameters    int         `json:"trained_parameters"`
	Sum           float64     `json:"steps_seconds"` // of all counted steps
	Losses        [][]float64 `json:"losses"`        // of each step: itc, itm, itg, or lm, or ita, itm, lm
	Backend       string      `json:"backend"`
	CPUSeconds    float64     `json:"cpu_seconds"` // processor time of a step, on average
	Compilations  int         `json:"compilations"`
}

func newBenchCommand() *cobra.Command {
	var path string
	var asJSON bool
	var o benchOptions
	command := &cobra.Command{
		Use:   "bench --config FILE",
		Short: "Time a training step on this machine",
		Long: `Time a training step on this machine, with random weights on random data: of stage 1 (frozen image encoder,
ITC, ITM, ITG, gradient and AdamW), of stage 2 where the config has an "llm", or of BLIP's pre-training where it
has a "text" instead of a "qformer" (momentum encoders, queues, ITC, ITM, LM). ITM takes the next pair of the
batch as negative, so that other programs can compute the same losses: scripts/bench/run compares them.
--write gives them weights and batches.`,
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
			r, err := bench(cmd, &c, o)
			if err != nil || o.write != "" {
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
	command.Flags().IntVar(&o.devices, "devices", 1, "data-parallel devices")
	command.Flags().StringVar(&o.precision, "precision", "f32", strings.Join(train.Precisions, " or "))
	command.Flags().StringVar(&o.checkpointing, "checkpointing", "none", strings.Join(train.Checkpoints, " or "))
	command.Flags().IntVar(&o.buckets, "text-buckets", 1, "lengths that texts are padded to, as setting text_buckets of training")
	command.Flags().BoolVar(&o.kept, "kept-states", false, "encode the pictures before, as training does where their states fit into memory")
	command.Flags().StringVar(&o.write, "write", "", "write weights.safetensors and batches.safetensors into this folder instead")
	command.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON")
	requireFlags(command, "config")
	command.AddCommand(newBenchCaptionCommand(), newBenchLoaderCommand())
	return command
}

// blip2 builds the model's config from the sizes.
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
	if c.LLM != nil {
		t := opt.Default()
		t.HiddenSize, t.WordEmbedProjDim, t.FFNDim, t.VocabSize = c.LLM.HiddenSize, c.LLM.HiddenSize, c.LLM.FFNDim, c.LLM.VocabSize
		t.NumHiddenLayers, t.NumAttentionHeads, t.Dropout = c.LLM.NumHiddenLayers, c.LLM.NumAttentionHeads, 0
		cfg.Text, q.UseQFormerTextInput = t, false
	}
	if err := c.validate(q.MaxPositionEmbeddings); err != nil {
		return nil, err
	}
	return &cfg, cfg.Validate()
}

// validate says what is wrong with the sizes that are not the model's.
func (c *benchConfig) validate(positions int) error {
	if c.Batch < 2 || c.Steps < 1 || c.Batches < 0 || c.TextLength < 3 || c.TextLength > positions || c.vocab() < 10 {
		return fmt.Errorf("bench: batch, steps, batches, text_length or vocab_size is too small or too large")
	}
	for length, count := range c.CaptionLengths {
		if length < 1 || count < 1 || count > 1e6 {
			return fmt.Errorf("bench: caption_lengths: %d texts of %d tokens", count, length)
		}
	}
	return nil
}

// vocab is that of the texts.
func (c *benchConfig) vocab() int {
	switch {
	case c.LLM != nil:
		return c.LLM.VocabSize
	case c.Text != nil:
		return c.Text.VocabSize
	}
	return c.QFormer.VocabSize
}
