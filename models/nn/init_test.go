package nn_test

import (
	"math"
	"testing"

	"goblip/internal/golden"
	"goblip/models/nn"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// declareLayers creates the variables of the named linear layers and norms, in that order.
func declareLayers(t *testing.T, names ...string) *model.Store {
	t.Helper()
	store := model.NewStore()
	err := nn.Declare(golden.Go(t), store, func(scope *model.Scope, in []*Node) {
		for _, name := range names {
			at := scope.At("model").At("%s", name)
			nn.LayerNorm(at.At("norm"), nn.Linear(at, in[0], 32), 1e-5)
		}
	}, shapes.Make(dtypes.Float32, 2, 64))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func values(t *testing.T, store *model.Store, name string) []float32 {
	t.Helper()
	value, err := golden.Variable(t, store, name).Value()
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](value)
}

func deviation(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(x)))
}

func TestInitialize(t *testing.T) {
	initialize := func(store *model.Store, seed uint64, spread float64) *model.Store {
		t.Helper()
		if err := nn.Initialize(store, seed, spread); err != nil {
			t.Fatal(err)
		}
		return store
	}
	a := initialize(declareLayers(t, "a", "b"), 7, 0)
	reversed := initialize(declareLayers(t, "b", "a"), 7, 0)
	other := initialize(declareLayers(t, "a", "b"), 8, 0)
	wide := initialize(declareLayers(t, "a", "b"), 7, 0.1)
	same := func(x, y []float32) bool { return tensors.FromValue(x).Equal(tensors.FromValue(y)) }
	weight := values(t, a, "a.weight")
	switch {
	case !same(weight, values(t, reversed, "a.weight")):
		t.Error("the order of creation changes values")
	case same(weight, values(t, other, "a.weight")):
		t.Error("the seed does not change values")
	case same(weight, values(t, a, "b.weight")):
		t.Error("two layers start with the same values")
	}
	// 2,048 numbers: their deviation is within 10 % of the distribution's, surely.
	if got := deviation(weight); math.Abs(got-0.02) > 0.002 {
		t.Errorf("deviation %g, want 0.02", got)
	}
	if got := deviation(values(t, wide, "a.weight")); math.Abs(got-0.1) > 0.01 {
		t.Errorf("deviation %g, want 0.1", got)
	}
	for name, want := range map[string]float32{"a.bias": 0, "a.norm.bias": 0, "a.norm.weight": 1} {
		for _, v := range values(t, a, name) {
			if v != want {
				t.Fatalf("%s starts at %g, want %g", name, v, want)
			}
		}
	}
}

// TestInitializeKeepsValues wants what was loaded before to stay.
func TestInitializeKeepsValues(t *testing.T) {
	loaded := make([]float32, 32)
	loaded[5] = 9
	store := golden.Store(t, map[string]*tensors.Tensor{"a.bias": tensors.FromValue(loaded)})
	err := nn.Declare(golden.Go(t), store, func(scope *model.Scope, in []*Node) { nn.Linear(scope.At("model").At("a"), in[0], 32) },
		shapes.Make(dtypes.Float32, 2, 64))
	if err != nil {
		t.Fatal(err)
	}
	if err := nn.Initialize(store, 1, 0); err != nil {
		t.Fatal(err)
	}
	if got := values(t, store, "a.bias"); got[5] != 9 {
		t.Errorf("a loaded value became %g", got[5])
	}
	if deviation(values(t, store, "a.weight")) == 0 {
		t.Error("a new tensor stayed empty")
	}
}

// TestDeclareReports wants the error of a graph that cannot be built.
func TestDeclareReports(t *testing.T) {
	err := nn.Declare(golden.Go(t), model.NewStore(), func(scope *model.Scope, in []*Node) { nn.Activation("gulu", in[0]) },
		shapes.Make(dtypes.Float32, 2))
	if err == nil {
		t.Error("no error from an unknown activation")
	}
}

// TestDropout: off outside training and in evaluation, which has random numbers all the same; in training it drops the share it should, keeps the mean,
// and is a function of the stream alone.
func TestDropout(t *testing.T) {
	ones := make([]float32, 10000)
	for i := range ones {
		ones[i] = 1
	}
	x := tensors.FromValue(ones)
	run := func(mode func(state *Node), step int) (first, second []float32) {
		out := golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
			mode(in[1])
			return []*Node{nn.Dropout(in[0], 0.25), nn.Dropout(in[0], 0.25)}
		}).Run(x, nn.StepRNG(3, step))
		return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	}
	zeros := func(x []float32) (n int) {
		for _, v := range x {
			switch {
			case v == 0:
				n++
			case math.Abs(float64(v)-1/0.75) > 1e-6:
				t.Fatalf("an element became %g", v)
			}
		}
		return n
	}
	same := func(x, y []float32) bool { return tensors.FromValue(x).Equal(tensors.FromValue(y)) }
	if off, _ := run(func(*Node) {}, 0); !same(off, ones) {
		t.Error("dropout outside training")
	}
	if off, _ := run(func(state *Node) {
		nn.Evaluate(state)
		nn.Uniform(state.Graph(), 3)
	}, 0); !same(off, ones) {
		t.Error("dropout in evaluation")
	}
	first, second := run(nn.Train, 0)
	if n := zeros(first); n < 2300 || n > 2700 { // 2,500, five deviations of 43
		t.Errorf("%d of 10,000 dropped at rate 0.25", n)
	}
	again, _ := run(nn.Train, 0)
	next, _ := run(nn.Train, 1)
	if !same(first, again) {
		t.Error("one step's stream gave two masks")
	}
	if same(first, second) || same(first, next) {
		t.Error("two layers, or two steps, share a mask")
	}
}

// TestDropPath: whole rows are dropped or scaled up, about as many as the rate says, in training alone.
func TestDropPath(t *testing.T) {
	const rows, columns = 2000, 3
	ones := make([]float32, rows*columns)
	for i := range ones {
		ones[i] = 1
	}
	x := tensors.FromFlatDataAndDimensions(ones, rows, 1, columns)
	run := func(mode func(state *Node)) []float32 {
		return tensors.MustCopyFlatData[float32](golden.New(t, golden.Go(t), model.NewStore(), func(_ *model.Scope, in []*Node) []*Node {
			mode(in[1])
			return []*Node{nn.DropPath(in[0], 0.25), in[1]}
		}).Run(x, nn.StepRNG(3, 0))[0])
	}
	dropped := 0
	for i, out := 0, run(nn.Train); i < len(out); i += columns {
		if out[i] == 0 {
			dropped++
		}
		if out[i] != out[i+1] || out[i] != out[i+2] || out[i] != 0 && math.Abs(float64(out[i])-1/0.75) > 1e-6 {
			t.Fatalf("row %d became %v", i/columns, out[i:i+columns])
		}
	}
	if dropped < 400 || dropped > 600 { // 500, five deviations of 19
		t.Errorf("%d of %d rows dropped at rate 0.25", dropped, rows)
	}
	for _, v := range run(nn.Evaluate) {
		if v != 1 {
			t.Fatalf("in evaluation an element became %g", v)
		}
	}
}
