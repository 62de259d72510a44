package blip

import (
	"regexp"
	"strings"
)

// renames turn the visual encoder's names in the original BLIP into transformers', which are ours
// too; those of the text side are the same. The first pattern that fits decides.
var renames = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^visual_encoder\.cls_token$`), "vision_model.embeddings.class_embedding"},
	{regexp.MustCompile(`^visual_encoder\.pos_embed$`), "vision_model.embeddings.position_embedding"},
	{regexp.MustCompile(`^visual_encoder\.patch_embed\.proj\.`), "vision_model.embeddings.patch_embedding."},
	{regexp.MustCompile(`^visual_encoder\.norm\.`), "vision_model.post_layernorm."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.norm([12])\.`), "vision_model.encoder.layers.$1.layer_norm$2."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.attn\.proj\.`), "vision_model.encoder.layers.$1.self_attn.projection."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.attn\.`), "vision_model.encoder.layers.$1.self_attn."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.mlp\.`), "vision_model.encoder.layers.$1.mlp."},
}

// originals turn them back.
var originals = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^vision_model\.embeddings\.class_embedding$`), "visual_encoder.cls_token"},
	{regexp.MustCompile(`^vision_model\.embeddings\.position_embedding$`), "visual_encoder.pos_embed"},
	{regexp.MustCompile(`^vision_model\.embeddings\.patch_embedding\.`), "visual_encoder.patch_embed.proj."},
	{regexp.MustCompile(`^vision_model\.post_layernorm\.`), "visual_encoder.norm."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.`), "visual_encoder.blocks.$1.norm$2."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection\.`), "visual_encoder.blocks.$1.attn.proj."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.`), "visual_encoder.blocks.$1.attn."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.mlp\.`), "visual_encoder.blocks.$1.mlp."},
}

// dropped are position numbers, and the second name of tables that are tied to the word embeddings or
// to predictions.bias.
var dropped = regexp.MustCompile(`\.embeddings\.position_ids$|\.cls\.predictions\.decoder\.(weight|bias)$`)

// pretraining are what only training needs: momentum copies, queues with their counters, the
// temperature.
var pretraining = regexp.MustCompile(`^(visual_encoder|text_encoder|vision_proj|text_proj|vision_model)_m\.|^(image|text|idx)_queue$|^(queue_ptr|ptr_queue|temp)$`)

// FromOriginal gives transformers' name of a tensor of the original BLIP (or LAVIS' BLIP). keep is
// false for one without a counterpart of its own. Other names are kept as they are.
func FromOriginal(name string) (hf string, keep bool) {
	if dropped.MatchString(name) {
		return "", false
	}
	for _, r := range renames {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to), true
		}
	}
	return name, true
}

// ToOriginal is the reverse of FromOriginal.
func ToOriginal(name string) string {
	for _, r := range originals {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to)
		}
	}
	return name
}

// IsPretraining names the tensors of BLIP's training that no class of transformers has.
func IsPretraining(name string) bool { return pretraining.MatchString(name) }

// IsOriginal tells the original's names from transformers': those of its visual encoder, unless there
// is something of BLIP-2 among them, which has such names too.
func IsOriginal(names []string) bool {
	visual := false
	for _, name := range names {
		if strings.HasPrefix(name, "Qformer.") || name == "query_tokens" || strings.HasPrefix(name, "ln_vision.") {
			return false
		}
		visual = visual || strings.HasPrefix(name, "visual_encoder.")
	}
	return visual
}
