package main

import (
	"fmt"

	"github.com/gomlx/compute/shapes"

	"goblip/datasets/image"
	"goblip/models/blip"
	"goblip/models/vit"
	"goblip/train/objective"
)

// blipAlpha is the weight of the soft targets that other programs take too: what it is after its ramp.
const blipAlpha = 0.4

// blipStep is a step of BLIP's pre-training: everything is trained, and decays.
func (c *benchConfig) blipStep() (*benchStep, error) {
	cfg := blip.Default()
	v, t := &cfg.Vision, &cfg.Text
	*v = vit.DefaultBLIP()
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers = c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.NumHiddenLayers
	v.NumAttentionHeads, v.ImageSize, v.PatchSize, v.LayerNormEps = c.Vision.NumAttentionHeads, c.Vision.ImageSize, c.Vision.PatchSize, 1e-6
	t.HiddenSize, t.IntermediateSize, t.NumHiddenLayers = c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.NumHiddenLayers
	t.NumAttentionHeads, t.VocabSize, t.BOSTokenID = c.Text.NumAttentionHeads, c.Text.VocabSize, c.Text.VocabSize-2
	t.EncoderHiddenSize, t.HiddenDropoutProb, t.AttentionProbsDropoutProb = v.HiddenSize, 0, 0
	t.SEPTokenID = min(t.SEPTokenID, t.VocabSize-1)
	cfg.ImageTextHiddenSize = c.ImageTextHiddenSize
	if err := c.validate(t.MaxPositionEmbeddings); err != nil {
		return nil, err
	}
	switch {
	case c.LLM != nil || c.QFormer.HiddenSize != 0:
		return nil, fmt.Errorf(`bench: "text" is BLIP's, which has no "qformer" and no "llm"`)
	case c.QueueSize < c.Batch || c.QueueSize%c.Batch != 0:
		return nil, fmt.Errorf("bench: queue_size %d is no multiple of batch %d", c.QueueSize, c.Batch)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	loss := objective.BLIPPretrain{Config: &cfg, Sharing: blip.ShareAllButSelf, Queue: c.QueueSize, Momentum: 0.995, Smoothing: 0.1, Negatives: nextPair}
	mean, std := image.Processor{}.Statistics()
	return &benchStep{loss: loss.Objective(c.Batch, mean, std), trainable: func(name string) bool { return !loss.Carried(name) }, decays: func(string, shapes.Shape) bool { return true }}, nil
}
