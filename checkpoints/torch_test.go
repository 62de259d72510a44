package checkpoints

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/checkpoints/torch"
)

// TestTorchFiles reads files of torch.save and wants what torch had: views of all kinds, zip and
// legacy, with and without settings beside the weights.
func TestTorchFiles(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "torch", "*.pth"))
	if err != nil || len(paths) < 7 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := Open(strings.TrimSuffix(path, ".pth") + ".safetensors")
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			got, err := OpenTensors(path)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			if !slices.Equal(got.Names(), want.Names()) {
				t.Fatalf("tensors %q, want %q", got.Names(), want.Names())
			}
			for _, name := range want.Names() {
				g, err := got.Tensor(name)
				if err != nil {
					t.Fatal(err)
				}
				w, err := want.Tensor(name)
				if err != nil {
					t.Fatal(err)
				}
				sameTensor(t, name, g, w)
			}
		})
	}
}

// TestTorchSkipped wants to be told what else was saved.
func TestTorchSkipped(t *testing.T) {
	f, err := torch.Open(filepath.Join("testdata", "torch", "settings.pth"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := []string{"args", "config", "dtype", "epoch", "metrics", "optimizer", "random", "scaler", "size"}; !slices.Equal(f.Skipped(), want) {
		t.Errorf("skipped %q, want %q", f.Skipped(), want)
	}
}
