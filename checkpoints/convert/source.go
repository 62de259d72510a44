package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/models/blip2"
)

// rename gives the tensors of one file or folder under the model's names. part says that it may be
// one of the models that ours is made of.
func (m *Model) rename(from checkpoints.Tensors, part bool) ([]checkpoints.Deferred, error) {
	names := from.Names()
	translate := func(name string) (string, bool) { return name, true }
	f := m.family
	switch prefix := partPrefix(names); {
	case f.isOriginal != nil && f.isOriginal(names):
		translate = f.from
	case part && f.parts && prefix != nil:
		translate = func(name string) (string, bool) {
			name, ok := prefix(name)
			if !ok {
				return name, true // it will be told as not of this model
			}
			return f.from(name)
		}
	}
	var all []checkpoints.Deferred
	var dropped []string
	for _, name := range names {
		d, err := checkpoints.Defer(from, name)
		if err != nil {
			return nil, err
		}
		hf, keep := translate(name)
		if keep {
			d.Name = hf
			all = append(all, d)
			m.Names[name] = hf
			continue
		}
		packed, err := m.mergeBias(from, names, name)
		if err != nil {
			return nil, err
		}
		switch {
		case packed == nil:
			dropped = append(dropped, name)
		case packed.Read != nil:
			all = append(all, *packed)
		}
		if packed != nil {
			m.Names[name] = packed.Name
		}
	}
	if len(dropped) > 0 {
		m.note("%s: without a counterpart, or tied to another tensor: %s", from.Path(), list(dropped))
	}
	return all, nil
}

// mergeBias makes one tensor of q_bias and v_bias when q's turn comes; nil for a tensor that is
// neither. The files of EVA-CLIP have them without the prefix.
func (m *Model) mergeBias(from checkpoints.Tensors, names []string, name string) (*checkpoints.Deferred, error) {
	bare := ""
	if strings.HasPrefix(name, "blocks.") {
		bare = evaPrefix
	}
	hf, other, ok := blip2.PackedBias(bare + name)
	if !ok || !m.family.splitBias {
		return nil, nil
	}
	other = strings.TrimPrefix(other, bare)
	if !slices.Contains(names, other) {
		return nil, fmt.Errorf("%s: tensor %s: q_bias and v_bias come in pairs, %s is missing", from.Path(), name, other)
	}
	if strings.HasSuffix(name, "v_bias") {
		return &checkpoints.Deferred{Name: hf}, nil // without a reader: nothing to add
	}
	shape, _ := from.Shape(name)
	if shape.Rank() != 1 {
		return nil, fmt.Errorf("%s: tensor %s: %s is no vector", from.Path(), name, shape)
	}
	return &checkpoints.Deferred{Name: hf, Shape: shapes.Make(shape.DType, 3*shape.Dimensions[0]), Read: func() (*tensors.Tensor, error) {
		q, err := from.Tensor(name)
		if err != nil {
			return nil, err
		}
		v, err := from.Tensor(other)
		if err != nil {
			return nil, err
		}
		return blip2.MergeQKVBias(q, v)
	}}, nil
}

// evaPrefix is what LAVIS puts in front of the names of the visual encoder's own file.
const evaPrefix = "visual_encoder."

// partPrefix knows the models that BLIP-2 is made of, by their names, and gives a function from their
// names to the whole's; nil for anything else. It is false for a tensor that is not a part.
func partPrefix(names []string) func(name string) (string, bool) {
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case has("blocks.0.attn.qkv.weight"): // EVA-CLIP's ViT
		return func(name string) (string, bool) {
			for _, prefix := range []string{"blocks.", "patch_embed."} {
				if strings.HasPrefix(name, prefix) {
					return evaPrefix + name, true
				}
			}
			return evaPrefix + name, name == "cls_token" || name == "pos_embed"
		}
	case has("decoder.embed_tokens.weight") && !has("shared.weight"): // OPT's model without its head
		return func(name string) (string, bool) { return "language_model.model." + name, true }
	case has("model.decoder.embed_tokens.weight"), has("shared.weight"): // OPT, T5
		return func(name string) (string, bool) { return "language_model." + name, true }
	}
	return nil
}
