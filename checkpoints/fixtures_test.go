package checkpoints

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/ml/model"
)

// TestFixtures reads model folders that transformers wrote, where GOBLIP_FIXTURES names them: all
// tensors go into a store and come back bit for bit.
func TestFixtures(t *testing.T) {
	root := os.Getenv("GOBLIP_FIXTURES")
	if root == "" {
		t.Skip("GOBLIP_FIXTURES is not set")
	}
	for _, name := range []string{"blip2-opt/model", "blip2-qformer-stage1/model_hf", "clip-gelu/model", "opt-350m-layout/model"} {
		t.Run(name, func(t *testing.T) {
			f := openFolder(t, filepath.Join(root, name))
			var c struct {
				Architectures []string `json:"architectures"`
			}
			if err := f.Config(&c); err != nil {
				t.Fatal(err)
			}
			want := wanted(nil)
			for _, tensor := range f.Names() {
				shape, _ := f.Shape(tensor)
				want[tensor] = shape
			}
			store := model.NewStore()
			if err := f.Load(store, want, nil); err != nil {
				t.Fatal(err)
			}
			named, err := StoreTensors(store, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(named) != len(want) || len(want) == 0 {
				t.Errorf("%d of %d tensors", len(named), len(want))
			}
			for _, n := range named {
				original, err := f.File(n.Name).Tensor(n.Name)
				if err != nil {
					t.Fatal(err)
				}
				sameTensor(t, n.Name, n.Tensor, original)
			}
		})
	}
}
