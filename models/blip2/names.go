package blip2

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	// OpenAI's CLIP, as LAVIS has it for ViT-L.
	{regexp.MustCompile(`^visual_encoder\.class_embedding$`), "vision_model.embeddings.class_embedding"},
	{regexp.MustCompile(`^visual_encoder\.positional_embedding$`), "vision_model.embeddings.position_embedding.weight"},
	{regexp.MustCompile(`^visual_encoder\.conv1\.`), "vision_model.embeddings.patch_embedding."},
	{regexp.MustCompile(`^visual_encoder\.ln_pre\.`), "vision_model.pre_layrnorm."},
	{regexp.MustCompile(`^visual_encoder\.transformer\.resblocks\.(\d+)\.ln_([12])\.`), "vision_model.encoder.layers.$1.layer_norm$2."},
	{regexp.MustCompile(`^visual_encoder\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.`), "vision_model.encoder.layers.$1.self_attn.out_proj."},
	{regexp.MustCompile(`^visual_encoder\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.`), "vision_model.encoder.layers.$1.mlp.fc1."},
	{regexp.MustCompile(`^visual_encoder\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.`), "vision_model.encoder.layers.$1.mlp.fc2."},
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

// lavisProjection are CLIP's queries, keys and values in one: transformers has three.
var lavisProjection = regexp.MustCompile(`^visual_encoder\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$`)

// FromLAVIS gives the Hugging Face name of a tensor of a LAVIS BLIP-2 checkpoint. keep is false for
// a tensor that has no counterpart of its own: tied copies, counters, q_bias and v_bias, which
// MergeQKVBias makes one, and what SplitProjection names. A name that is not LAVIS' is kept as it is.
func FromLAVIS(name string) (hf string, keep bool) {
	if lavisDropped.MatchString(name) || lavisBias.MatchString(name) || lavisProjection.MatchString(name) {
		return "", false
	}
	for _, r := range lavisRenames {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to), true
		}
	}
	return name, true
}

// FromLAVISInstruct is FromLAVIS for InstructBLIP, whose Q-Former keeps its embeddings.
func FromLAVISInstruct(name string) (hf string, keep bool) {
	hf, keep = FromLAVIS(name)
	return ToInstructedName(hf), keep
}

// ToInstructedName gives the name that a tensor of transformers' BLIP-2 has in its InstructBLIP, whose
// text embeddings and their norm lie in the Q-Former.
func ToInstructedName(name string) string {
	for from, to := range instructRenames {
		if rest, ok := strings.CutPrefix(name, from); ok {
			return to + rest
		}
	}
	return name
}

// instructRenames are where InstructBLIP's names in transformers differ from BLIP-2's.
var instructRenames = map[string]string{
	"embeddings.": "qformer.embeddings.", "qformer.layernorm.": "qformer.embeddings.layernorm.",
}

// SplitProjection gives transformers' names of the three parts, each a third of the rows, of a packed
// projection of LAVIS' CLIP; false for another tensor.
func SplitProjection(name string) (parts [3]string, ok bool) {
	found := lavisProjection.FindStringSubmatch(name)
	if found == nil {
		return parts, false
	}
	for i, part := range []string{"q", "k", "v"} {
		parts[i] = fmt.Sprintf("vision_model.encoder.layers.%s.self_attn.%s_proj.%s", found[1], part, found[2])
	}
	return parts, true
}

// projectionPart is the reverse of SplitProjection.
var projectionPart = regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v)_proj\.(weight|bias)$`)

// PackedProjection is the reverse of SplitProjection: LAVIS' name of what a tensor is a third of.
func PackedProjection(name string) (packed string, ok bool) {
	found := projectionPart.FindStringSubmatch(name)
	if found == nil {
		return "", false
	}
	return fmt.Sprintf("visual_encoder.transformer.resblocks.%s.attn.in_proj_%s", found[1], found[3]), true
}

// clipToLAVIS are the names of a CLIP as visual encoder, toLAVIS those of all else.
var clipToLAVIS = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^vision_model\.embeddings\.class_embedding$`), "visual_encoder.class_embedding"},
	{regexp.MustCompile(`^vision_model\.embeddings\.position_embedding\.weight$`), "visual_encoder.positional_embedding"},
	{regexp.MustCompile(`^vision_model\.embeddings\.patch_embedding\.`), "visual_encoder.conv1."},
	{regexp.MustCompile(`^vision_model\.pre_layrnorm\.`), "visual_encoder.ln_pre."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.`), "visual_encoder.transformer.resblocks.$1.ln_$2."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\.`), "visual_encoder.transformer.resblocks.$1.attn.out_proj."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc1\.`), "visual_encoder.transformer.resblocks.$1.mlp.c_fc."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc2\.`), "visual_encoder.transformer.resblocks.$1.mlp.c_proj."},
}

// CLIPToLAVIS is ToLAVIS for a model whose visual encoder is a CLIP. Its projections are in three: see
// PackedProjection.
func CLIPToLAVIS(name, llm string) string {
	for _, r := range clipToLAVIS {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, r.to)
		}
	}
	return ToLAVIS(name, llm)
}

// toLAVIS is the reverse of lavisRenames. %s is the language model: opt, t5 or llm.
var toLAVIS = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^vision_model\.post_layernorm\.`), "ln_vision."},
	{regexp.MustCompile(`^vision_model\.embeddings\.class_embedding$`), "visual_encoder.cls_token"},
	{regexp.MustCompile(`^vision_model\.embeddings\.position_embedding$`), "visual_encoder.pos_embed"},
	{regexp.MustCompile(`^vision_model\.embeddings\.patch_embedding\.`), "visual_encoder.patch_embed.proj."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\.`), "visual_encoder.blocks.$1.norm$2."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.projection\.`), "visual_encoder.blocks.$1.attn.proj."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.self_attn\.`), "visual_encoder.blocks.$1.attn."},
	{regexp.MustCompile(`^vision_model\.encoder\.layers\.(\d+)\.mlp\.`), "visual_encoder.blocks.$1.mlp."},
	{regexp.MustCompile(`^cls\.`), "Qformer.cls."},
	{regexp.MustCompile(`^qformer\.(embeddings\.)?layernorm\.`), "Qformer.bert.embeddings.LayerNorm."},
	{regexp.MustCompile(`^(qformer\.)?embeddings\.`), "Qformer.bert.embeddings."},
	{regexp.MustCompile(`^qformer\.encoder\.layer\.(\d+)\.(attention|crossattention)\.attention\.`), "Qformer.bert.encoder.layer.$1.$2.self."},
	{regexp.MustCompile(`^qformer\.`), "Qformer.bert."},
	{regexp.MustCompile(`^vision_projection\.`), "vision_proj."},
	{regexp.MustCompile(`^text_projection\.`), "text_proj."},
	{regexp.MustCompile(`^language_projection\.`), "%s_proj."},
	{regexp.MustCompile(`^language_model\.`), "%s_model."},
}

// ToLAVIS gives LAVIS' name of a tensor of transformers' BLIP-2 or InstructBLIP. llm is how LAVIS
// calls the language model: "opt", "t5" or, for InstructBLIP's others, "llm". A packed attention bias
// has two names there: see BiasesOf.
func ToLAVIS(name, llm string) string {
	for _, r := range toLAVIS {
		if r.pattern.MatchString(name) {
			return r.pattern.ReplaceAllString(name, strings.ReplaceAll(r.to, "%s", llm))
		}
	}
	return name
}

// BiasesOf gives LAVIS' names of the two parts of a packed attention bias, which has transformers'
// name; false for another tensor.
func BiasesOf(name string) (q, v string, ok bool) {
	attention, ok := strings.CutSuffix(ToLAVIS(name, ""), "attn.qkv.bias")
	return attention + "attn.q_bias", attention + "attn.v_bias", ok
}

// PackedBias is the reverse of BiasesOf: transformers' name of the bias that a q_bias or v_bias is a
// part of, and LAVIS' name of the other part.
func PackedBias(name string) (packed, other string, ok bool) {
	found := lavisBias.FindStringSubmatch(name)
	if found == nil {
		return "", "", false
	}
	packed, _ = FromLAVIS(found[1] + "qkv.bias")
	return packed, found[1] + map[string]string{"q": "v", "v": "q"}[found[2]] + "_bias", true
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

// ErrKeyBias says that keys have a bias, which those of EVA-CLIP do not.
var ErrKeyBias = errors.New("the keys have a bias, which LAVIS' visual encoder does not know")

// SplitQKVBias is the reverse of MergeQKVBias; the error is ErrKeyBias where it has none.
func SplitQKVBias(packed *tensors.Tensor) (q, v *tensors.Tensor, err error) {
	if packed.Rank() != 1 || packed.Size()%3 != 0 {
		return nil, nil, fmt.Errorf("a packed bias of shape %s does not divide into three", packed.Shape())
	}
	parts := make([]*tensors.Tensor, 3)
	var inner error
	err = packed.ConstBytes(func(data []byte) {
		size := len(data) / 3
		for i := range parts {
			if parts[i], inner = tensors.FromRaw(nil, 0, shapes.Make(packed.DType(), packed.Size()/3), data[i*size:(i+1)*size]); inner != nil {
				return
			}
		}
		if slices.ContainsFunc(data[size:2*size], func(b byte) bool { return b != 0 }) {
			inner = ErrKeyBias
		}
	})
	return parts[0], parts[2], errors.Join(err, inner)
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
		packed, other, ok := PackedBias(name)
		switch {
		case !ok:
			continue
		case lavis[other] == nil:
			return nil, fmt.Errorf("tensor %s: q_bias and v_bias come in pairs, the other one is missing", name)
		case strings.HasSuffix(name, "v_bias"):
			continue // merged when q's turn comes
		}
		merged, err := MergeQKVBias(t, lavis[other])
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		if err := put(name, packed, merged); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// IsLAVIS tells LAVIS' names from transformers'.
func IsLAVIS(name string) bool {
	return strings.HasPrefix(name, "Qformer.") || strings.HasPrefix(name, "visual_encoder.") || strings.HasPrefix(name, "ln_vision.")
}

// IsPretraining names the tensors of stage 1 that no class of transformers has: ITG's head and the
// temperature.
func IsPretraining(name string) bool { return name == "temp" || strings.HasPrefix(name, "cls.") }
