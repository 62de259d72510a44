package torch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead reads damaged files: no panic, and no tensor that is much larger than the file.
func FuzzRead(f *testing.F) {
	for _, dir := range []string{"torch", "hostile"} {
		paths, err := filepath.Glob(filepath.Join("..", "testdata", dir, "*.pth"))
		if err != nil || len(paths) == 0 {
			f.Fatal(paths, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if len(data) < 8<<10 {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &File{path: "x.pth"}
		if err := file.read(bytes.NewReader(data), int64(len(data))); err != nil {
			return
		}
		for _, name := range file.Names() {
			shape, _ := file.Shape(name)
			if shape.Size() > max(len(data), maxExpanded) {
				t.Errorf("%s has shape %s, the file %d bytes", name, shape, len(data))
			}
			if shape.ByteSize() > 1<<20 {
				continue // a view that repeats its storage
			}
			if value, err := file.Tensor(name); err == nil && !value.Shape().Equal(shape) {
				t.Errorf("%s: got shape %s, want %s", name, value.Shape(), shape)
			}
		}
		if _, err := file.Files(); err == nil && len(file.Skipped()) > len(data) {
			t.Error("more keys than bytes")
		}
	})
}
