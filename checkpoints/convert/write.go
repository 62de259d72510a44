package convert

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/models/blip2"
)

// WriteFolder writes a model folder that transformers opens. Weights above shardBytes are split; 0: never.
func (m *Model) WriteFolder(dir string, shardBytes int64) error {
	return checkpoints.WriteFolder(dir, checkpoints.Contents{
		Deferred: m.all(), ShardBytes: shardBytes, Files: m.files(),
		Pretraining: func(name string) bool { _, ok := m.Pretraining[name]; return ok },
	})
}

// WriteSafetensors writes the tensors alone.
func (m *Model) WriteSafetensors(path string) error {
	return checkpoints.WriteDeferred(path, m.all(), map[string]string{"format": "pt"})
}

// WriteTorch writes a file of torch.save. With original set it is as LAVIS or BLIP have it, under
// their names, with config.json and tokenizer files beside the tensors; else as transformers has it,
// which is bare and under its names.
func (m *Model) WriteTorch(path string, original bool) error {
	if !original {
		return checkpoints.WriteTorch(path, m.all(), true, nil)
	}
	all, err := m.originals()
	if err != nil {
		return err
	}
	return checkpoints.WriteTorch(path, all, false, m.files())
}

// all are the tensors to write.
func (m *Model) all() []checkpoints.Deferred {
	return append(sorted(m.Tensors), sorted(m.Pretraining)...)
}

// files are config.json and what lies beside it.
func (m *Model) files() map[string][]byte {
	files := maps.Clone(m.Files)
	if m.Config != nil {
		files[checkpoints.ConfigFile] = m.Config
	}
	return files
}

// originals gives tensors under the names of the family's own code, regrouped as that has them.
func (m *Model) originals() ([]checkpoints.Deferred, error) {
	if m.family.to == nil {
		return m.all(), nil
	}
	o := &originals{m: m, joined: map[string]bool{}}
	for _, d := range m.all() {
		if err := o.add(d); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", d.Name, err)
		}
	}
	seen := map[string]bool{}
	for _, d := range o.out {
		if seen[d.Name] {
			return nil, fmt.Errorf("two tensors would be %s", d.Name)
		}
		seen[d.Name] = true
	}
	if o.packed > 0 {
		m.note("%d attention biases of the visual encoder have keys, which LAVIS' code does not: they stay packed, as attn.qkv.bias", o.packed)
	}
	if len(o.tied) > 0 {
		m.note("left out, because the model ties them to other tensors: %s", list(o.tied))
	}
	return o.out, nil
}

type originals struct {
	m      *Model
	out    []checkpoints.Deferred
	joined map[string]bool // projections that are done
	packed int             // biases that could not be split
	tied   []string        // copies that were left out
}

func (o *originals) add(d checkpoints.Deferred) error {
	if o.m.family.regrouped {
		done, err := o.regroup(d)
		if done || err != nil {
			return err
		}
	}
	original := o.m.originalName(d.Name)
	if _, keep := o.m.family.from(original); !keep { // reading would pass over it
		o.tied = append(o.tied, d.Name)
		delete(o.m.Tensors, d.Name)
		return nil
	}
	d.Name = original
	o.out = append(o.out, d)
	return nil
}

// regroup splits a packed bias, and joins CLIP's projections when the turn of the first comes.
func (o *originals) regroup(d checkpoints.Deferred) (done bool, err error) {
	if q, v, ok := blip2.BiasesOf(d.Name); ok {
		value, err := d.Read()
		if err != nil {
			return false, err
		}
		qBias, vBias, err := blip2.SplitQKVBias(value)
		if errors.Is(err, blip2.ErrKeyBias) {
			o.packed++
			o.out = append(o.out, checkpoints.Deferred{Name: o.m.originalName(d.Name), Shape: d.Shape, Read: d.Read})
			return true, nil
		}
		o.out = append(o.out, inMemory(q, qBias), inMemory(v, vBias))
		return true, err
	}
	packed, ok := blip2.PackedProjection(d.Name)
	if !ok {
		return false, nil
	}
	if o.joined[packed] {
		return true, nil
	}
	o.joined[packed] = true
	names, _ := blip2.SplitProjection(packed)
	var parts []checkpoints.Deferred
	for _, name := range names {
		part, ok := o.m.Tensors[name]
		if !ok || !part.Shape.Equal(d.Shape) || d.Shape.Rank() < 1 {
			return false, fmt.Errorf("its queries, keys and values are not alike")
		}
		parts = append(parts, part)
	}
	o.out = append(o.out, joinRows(packed, parts))
	return true, nil
}

// joinRows puts the rows of tensors of one shape under one another.
func joinRows(name string, parts []checkpoints.Deferred) checkpoints.Deferred {
	shape := parts[0].Shape.Clone()
	shape.Dimensions[0] *= len(parts)
	return checkpoints.Deferred{Name: name, Shape: shape, Read: func() (*tensors.Tensor, error) {
		var rows []byte
		for _, part := range parts {
			value, err := part.Read()
			if err == nil && value.Size() > 0 {
				err = value.ConstBytes(func(data []byte) { rows = append(rows, data...) })
			}
			if err != nil {
				return nil, err
			}
		}
		return tensors.FromRaw(nil, 0, shape, slices.Clip(rows))
	}}
}

// originalName is the family's name. It depends on the parts that the model is made of.
func (m *Model) originalName(hf string) string {
	if !m.family.regrouped {
		return m.family.to(hf)
	}
	llm := m.family.llm
	if _, isT5 := m.Tensors["language_model.shared.weight"]; isT5 {
		llm = "t5"
	}
	if _, isCLIP := m.Tensors["vision_model.pre_layrnorm.weight"]; isCLIP {
		return blip2.CLIPToLAVIS(hf, llm)
	}
	return blip2.ToLAVIS(hf, llm)
}

// inMemory is a tensor that was read.
func inMemory(name string, value *tensors.Tensor) checkpoints.Deferred {
	if value == nil {
		return checkpoints.Deferred{Name: name}
	}
	return checkpoints.Deferred{Name: name, Shape: value.Shape(), Read: func() (*tensors.Tensor, error) { return value, nil }}
}
