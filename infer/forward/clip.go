package forward

import (
	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/clip"
	"goblip/models/nn"
	"goblip/models/vit"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// lnVisionEps is the epsilon of LAVIS' ln_vision, torch's default.
const lnVisionEps = 1e-5

// clipModel is CLIPModel, and its image tower as BLIP-2 freezes it: without the last block
// (vision.penultimate), then LAVIS' ln_vision, whose weights are inputs.
func clipModel(r *run) error {
	var cfg clip.Config
	if err := r.readModel(checkpoints.ConfigFile, &cfg); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	side := cfg.Vision.ImageSize
	if err := r.load(checkpoints.LoadOptions{IgnoreUnexpected: infer.IsPositionIDs}, func(scope *model.Scope, in []*Node) {
		clip.LogitScale(scope, clip.ImageFeatures(scope, &cfg, in[0]))
		clip.TextFeatures(scope, &cfg, in[1])
	}, shapes.Make(dtypes.Float32, 1, 3, side, side), shapes.Make(dtypes.Int32, 1, 4)); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values"}, func(scope *model.Scope, in []*Node, out *outputs) {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		last := states[len(states)-1]
		out.all("vision.hidden_states.", states)
		out.put("vision.last_hidden_state", last) // not normalized: transformers normalizes the pooled token alone
		out.put("vision.pooler_output", vit.PostLayerNorm(scope.At("vision_model"), &cfg.Vision, first(last)))
		out.put("vision.penultimate", states[len(states)-2])
		out.put("image_embeds", clip.ImageFeatures(scope, &cfg, in[0]))
	}); err != nil {
		return err
	}
	if err := r.graph([]string{"pixel_values", "ln_vision_weight", "ln_vision_bias"}, func(scope *model.Scope, in []*Node, out *outputs) {
		states := vit.Encode(scope.At("vision_model"), &cfg.Vision, in[0])
		out.put("vision.penultimate_ln_vision", nn.Normed(states[len(states)-2], in[1], in[2], lnVisionEps))
	}); err != nil {
		return err
	}
	text := func(scope *model.Scope, ids, mask *Node, out *outputs, name string) *Node {
		states := clip.TextStates(scope, &cfg, ids, mask)
		pooled := clip.PoolText(&cfg, states, ids)
		out.put(name+".last_hidden_state", states)
		out.put(name+".pooler_output", pooled)
		return clip.ProjectText(scope, &cfg, pooled)
	}
	if err := r.graph([]string{"input_ids"}, func(scope *model.Scope, in []*Node, out *outputs) { text(scope, in[0], nil, out, "text_nomask") }); err != nil {
		return err
	}
	if err := r.graph([]string{"input_ids", "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		out.put("text_embeds", text(scope, in[0], in[1], out, "text"))
	}); err != nil {
		return err
	}
	return r.graph([]string{"pixel_values", "input_ids", "attention_mask"}, func(scope *model.Scope, in []*Node, out *outputs) {
		images := clip.ImageFeatures(scope, &cfg, in[0])
		texts := clip.ProjectText(scope, &cfg, clip.PoolText(&cfg, clip.TextStates(scope, &cfg, in[1], in[2]), in[1]))
		scores := Mul(Einsum("id,td->it", images, texts), clip.LogitScale(scope, images))
		out.put("logits_per_image", scores)
		out.put("logits_per_text", Transpose(scores, 0, 1))
	})
}
