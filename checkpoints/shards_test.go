package checkpoints

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWriteShards splits a model at several sizes, and wants it back from each.
func TestWriteShards(t *testing.T) {
	for _, limit := range []int64{0, 1, 20, 40, 1 << 40} {
		dir := filepath.Join(t.TempDir(), "model")
		named := allTypes()
		if err := WriteFolder(dir, Contents{Config: config{32}, Tensors: named, ShardBytes: limit}); err != nil {
			t.Fatal(err)
		}
		f := openFolder(t, dir)
		total := int64(0)
		for _, n := range named {
			got, err := f.Tensor(n.Name)
			if err != nil {
				t.Fatal(err)
			}
			sameTensor(t, n.Name, got, n.Tensor)
			total += n.Tensor.ByteSize()
		}
		whole := limit == 0 || limit > total
		if _, err := os.Stat(filepath.Join(dir, ModelFile)); (err == nil) != whole {
			t.Errorf("limit %d: %s: %v", limit, ModelFile, err)
		}
		if whole {
			continue
		}
		for _, file := range f.open {
			size, count := int64(0), 0
			for _, name := range file.Names() {
				shape, _ := file.Shape(name)
				size += shape.ByteSize()
				if shape.Size() > 0 {
					count++
				}
			}
			if size > limit && count > 1 {
				t.Errorf("limit %d: %s has %d bytes", limit, file.Path(), size)
			}
		}
		var index struct{ Metadata map[string]int64 }
		data, err := os.ReadFile(filepath.Join(dir, IndexFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &index); err != nil || index.Metadata["total_size"] != total {
			t.Errorf("limit %d: metadata %v, %v, want %d bytes", limit, index.Metadata, err, total)
		}
	}
}

// TestTorchFolder reads the folders of older libraries: pytorch_model.bin, whole and in shards.
func TestTorchFolder(t *testing.T) {
	source := filepath.Join("testdata", "torch", "bare_state_dict.pth")
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	put := func(dir, name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := OpenTensors(source)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	check := func(dir string) {
		t.Helper()
		f := openFolder(t, dir)
		if !slices.Equal(f.Names(), want.Names()) {
			t.Fatalf("tensors %q", f.Names())
		}
		for _, name := range f.Names() {
			g, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			w, err := want.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			sameTensor(t, name, g, w)
		}
	}
	dir := t.TempDir()
	put(dir, TorchFile, data)
	check(dir)

	dir = t.TempDir()
	index := map[string]map[string]string{"weight_map": {}}
	for _, name := range want.Names() {
		index["weight_map"][name] = "pytorch_model-00001-of-00001.bin"
	}
	encoded, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	put(dir, "pytorch_model-00001-of-00001.bin", data)
	put(dir, TorchIndexFile, encoded)
	check(dir)

	// Safetensors go before it.
	if err := Write(filepath.Join(dir, ModelFile), allTypes(), nil); err != nil {
		t.Fatal(err)
	}
	if f := openFolder(t, dir); !slices.Contains(f.Names(), "bf16") || slices.Contains(f.Names(), "base") {
		t.Errorf("tensors %q", f.Names())
	}
	if _, err := OpenFolder(t.TempDir()); err == nil || !strings.Contains(err.Error(), TorchIndexFile) {
		t.Errorf("an empty folder: got %v", err)
	}
	if _, err := OpenFolder(source); err == nil || !strings.Contains(err.Error(), "goblip convert") {
		t.Errorf("a file: got %v", err)
	}
}
