package clip_test

import (
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/models/clip"
	"goblip/models/vit"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestParity compares transformers' CLIPModel: with erf GELU and a modern eos, and with quick GELU
// and the eos 2 of old configs, where the text is pooled at its highest id.
func TestParity(t *testing.T) {
	for _, name := range []string{"clip-gelu", "clip-quickgelu"} {
		t.Run(name, func(t *testing.T) {
			c := golden.Open(t, name)
			var cfg clip.Config
			c.JSON("model/config.json", &cfg)
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			names := []string{"image_embeds", "text_embeds", "logits_per_image", "vision.hidden_states.0", "vision.hidden_states.1",
				"vision.hidden_states.2", "vision.hidden_states.3"}
			f := golden.New(t, golden.Backend(t), golden.Store(t, c.Weights("model")), func(scope *model.Scope, in []*Node) []*Node {
				image, text := clip.ImageFeatures(scope, &cfg, in[0]), clip.TextFeatures(scope, &cfg, in[1])
				scores := Mul(Einsum("id,td->it", image, text), clip.LogitScale(scope, image))
				return append([]*Node{image, text, scores}, vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])...)
			})
			out := f.Run(c.Input("pixel_values"), c.Input("input_ids"))
			f.UsesAll()
			for i, name := range names {
				c.Check(name, out[i])
			}
		})
	}
}

// TestFrozenTower is the tower as BLIP-2 freezes it: without its last block, then ln_vision.
func TestFrozenTower(t *testing.T) {
	c := golden.Open(t, "clip-quickgelu")
	var cfg clip.Config
	c.JSON("model/config.json", &cfg)
	cfg.Vision.NumHiddenLayers--
	weights := map[string]*tensors.Tensor{}
	for name, value := range c.Weights("model") {
		if strings.HasPrefix(name, "vision_model.") && !strings.Contains(name, "layers.2.") {
			weights[name] = value
		}
	}
	weights["vision_model.post_layernorm.weight"] = c.Input("ln_vision_weight")
	weights["vision_model.post_layernorm.bias"] = c.Input("ln_vision_bias")
	f := golden.New(t, golden.Go(t), golden.Store(t, weights), func(scope *model.Scope, in []*Node) []*Node {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		last := states[len(states)-1]
		return []*Node{last, vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, last)}
	})
	out := f.Run(c.Input("pixel_values"))
	f.UsesAll()
	c.Check("vision.penultimate", out[0])
	c.Check("vision.penultimate_ln_vision", out[1])
}
