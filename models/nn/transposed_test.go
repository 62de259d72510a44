package nn

import (
	"math"
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestTransposeWeights wants the same products afterwards, and each weight once.
func TestTransposeWeights(t *testing.T) {
	backend, store := golden.Go(t), model.NewStore()
	build := func(scope *model.Scope, x *Node) *Node {
		table := EmbeddingTable(scope.At("table"), x, 3, 5) // no Linear: stays
		x = Linear(scope.At("a"), x, 5)
		x = LinearNoBias(scope.At("a_b"), x, 3)
		return Add(x, TiedHead(table, ConvertDType(Linear(scope.At("c"), x, 5), dtypes.Float32)))
	}
	if err := Declare(backend, store, func(root *model.Scope, in []*Node) { build(root.At("model"), in[0]) }, shapes.Make(dtypes.Float32, 2, 4)); err != nil {
		t.Fatal(err)
	}
	if err := Initialize(store, 1, 0.5); err != nil {
		t.Fatal(err)
	}
	x := tensors.FromFlatDataAndDimensions([]float32{1, -2, 3, 0.5, 0, 1, 2, -1}, 2, 4)
	run := func() []float32 {
		exec := model.MustNewExec(backend, store, func(root *model.Scope, x *Node) *Node { return build(root.At("model"), x) })
		defer exec.Finalize()
		return tensors.MustCopyFlatData[float32](exec.MustCall1(x))
	}
	want, before := run(), store.NumVariables()
	if err := TransposeWeights(backend, store); err != nil {
		t.Fatal(err)
	}
	got := run()
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-5 {
			t.Errorf("number %d is %g, want %g", i, got[i], want[i])
		}
	}
	if store.NumVariables() != before || store.GetVariable("/model/a/weight") != nil || store.GetVariable("/model/table/weight") == nil {
		t.Errorf("%d variables, want %d", store.NumVariables(), before)
	}
	if v := store.GetVariable("/model/a/" + transposedName); v == nil || v.Shape().Dim(0) != 4 {
		t.Errorf("got %v", v)
	}
}
