package blip2

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// lavisRenames turns LAVIS tensor names into those of transformers, which are ours too. The first
// pattern that fits decides.
var lavisRenames = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^ln_vision\.`), "vision_model.post_layernorm."},
	{regexp.MustCompile(`^visual_encoder\.cls_token$`), "vision_model.embeddings.class_embedding"},
	{regexp.MustCompile(`^visual_encoder\.pos_embed$`), "vision_model.embeddings.position_embedding"},
	{regexp.MustCompile(`^visual_encoder\.patch_embed\.proj\.`), "vision_model.embeddings.patch_embedding."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.norm([12])\.`), "vision_model.encoder.layers.$1.layer_norm$2."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.attn\.proj\.`), "vision_model.encoder.layers.$1.self_attn.projection."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.attn\.`), "vision_model.encoder.layers.$1.self_attn."},
	{regexp.MustCompile(`^visual_encoder\.blocks\.(\d+)\.mlp\.`), "vision_model.encoder.layers.$1.mlp."},
	{regexp.MustCompile(`^Qformer\.cls\.`), "cls."}, // no class of transformers has it: its BLIP-2 cannot do ITG
	{regexp.MustCompile(`^Qformer\.bert\.embeddings\.LayerNorm\.`), "qformer.layernorm."},
	{regexp.MustCompile(`^Qformer\.bert\.embeddings\.`), "embeddings."},
	{regexp.MustCompile(`^Qformer\.bert\.encoder\.layer\.(\d+)\.(attention|crossattention)\.self\.`), "qformer.encoder.layer.$1.$2.attention."},
	{regexp.MustCompile(`^Qformer\.bert\.`), "qformer."},
	{regexp.MustCompile(`^vision_proj\.`), "vision_projection."},
	{regexp.MustCompile(`^text_proj\.`), "text_projection."},
	{regexp.MustCompile(`^(opt|t5|llm)_proj\.`), "language_projection."},
	{regexp.MustCompile(`^(opt|t5|llm)_model\.`), "language_model."},
}

// lavisDropped are tensors without a counterpart: position numbers, and the second name of tables
// that are tied to the word embeddings or to predictions.bias.
var lavisDropped = regexp.MustCompile(`^Qformer\.bert\.embeddings\.position_ids$|^Qformer\.cls\.predictions\.decoder\.|^opt_model\.lm_head\.weight$`)

// lavisBias are EVA-CLIP's two attention biases; its keys have none.
var lavisBias = regexp.MustCompile(`^(visual_encoder\.blocks\.\d+\.attn\.)(q|v)_bias$`)

// FromLAVIS gives the Hugging Face name of a tensor of a LAVIS BLIP-2 checkpoint. keep is false for
// a tensor that has no counterpart of its own: tied copies, counters, and q_bias and v_bias, which
// MergeQKVBias makes one. A name that is not LAVIS' is kept as it is.
func FromLAVIS(name string) (hf string, keep bool) {
	if lavisDropped.MatchString(name) || lavisBias.MatchString(name) {
		return "", false
	}
	for _, r := range lavisRenames {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to), true
		}
	}
	return name, true
}

// MergeQKVBias builds the bias of the packed projection, [q_bias; 0; v_bias]: twice [hidden] -> [3*hidden].
func MergeQKVBias(q, v *tensors.Tensor) (*tensors.Tensor, error) {
	if q.Rank() != 1 || !q.Shape().Equal(v.Shape()) {
		return nil, fmt.Errorf("q_bias %s and v_bias %s must be two vectors of one length", q.Shape(), v.Shape())
	}
	merged := tensors.FromShape(shapes.Make(q.DType(), 3*q.Size())) // zeros
	for part, bias := range map[int]*tensors.Tensor{0: q, 2: v} {
		var inner error
		err := bias.ConstBytes(func(from []byte) {
			inner = merged.MutableBytes(func(to []byte) { copy(to[part*len(from):], from) })
		})
		if err == nil {
			err = inner
		}
		if err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// ConvertLAVIS renames and merges the tensors of a LAVIS BLIP-2 checkpoint, by name.
func ConvertLAVIS(lavis map[string]*tensors.Tensor) (map[string]*tensors.Tensor, error) {
	out := make(map[string]*tensors.Tensor, len(lavis))
	put := func(from, name string, t *tensors.Tensor) error {
		if _, twice := out[name]; twice {
			return fmt.Errorf("tensor %s: another tensor of the checkpoint is %s too", from, name)
		}
		out[name] = t
		return nil
	}
	for name, t := range lavis {
		if hf, keep := FromLAVIS(name); keep {
			if err := put(name, hf, t); err != nil {
				return nil, err
			}
			continue
		}
		found := lavisBias.FindStringSubmatch(name)
		if found == nil {
			continue
		}
		q, v := lavis[found[1]+"q_bias"], lavis[found[1]+"v_bias"]
		switch {
		case q == nil || v == nil:
			return nil, fmt.Errorf("tensor %s: q_bias and v_bias come in pairs, the other one is missing", name)
		case found[2] == "v":
			continue // merged when q's turn comes
		}
		merged, err := MergeQKVBias(q, v)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		target, _ := FromLAVIS(found[1] + "qkv.bias")
		if err := put(name, target, merged); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// IsLAVIS tells LAVIS' names from transformers'.
func IsLAVIS(name string) bool {
	return strings.HasPrefix(name, "Qformer.") || strings.HasPrefix(name, "visual_encoder.") || strings.HasPrefix(name, "ln_vision.")
}
