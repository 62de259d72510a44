package pjrt

import (
	"maps"
	"reflect"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/stablehlo"
)

// Overwriter is a backend that can write a program's results over its inputs.
type Overwriter interface {
	// Overwrite names the inputs that programs of a name (model.Exec.WithName) may write results
	// over, since whoever runs them gives those inputs away; nil forgets the program. input is asked
	// when a program is compiled.
	Overwrite(program string, input func(name string) bool)
}

// backend is go-xla's, with Overwriter. GoMLX gives the old value of a changed variable away when it
// runs a program, but go-xla does not tell the compiler, so that XLA would hold parameters and
// optimizer state twice, and allocate the new ones at every step.
type backend struct {
	*xla.Backend
	mu        sync.Mutex
	overwrite map[string]func(name string) bool // by program
	short     bool                              // products of short floats stay such: not for a CPU
}

var _ Overwriter = (*backend)(nil)

func (b *backend) Overwrite(program string, input func(name string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if input == nil {
		delete(b.overwrite, program)
		return
	}
	if b.overwrite == nil {
		b.overwrite = map[string]func(string) bool{}
	}
	b.overwrite[program] = input
}

// Builder is go-xla's builder, which marks the inputs that a program may write over.
func (b *backend) Builder(name string) compute.Builder {
	program, _, _ := strings.Cut(name, "#") // a model.Exec numbers the programs that it compiles
	b.mu.Lock()
	defer b.mu.Unlock()
	inner, _ := b.Backend.Builder(name).(*xla.Builder)
	return &builder{Builder: inner, backend: b, overwrite: b.overwrite[program]}
}

// builder hands out a main function that remembers its inputs, and marks them when it is compiled: by
// then it is known which variables a graph changes.
type builder struct {
	*xla.Builder
	backend   *backend
	overwrite func(name string) bool
	main      *function
}

func (b *builder) Main() compute.Function {
	if b.main == nil {
		inner, _ := b.Builder.Main().(*xla.Function)
		b.main = &function{Function: inner, inputs: map[string]*stablehlo.Value{}, short: b.backend.short, widened: map[compute.Value]compute.Value{}}
	}
	return b.main
}

func (b *builder) Compile() (compute.Executable, error) {
	b.mark()
	inner, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	return &executable{inner, b.backend}, nil
}

// mark marks the inputs that may be written over.
func (b *builder) mark() {
	if b.main != nil && b.overwrite != nil {
		for name, value := range b.main.inputs {
			if !b.overwrite(name) {
				continue
			}
			attributes := maps.Clone(value.Attributes) // sharding
			if attributes == nil {
				attributes = map[string]any{}
			}
			attributes["jax.buffer_donor"] = true
			value.Attributes = attributes
		}
	}
}

// function is the main function of a program.
type function struct {
	*xla.Function
	inputs  map[string]*stablehlo.Value
	short   bool // see backend
	widened map[compute.Value]compute.Value
}

func (f *function) Parameter(name string, shape shapes.Shape, sharding *compute.ShardingSpec) (compute.Value, error) {
	v, err := f.Function.Parameter(name, shape, sharding)
	if node, ok := v.(*xla.Node); ok && err == nil {
		if value := hidden[stablehlo.Value](node, "value"); value != nil {
			f.inputs[name] = value
		}
	}
	return v, err
}

// hidden reads a pointer that go-xla keeps to itself; nil if it is not there any more.
func hidden[T any](of any, field string) *T {
	v := reflect.ValueOf(of).Elem().FieldByName(field)
	if !v.IsValid() || v.Type() != reflect.TypeFor[*T]() {
		return nil
	}
	return (*T)(v.UnsafePointer())
}
