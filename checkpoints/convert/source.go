package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/models/blip2"
)

// spelling is how one file names the tensors of a model.
type spelling struct {
	// prefix is missing from all names: files of a part do not say which part they are.
	prefix string

	// original says that, with the prefix, these are the names of the family's own code.
	original bool

	// isPart tells which tensors, without the prefix, belong to the part; nil: all.
	isPart func(name string) bool
}

// evaPrefix is what LAVIS puts in front of the names of the visual encoder's own file.
const evaPrefix = "visual_encoder."

// spellingOf finds out how names are to be read. part says that they may be of one of the models that
// ours is made of.
func (m *Model) spellingOf(names []string, part bool) spelling {
	f := m.family
	if f.isOriginal != nil && f.isOriginal(names) {
		return spelling{original: true}
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	startsWith := func(prefixes ...string) func(string) bool {
		return func(name string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		}
	}
	switch {
	case !part || !f.parts:
	case has("blocks.0.attn.qkv.weight"): // EVA-CLIP's ViT
		return spelling{evaPrefix, true, startsWith("blocks.", "patch_embed.", "cls_token", "pos_embed")}
	case has("transformer.resblocks.0.attn.in_proj_weight"): // OpenAI's
		return spelling{evaPrefix, true, startsWith("transformer.resblocks.", "conv1.", "ln_pre.", "class_embedding", "positional_embedding")}
	case has("decoder.embed_tokens.weight") && !has("shared.weight"): // OPT without its head
		return spelling{prefix: "language_model.model."}
	case has("model.decoder.embed_tokens.weight"), has("shared.weight"): // OPT, T5
		return spelling{prefix: "language_model."}
	}
	return spelling{}
}

// rename gives the tensors of one file or folder under transformers' names.
func (m *Model) rename(from checkpoints.Tensors, part bool) ([]checkpoints.Deferred, error) {
	names := from.Names()
	s := m.spellingOf(names, part)
	var all []checkpoints.Deferred
	var dropped []string
	for _, name := range names {
		d, err := checkpoints.Defer(from, name)
		if err != nil {
			return nil, err
		}
		if s.isPart != nil && !s.isPart(name) {
			all = append(all, d) // it will be told as not of this model
			continue
		}
		hf, keep := s.prefix+name, true
		if s.original {
			hf, keep = m.family.from(s.prefix + name)
		}
		if keep {
			d.Name = hf
			all = append(all, d)
			m.Names[name] = hf
			continue
		}
		made, hf, err := m.regroup(from, names, name, s.prefix)
		if err != nil {
			return nil, err
		}
		all = append(all, made...)
		if hf == "" {
			dropped = append(dropped, name)
		} else {
			m.Names[name] = hf
		}
	}
	if len(dropped) > 0 {
		m.note("%s: without a counterpart, or tied to another tensor: %s", from.Path(), list(dropped))
	}
	return all, nil
}

// regroup makes the tensors of transformers of one that is a part of such, or several. hf is the name
// of the first, "" for a tensor that is neither.
func (m *Model) regroup(from checkpoints.Tensors, names []string, name, prefix string) (made []checkpoints.Deferred, hf string, err error) {
	if !m.family.regrouped {
		return nil, "", nil
	}
	if parts, ok := blip2.SplitProjection(prefix + name); ok {
		made, err = thirds(from, name, parts)
		return made, parts[0], err
	}
	packed, other, ok := blip2.PackedBias(prefix + name)
	if !ok {
		return nil, "", nil
	}
	other = strings.TrimPrefix(other, prefix)
	if !slices.Contains(names, other) {
		return nil, "", fmt.Errorf("%s: tensor %s: q_bias and v_bias come in pairs, %s is missing", from.Path(), name, other)
	}
	if strings.HasSuffix(name, "v_bias") {
		return nil, packed, nil // made when q's turn comes
	}
	merged, err := mergeBias(from, packed, name, other)
	return []checkpoints.Deferred{merged}, packed, err
}

// mergeBias makes one tensor of q_bias and v_bias.
func mergeBias(from checkpoints.Tensors, packed, q, v string) (checkpoints.Deferred, error) {
	shape, _ := from.Shape(q)
	if shape.Rank() != 1 {
		return checkpoints.Deferred{}, fmt.Errorf("%s: tensor %s: %s is no vector", from.Path(), q, shape)
	}
	return checkpoints.Deferred{Name: packed, Shape: shapes.Make(shape.DType, 3*shape.Dimensions[0]), Read: func() (*tensors.Tensor, error) {
		qBias, err := from.Tensor(q)
		if err != nil {
			return nil, err
		}
		vBias, err := from.Tensor(v)
		if err != nil {
			return nil, err
		}
		return blip2.MergeQKVBias(qBias, vBias)
	}}, nil
}

// thirds makes three tensors of one, each with a third of its rows.
func thirds(from checkpoints.Tensors, name string, parts [3]string) ([]checkpoints.Deferred, error) {
	shape, _ := from.Shape(name)
	if shape.Rank() < 1 || shape.Dimensions[0]%3 != 0 {
		return nil, fmt.Errorf("%s: tensor %s: %s does not divide into queries, keys and values", from.Path(), name, shape)
	}
	third := shape.Clone()
	third.Dimensions[0] /= 3
	var all []checkpoints.Deferred
	for i, part := range parts {
		all = append(all, checkpoints.Deferred{Name: part, Shape: third, Read: func() (*tensors.Tensor, error) {
			whole, err := from.Tensor(name)
			if err != nil || whole.Size() == 0 {
				return tensors.FromShape(third), err
			}
			var out *tensors.Tensor
			accessErr := whole.ConstBytes(func(data []byte) {
				size := len(data) / 3
				out, err = tensors.FromRaw(nil, 0, third, data[i*size:(i+1)*size])
			})
			return out, errors.Join(accessErr, err)
		}})
	}
	return all, nil
}
