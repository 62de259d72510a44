package blip

import (
	"regexp"
	"strings"
)

// officialRenames turn names of a pre-training checkpoint of the BLIP source into ours. The first
// pattern that fits decides.
var officialRenames = []struct {
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

var (
	momentumName = regexp.MustCompile(`^(visual_encoder|text_encoder|vision_proj|text_proj)_m\.`)
	sharedName   = regexp.MustCompile(`^text_decoder\.bert\.(embeddings\..*|encoder\.layer\.\d+\.(crossattention|intermediate|output)\..*)$`)
)

// FromPretraining gives our name of a tensor of the BLIP source's pre-training checkpoint. shared is
// true for the decoder's second copies of what it shares with the encoder, whose name they get; hf is
// "" for counters and for the word head's copies of the word table and its bias.
func FromPretraining(name string) (hf string, shared bool) {
	if strings.HasSuffix(name, ".position_ids") || strings.HasPrefix(name, "text_decoder.cls.predictions.decoder.") {
		return "", false
	}
	if found := momentumName.FindStringSubmatch(name); found != nil {
		hf, _ = FromPretraining(found[1] + "." + name[len(found[0]):])
		return "momentum." + hf, false
	}
	if found := sharedName.FindStringSubmatch(name); found != nil {
		return "text_encoder." + found[1], true
	}
	for _, r := range officialRenames {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to), false
		}
	}
	return name, false
}
