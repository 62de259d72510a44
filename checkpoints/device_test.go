package checkpoints_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"goblip/checkpoints"
	"goblip/internal/golden"
)

// TestLoadOntoDevice wants weights on the device alone, and right.
func TestLoadOntoDevice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	half, err := checkpoints.Cast(tensors.FromValue([]float32{1, -2, 0.5}), dtypes.Float16)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Config: map[string]int{}, Tensors: []checkpoints.Named{{Name: "a.weight", Tensor: half}}}); err != nil {
		t.Fatal(err)
	}
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	backend, store := golden.Go(t), model.NewStore()
	want := map[string]shapes.Shape{"a.weight": shapes.Make(dtypes.Float32, 3)}
	if _, err := folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true, Backend: backend}); err != nil {
		t.Fatal(err)
	}
	value, err := store.GetVariable(checkpoints.VariablePath("a.weight")).Value()
	if err != nil {
		t.Fatal(err)
	}
	if !value.IsOnDevice(0) || value.HasLocal() {
		t.Error("the weights are not on the device alone")
	}
	if got := tensors.MustCopyFlatData[float32](value); !slices.Equal(got, []float32{1, -2, 0.5}) {
		t.Errorf("got %v", got)
	}
}
