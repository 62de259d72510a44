package torch

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen reads damaged files: no panic, and no tensor that is much larger than the file.
func FuzzOpen(f *testing.F) {
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
		path := filepath.Join(t.TempDir(), "x.pth")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			return
		}
		defer file.Close()
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
