package checkpoints

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// MismatchError says how the tensors of a folder differ from those that a model wants.
type MismatchError struct {
	Folder     string
	Missing    []string // wanted, not in the folder
	Unexpected []string // in the folder, not wanted
	Shapes     []ShapeMismatch
}

// ShapeMismatch is a tensor whose shape or element type differs.
type ShapeMismatch struct {
	Name      string
	Got, Want shapes.Shape
}

// Error implements error: one line with the first ten tensors of each kind.
func (e *MismatchError) Error() string {
	var parts []string
	list := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", len(names), what, firstFew(names)))
		}
	}
	list("tensors missing", e.Missing)
	list("tensors unexpected", e.Unexpected)
	wrong := make([]string, len(e.Shapes))
	for i, s := range e.Shapes {
		wrong[i] = fmt.Sprintf("%s is %s, want %s", s.Name, s.Got, s.Want)
	}
	list("tensors of another shape", wrong)
	return fmt.Sprintf("%s: does not fit the model: %s", e.Folder, strings.Join(parts, "; "))
}

// firstFew lists the first ten names, and says how many more there are.
func firstFew(names []string) string {
	const few = 10
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// LoadOptions say which tensors of a folder are loaded, under which names. The zero value loads
// all of them as they are.
type LoadOptions struct {
	// From restricts loading to tensors whose name starts with it; others do not count as
	// unexpected. The prefix is replaced by To: From "model.decoder." and To
	// "language_model.model.decoder." load an OPT folder as a part of BLIP-2.
	From, To string

	// Rename, if not nil, gives the model's name for a tensor's (after From and To); "" leaves
	// the tensor out.
	Rename func(name string) string

	// IgnoreUnexpected, if not nil, tells which tensors that the model does not want are left out
	// without an error. It sees the model's name for the tensor.
	IgnoreUnexpected func(name string) bool

	// IgnoreMissing, if not nil, tells which wanted tensors the folder need not have.
	IgnoreMissing func(name string) bool

	// Backend, if not nil, gets each tensor as soon as it is read, on its first device, and the host
	// keeps no copy: a checkpoint of any size takes the host's memory of one tensor.
	Backend compute.Backend

	// ConvertFloats accepts F16, BF16 and F64 tensors where the model wants float32.
	ConvertFloats bool
}

// Load sets the variables of store to the tensors of the folder, and makes those that do not exist
// yet. want holds the shape of every tensor of the model, by name; rename, which may be nil, turns
// the folder's names into those. It is strict: if a wanted tensor is missing or has another shape or
// type, or the folder has one that is not wanted, the error is a *MismatchError and nothing is changed.
func (f *Folder) Load(store *model.Store, want map[string]shapes.Shape, rename func(name string) string) error {
	_, err := f.LoadWith(store, want, LoadOptions{Rename: rename})
	return err
}

// LoadWith is Load with more choice. It returns the model's names of the tensors it loaded, sorted.
func (f *Folder) LoadWith(store *model.Store, want map[string]shapes.Shape, options LoadOptions) ([]string, error) {
	sources, err := f.match(want, options)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(sources))
	for _, name := range names {
		// A model may ask for a part of a store where the variable has another shape already.
		if v := store.GetVariable(VariablePath(name)); v != nil && !v.Shape().Equal(want[name]) {
			return nil, fmt.Errorf("tensor %s: the variable %s has shape %s, want %s", name, v.Path(), v.Shape(), want[name])
		}
	}
	for _, name := range names {
		value, err := f.read(sources[name], want[name])
		if err != nil {
			return nil, err
		}
		if options.Backend != nil {
			if err := value.ToDevice(options.Backend, 0); err != nil {
				return nil, fmt.Errorf("%s: tensor %s: %w", f.dir, name, err)
			}
		}
		if err := setVariable(store, VariablePath(name), value); err != nil {
			return nil, fmt.Errorf("%s: tensor %s: %w", f.dir, name, err)
		}
	}
	return names, nil
}

// match pairs the names that the model wants with those of the folder.
func (f *Folder) match(want map[string]shapes.Shape, options LoadOptions) (sources map[string]string, err error) {
	sources = make(map[string]string, len(want))
	mismatch := &MismatchError{Folder: f.dir}
	for _, source := range f.Names() {
		name, ok := strings.CutPrefix(source, options.From)
		if !ok {
			continue
		}
		name = options.To + name
		if options.Rename != nil {
			name = options.Rename(name)
		}
		if name == "" {
			continue
		}
		if other, twice := sources[name]; twice {
			return nil, fmt.Errorf("%s: tensors %s and %s would both be %s", f.dir, other, source, name)
		}
		shape, wanted := want[name]
		if !wanted {
			if options.IgnoreUnexpected == nil || !options.IgnoreUnexpected(name) {
				mismatch.Unexpected = append(mismatch.Unexpected, name)
			}
			continue
		}
		sources[name] = source
		got, _ := f.files[source].Shape(source)
		same := got.Equal(shape)
		if !same && options.ConvertFloats {
			same = got.EqualDimensions(shape) && got.DType.IsFloat() && shape.DType == dtypes.Float32
		}
		if !same {
			mismatch.Shapes = append(mismatch.Shapes, ShapeMismatch{name, got, shape})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := sources[name]; !ok && (options.IgnoreMissing == nil || !options.IgnoreMissing(name)) {
			mismatch.Missing = append(mismatch.Missing, name)
		}
	}
	if len(mismatch.Missing)+len(mismatch.Unexpected)+len(mismatch.Shapes) > 0 {
		return nil, mismatch
	}
	return sources, nil
}

func (f *Folder) read(source string, want shapes.Shape) (*tensors.Tensor, error) {
	value, err := f.files[source].Tensor(source)
	if err != nil {
		return nil, err
	}
	if value, err = Cast(value, want.DType); err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.dir, source, err)
	}
	return value, nil
}

// setVariable gives a variable a value; the variable is made if the store does not have it.
func setVariable(store *model.Store, path string, value *tensors.Tensor) error {
	if v := store.GetVariable(path); v != nil {
		return v.SetValue(value)
	}
	_, err := store.CreateVariable(path, value)
	return err
}
