package torch

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func bytesOf(t testing.TB, value *tensors.Tensor) []byte {
	t.Helper()
	if value.Size() == 0 {
		return nil
	}
	var out []byte
	if err := value.ConstBytes(func(data []byte) { out = slices.Clone(data) }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWrite wants back what was written, of every element type.
func TestWrite(t *testing.T) {
	var entries []Entry
	want := map[string][]byte{}
	for dtype := range writtenTypes {
		for _, dims := range [][]int{{}, {0}, {3}, {2, 0, 5}, {2, 3, 4}} {
			shape := shapes.Make(dtype, dims...)
			data := make([]byte, int(shape.ByteSize()))
			for i := range data {
				data[i] = byte(i*37 + 1)
				if dtype == dtypes.Bool {
					data[i] = byte(i % 2)
				}
			}
			name := "a." + shape.String() + " \"ü"
			want[name] = data
			entries = append(entries, Entry{name, shape, raw(data)})
		}
	}
	files := map[string][]byte{"config.json": []byte(`{"a": 1}`), "spiece.model": {0, 255, 1}, "empty": {}}
	path := filepath.Join(t.TempDir(), "a.pth")
	var file bytes.Buffer
	if err := Write(&file, Saved{Tensors: entries, Files: files}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	if len(f.Names()) != len(want) || len(f.Skipped()) != 0 {
		t.Fatalf("got tensors %q, skipped %q", f.Names(), f.Skipped())
	}
	for _, e := range entries {
		value, err := f.Tensor(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if shape, ok := f.Shape(e.Name); !ok || !shape.Equal(e.Shape) || !value.Shape().Equal(e.Shape) || !bytes.Equal(bytesOf(t, value), want[e.Name]) {
			t.Errorf("%s: got %s % x, want % x", e.Name, value.Shape(), bytesOf(t, value), want[e.Name])
		}
		if at := f.tensors[e.Name].storage.begin; at%alignment != 0 {
			t.Errorf("%s begins at byte %d", e.Name, at)
		}
	}
	got, err := f.Files()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(files) {
		t.Errorf("files %v", got)
	}
	for name, data := range files {
		if !bytes.Equal(got[name], data) {
			t.Errorf("file %s is %q, want %q", name, got[name], data)
		}
	}
}

// TestWriteBare wants a state dict without anything around it.
func TestWriteBare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pytorch_model.bin")
	var file bytes.Buffer
	entries := []Entry{{"w", shapes.Make(dtypes.Int8, 2), raw([]byte{1, 2})}}
	if err := Write(&file, Saved{Tensors: entries, Bare: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := open(t, path); !slices.Equal(f.Names(), []string{"w"}) {
		t.Errorf("got %q", f.Names())
	}
	if err := Write(&file, Saved{Bare: true, Files: map[string][]byte{"a": nil}}); err == nil {
		t.Error("files were lost without a word")
	}
	entries[0].Shape = shapes.Make(dtypes.Uint32, 2)
	if err := Write(&file, Saved{Tensors: entries}); err == nil {
		t.Error("a type that torch files do not have was written")
	}
}
