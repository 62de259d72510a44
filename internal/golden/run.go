package golden

import (
	"os"
	"sync"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/pjrt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Backend is the one that goblip computes on. XLA spends less on machine code than it would in
// training: a test runs each of its graphs a few times at most, and compiles in half of the time.
func Backend(t testing.TB) compute.Backend {
	t.Helper()
	const flags = "XLA_FLAGS" // read once, when the plugin is loaded
	if os.Getenv(flags) == "" {
		if err := os.Setenv(flags, "--xla_backend_optimization_level=0"); err != nil {
			t.Fatal(err)
		}
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

var openGo = sync.OnceValues(func() (compute.Backend, error) {
	return compute.NewWithConfig("go:parallelism=-1") // with its own default it can wait for itself forever
})

// Go is the pure-Go backend: it compiles nothing, so a tiny graph takes milliseconds, not seconds.
// It serves tests of properties, beside parity tests on Backend.
func Go(t testing.TB) compute.Backend {
	t.Helper()
	backend, err := openGo()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// Store holds copies of weights as models expect them: tensor a.b is the variable /model/a/b.
func Store(t testing.TB, weights map[string]*tensors.Tensor) *model.Store {
	t.Helper()
	store := model.NewStore()
	for name, value := range weights {
		own, err := value.LocalClone() // a tensor belongs to one backend and one store
		if err == nil {
			_, err = store.CreateVariable(checkpoints.VariablePath(name), own)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// Variable is the variable of a tensor name.
func Variable(t testing.TB, store *model.Store, name string) *model.Variable {
	t.Helper()
	v := store.GetVariable(checkpoints.VariablePath(name))
	if v == nil {
		t.Fatalf("no variable for tensor %s", name)
	}
	return v
}

// Func is a compiled function of a test. scope is the root of the model's tensors.
type Func struct {
	t     testing.TB
	exec  *model.Exec
	store *model.Store
	names []string    // of all variables of the store when the graph was made
	last  *graph.Node // any node of the graph that was built last
}

// New makes a function over the variables of a store. It is compiled at the first Run, and again
// for inputs of other shapes.
func New(t testing.TB, backend compute.Backend, store *model.Store, build func(scope *model.Scope, in []*graph.Node) []*graph.Node) *Func {
	t.Helper()
	f := &Func{t: t, store: store}
	for v := range store.IterVariables() {
		f.names = append(f.names, v.Path())
	}
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, in []*graph.Node) []*graph.Node {
		out := build(scope.At("model"), in)
		f.last = out[0]
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	f.exec = exec
	t.Cleanup(exec.Finalize)
	return f
}

// Run computes the outputs, and fails if the graph made variables of its own: a misspelt name
// would silently get fresh weights.
func (f *Func) Run(inputs ...*tensors.Tensor) []*tensors.Tensor {
	f.t.Helper()
	args := make([]any, len(inputs))
	for i, in := range inputs {
		args[i] = in
	}
	out, err := f.exec.Call(args...)
	if err != nil {
		f.t.Fatalf("%+v", err)
	}
	for _, o := range out {
		if err := o.ToLocal(); err != nil { // so that a function on another backend can take it
			f.t.Fatal(err)
		}
	}
	known := map[string]bool{}
	for _, name := range f.names {
		known[name] = true
	}
	for v := range f.store.IterVariables() {
		if !known[v.Path()] {
			f.t.Errorf("the graph made a variable of its own: %s", v.Path())
		}
	}
	return out
}

// UsesAll fails unless the graph that ran last read every variable of the store.
func (f *Func) UsesAll() {
	f.t.Helper()
	for v := range f.store.IterVariables() {
		if !v.InUseByGraph(f.last.Graph()) {
			f.t.Errorf("the graph does not use %s", v.Path())
		}
	}
}
