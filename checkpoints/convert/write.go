package convert

import (
	"fmt"
	"maps"

	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/models/blip2"
)

// WriteFolder writes a model folder that transformers opens. Weights above shardBytes are split; 0: never.
func (m *Model) WriteFolder(dir string, shardBytes int64) error {
	all := append(sorted(m.Tensors), sorted(m.Pretraining)...)
	return checkpoints.WriteFolder(dir, checkpoints.Contents{
		Deferred: all, ShardBytes: shardBytes, Files: m.files(),
		Pretraining: func(name string) bool { _, ok := m.Pretraining[name]; return ok },
	})
}

// files are config.json and what lies beside it.
func (m *Model) files() map[string][]byte {
	files := maps.Clone(m.Files)
	if m.Config != nil {
		files[checkpoints.ConfigFile] = m.Config
	}
	return files
}

// WriteSafetensors writes the tensors alone.
func (m *Model) WriteSafetensors(path string) error {
	all := append(sorted(m.Tensors), sorted(m.Pretraining)...)
	return checkpoints.WriteDeferred(path, all, map[string]string{"format": "pt"})
}

// WriteTorch writes a file of torch.save: as LAVIS or BLIP have it, with config.json and tokenizer
// files beside the tensors, or as transformers has it, which is bare and under its names.
func (m *Model) WriteTorch(path string, original bool) error {
	all := append(sorted(m.Tensors), sorted(m.Pretraining)...)
	if !original {
		return checkpoints.WriteTorch(path, all, true, nil)
	}
	if m.family.to != nil {
		var err error
		if all, err = m.originals(all); err != nil {
			return err
		}
	}
	return checkpoints.WriteTorch(path, all, false, m.files())
}

// originals gives tensors under the names of the family's own code.
func (m *Model) originals(all []checkpoints.Deferred) ([]checkpoints.Deferred, error) {
	var out []checkpoints.Deferred
	packed := 0
	var tied []string
	for _, d := range all {
		q, v, isBias := blip2.BiasesOf(d.Name)
		if isBias && m.family.splitBias {
			value, err := d.Read()
			if err != nil {
				return nil, err
			}
			qBias, vBias, err := blip2.SplitQKVBias(value)
			if err == nil {
				out = append(out, named(q, qBias), named(v, vBias))
				continue
			}
			packed++ // it has keys too, and keeps its name
		}
		original := m.originalName(d.Name)
		if _, keep := m.family.from(original); !keep && !isBias {
			tied = append(tied, d.Name) // reading would pass over it
			delete(m.Tensors, d.Name)
			continue
		}
		d.Name = original
		out = append(out, d)
	}
	if len(tied) > 0 {
		m.note("left out, because the model ties them to other tensors: %s", list(tied))
	}
	if packed > 0 {
		m.note("%d attention biases of the visual encoder have keys, which LAVIS' code does not: they stay packed, as attn.qkv.bias", packed)
	}
	seen := map[string]bool{}
	for _, d := range out {
		if seen[d.Name] {
			return nil, fmt.Errorf("two tensors would be %s", d.Name)
		}
		seen[d.Name] = true
	}
	return out, nil
}

// originalName is the family's name; a T5 has its own there.
func (m *Model) originalName(hf string) string {
	if m.family.splitBias && m.Layout != nil {
		if _, isT5 := m.Layout.Required["language_model.shared.weight"]; isT5 {
			return blip2.ToLAVIS(hf, "t5")
		}
	}
	return m.family.to(hf)
}

// named is a tensor in memory.
func named(name string, value *tensors.Tensor) checkpoints.Deferred {
	return checkpoints.Deferred{Name: name, Shape: value.Shape(), Read: func() (*tensors.Tensor, error) { return value, nil }}
}
