package pjrt

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestOverwrite runs a program that changes one variable and reads another: the changed one's new
// value lies where the old one lay, the other one stays; a value that the host shares is not harmed.
func TestOverwrite(t *testing.T) {
	opened, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if info.Kind != "cpu" {
		t.Skip("needs the CPU plugin")
	}
	const size = 1 << 16
	store := model.NewStore()
	scope := store.RootScope().At("model")
	ones := make([]float32, size)
	for i := range ones {
		ones[i] = 1
	}
	state := scope.VariableWithValue("state", tensors.FromValue(ones))
	scope.VariableWithValue("read", tensors.FromValue(ones))
	step, err := model.NewExec(opened, store, func(scope *model.Scope, x *Node) *Node {
		v := scope.Store().GetVariable("/model/state")
		v.SetNodeValue(Add(v.NodeValue(x.Graph()), Mul(x, scope.Store().GetVariable("/model/read").NodeValue(x.Graph()))))
		return ReduceAllSum(x)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Finalize()
	b := opened.(Overwriter)
	step.WithName("overwriting")
	b.Overwrite("overwriting", func(input string) bool { return input == "/model/state" })
	defer b.Overwrite("overwriting", nil)
	var before *tensors.Tensor
	for i := range 4 {
		if i == 2 { // from now on the host shares the value
			value := state.MustValue()
			if err := value.MaterializeOnDevice(opened, true, 0); err != nil {
				t.Fatal(err)
			}
			if before, err = value.LocalClone(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := step.Exec(tensors.FromScalar(float32(2))); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range tensors.MustCopyFlatData[float32](state.MustValue()) {
		if got != 9 {
			t.Fatalf("state[%d] is %g after four steps, want 9", i, got)
		}
	}
	if got := tensors.MustCopyFlatData[float32](before)[size-1]; got != 5 {
		t.Errorf("the value kept from before is %g, want 5", got)
	}
	if got := tensors.MustCopyFlatData[float32](store.GetVariable("/model/read").MustValue())[0]; got != 1 {
		t.Errorf("the variable that is only read became %g", got)
	}
}

// TestOverwriteSavesMemory asks XLA how much memory of inputs it uses again for results.
func TestOverwriteSavesMemory(t *testing.T) {
	opened, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if info.Kind != "cpu" {
		t.Skip("needs the CPU plugin")
	}
	aliases := func(program string, mark bool) int64 {
		t.Helper()
		g := opened.Builder(program)
		b := opened.(Overwriter)
		if mark {
			b.Overwrite(program, func(name string) bool { return strings.HasPrefix(name, "w") })
			defer b.Overwrite(program, nil)
			g = opened.Builder(program + "#0")
		}
		f := g.Main()
		shape := shapes.Make(dtypes.Float32, 1024)
		w, err := f.Parameter("w", shape, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := f.Add(w, w)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Return([]compute.Value{sum}, nil); err != nil {
			t.Fatal(err)
		}
		e, err := g.Compile()
		if err != nil {
			t.Fatal(err)
		}
		defer e.Finalize()
		inner := e.(*executable).Executable.(*xla.Executable)
		return hidden[pjrt.LoadedExecutable](inner, "exec").OnDeviceMemoryUsageStats.Aliases
	}
	if got := aliases("plain", false); got != 0 {
		t.Errorf("%d bytes are used again without being asked for", got)
	}
	if got := aliases("marked", true); got != 4096 {
		t.Errorf("%d bytes are used again, want 4096", got)
	}
}

// TestMultipliedInPlace multiplies with a matrix that each step writes over: every product must be with the
// matrix as it is then. XNNPACK would multiply with that of the first step.
func TestMultipliedInPlace(t *testing.T) {
	opened, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	b, ok := opened.(Overwriter)
	if info.Kind != "cpu" || !ok {
		t.Skip("needs the CPU plugin")
	}
	const rows, in, out = 1472, 512, 128
	store := model.NewStore()
	ones := tensors.FromScalarAndDimensions(float32(1), in, out)
	store.RootScope().At("model").VariableWithValue("weight", ones)
	step, err := model.NewExec(opened, store, func(scope *model.Scope, x *Node) *Node {
		v := scope.Store().GetVariable("/model/weight")
		w := v.NodeValue(x.Graph())
		product := Dot(x, w).MatMul()
		// The product comes first: what is written depends on it.
		v.SetNodeValue(Add(w, Add(OnesLike(w), MulScalar(ReduceAllMean(product), 0))))
		return ReduceAllMean(product)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer step.Finalize()
	step.WithName("multiplying")
	b.Overwrite("multiplying", func(input string) bool { return input == "/model/weight" })
	defer b.Overwrite("multiplying", nil)
	x := tensors.FromScalarAndDimensions(float32(1), rows, in)
	for i := range 4 {
		got, err := step.Call1(x)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tensors.ToScalar[float32](got), float32((i+1)*in); got != want {
			t.Errorf("step %d: the product's mean is %g, want %g", i, got, want)
		}
	}
}
