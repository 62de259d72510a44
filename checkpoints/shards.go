package checkpoints

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
)

// torchFormat is the metadata that transformers refuses files without. It says how tensors are laid out.
func torchFormat() map[string]string { return map[string]string{"format": "pt"} }

// writeShards writes weights into model.safetensors, or, if they take more than limit bytes, into
// model-00001-of-0000N.safetensors and so on with an index. A tensor larger than limit has a file
// of its own.
func writeShards(dir string, weights []Deferred, limit int64) error {
	shards := split(weights, limit)
	if len(shards) <= 1 {
		return WriteDeferred(filepath.Join(dir, ModelFile), weights, torchFormat())
	}
	var index struct {
		Metadata struct {
			TotalSize int64 `json:"total_size"` // bytes
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	index.WeightMap = make(map[string]string, len(weights))
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		if err := WriteDeferred(filepath.Join(dir, name), shard, torchFormat()); err != nil {
			return err
		}
		for _, d := range shard {
			if other, twice := index.WeightMap[d.Name]; twice {
				return fmt.Errorf("%s: tensor %s is in %s too", filepath.Join(dir, name), d.Name, other)
			}
			index.WeightMap[d.Name] = name
			index.Metadata.TotalSize += d.Shape.ByteSize()
		}
	}
	data, err := marshal(&index)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, IndexFile), data)
}

// split groups weights, in the order of their names, into shards of at most limit bytes.
func split(weights []Deferred, limit int64) [][]Deferred {
	sorted := slices.SortedFunc(slices.Values(weights), func(a, b Deferred) int { return cmp.Compare(a.Name, b.Name) })
	var shards [][]Deferred
	size := int64(0)
	for _, d := range sorted {
		if len(shards) == 0 || limit > 0 && size > 0 && size+d.Shape.ByteSize() > limit {
			shards, size = append(shards, nil), 0
		}
		last := len(shards) - 1
		shards[last] = append(shards[last], d)
		size += d.Shape.ByteSize()
	}
	return shards
}
