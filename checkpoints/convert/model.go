// Package convert turns checkpoints of BLIP, BLIP-2 and what they are made of into one another:
// folders of transformers, files of LAVIS and BLIP, safetensors.
//
//	model.go   Open: tensors under transformers' names, configuration and files from wherever they lie
//	files.go   config.json and the files beside it
//	source.go  one file or folder: whose names it has
//	family.go  renames of the families, both ways
//	write.go   WriteFolder, WriteTorch, WriteSafetensors
//	proof.go   Compare: that what was written is what was read
//
// Tensors are read when they are written, one at a time.
package convert

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/checkpoints/layout"
)

// Options say what Open needs beside the source itself.
type Options struct {
	// Config is a folder with config.json and tokenizer files, or a config.json, for a source that has
	// none or another's.
	Config string

	// Frozen are files and folders with what the source lacks: LAVIS saves trained tensors alone. Of
	// each, what is still missing is taken.
	Frozen []string

	// Drop are patterns, as path.Match has them, of tensors that are left out, by transformers' names.
	Drop []string

	// DType is what floating-point tensors become; InvalidDType: they stay as they are.
	DType dtypes.DType

	config []byte // for a source that has none
}

// Model is a checkpoint: tensors under transformers' names, which are read when they are needed.
type Model struct {
	// Config is config.json, nil if there is none.
	Config []byte

	// Layout is what the class that Config names wants; nil if it is not known.
	Layout *layout.Layout

	// Tensors are the class' own, Pretraining those that only training needs, by name.
	Tensors, Pretraining map[string]checkpoints.Deferred

	// Files are tokenizer and processor files, by name.
	Files map[string][]byte

	// Names are transformers' names by those that the source has; a tensor without a counterpart has
	// none.
	Names map[string]string

	// Unchecked says why Layout is nil.
	Unchecked string

	// Notes say what was left out, for people.
	Notes []string

	family *family
	open   []checkpoints.Tensors
}

// MissingError says that a source lacks tensors which its class has.
type MissingError struct {
	Path  string
	Class string
	layout.Difference
}

// Error implements error: all tensors, as far as one line can name them.
func (e *MissingError) Error() string {
	m := checkpoints.MismatchError{Folder: e.Path, Missing: e.Missing, Unexpected: e.Unexpected}
	text := ""
	if len(e.Missing)+len(e.Unexpected) > 0 {
		text = m.Error()
	} else {
		text = e.Path + ": does not fit the model"
	}
	for i, s := range e.Shapes {
		if i == 10 {
			text += fmt.Sprintf("; and %d more of another shape", len(e.Shapes)-i)
			break
		}
		text += "; " + s
	}
	text += fmt.Sprintf(" (class %s)", e.Class)
	if len(e.Missing) > 0 {
		text += "; --frozen names files and folders with parts that are missing, as from LAVIS' files"
	}
	if len(e.Unexpected) > 0 {
		text += "; --drop leaves tensors out"
	}
	return text
}

// Open reads what a file or folder says of its tensors, and makes a model of it. If its class is known
// it is strict: every tensor of the class is there with its shape, and no other.
func Open(source string, o Options) (*Model, error) {
	tensors, err := checkpoints.OpenTensors(source)
	if err != nil {
		return nil, err
	}
	m, err := Describe(tensors, o)
	if err != nil {
		return nil, errors.Join(err, tensors.Close())
	}
	m.open = append(m.open, tensors)
	if err := m.complete(source, o); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Describe is Open for a source that need not be complete: Frozen, Drop and DType do not count. The
// model does not own the source.
func Describe(source checkpoints.Tensors, o Options) (*Model, error) {
	m := &Model{Tensors: map[string]checkpoints.Deferred{}, Pretraining: map[string]checkpoints.Deferred{},
		Files: map[string][]byte{}, Names: map[string]string{}}
	if err := m.readFiles(source, o.Config); err != nil {
		return nil, err
	}
	if err := m.readConfig(source.Path(), source.Names(), o.config); err != nil {
		return nil, err
	}
	own, err := m.rename(source, false)
	if err != nil {
		return nil, err
	}
	for _, d := range own {
		into := m.Tensors
		if m.isPretraining(d.Name) {
			into = m.Pretraining
		}
		if _, twice := into[d.Name]; twice {
			return nil, fmt.Errorf("%s: two tensors would be %s", source.Path(), d.Name)
		}
		into[d.Name] = d
	}
	return m, nil
}

// Reopen opens what the model was written to, as Open does; a kind of file that has no config.json is
// read with the model's.
func (m *Model) Reopen(path string) (*Model, error) { return Open(path, Options{config: m.Config}) }

// Own gives the class' own tensors as if they lay in one file. Closing it does nothing: the model owns
// the files.
func (m *Model) Own(path string) checkpoints.Tensors { return own{m, path} }

type own struct {
	*Model
	path string
}

func (o own) Path() string { return o.path }

func (o own) Names() []string { return slices.Sorted(maps.Keys(o.Tensors)) }

func (o own) Shape(name string) (shapes.Shape, bool) {
	d, ok := o.Tensors[name]
	return d.Shape, ok
}

func (o own) Tensor(name string) (*tensors.Tensor, error) {
	d, ok := o.Tensors[name]
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %s", o.path, name)
	}
	return d.Read()
}

func (o own) Close() error { return nil }

// Close releases the files.
func (m *Model) Close() error {
	var all error
	for _, t := range m.open {
		all = errors.Join(all, t.Close())
	}
	return all
}

// complete drops tensors, adds frozen ones, and is strict about the result.
func (m *Model) complete(source string, o Options) error {
	if err := m.drop(o.Drop); err != nil {
		return err
	}
	for _, path := range o.Frozen {
		if err := m.addFrozen(path); err != nil {
			return err
		}
	}
	if err := m.check(source); err != nil {
		return err
	}
	if o.DType != dtypes.InvalidDType {
		for _, all := range []map[string]checkpoints.Deferred{m.Tensors, m.Pretraining} {
			for name, d := range all {
				all[name] = d.As(o.DType)
			}
		}
		return m.setDType(o.DType)
	}
	return nil
}

// drop leaves tensors out.
func (m *Model) drop(patterns []string) error {
	for _, pattern := range patterns {
		var dropped []string
		for _, all := range []map[string]checkpoints.Deferred{m.Tensors, m.Pretraining} {
			for _, d := range sorted(all) {
				if ok, err := path.Match(pattern, d.Name); ok && err == nil {
					dropped = append(dropped, d.Name)
					delete(all, d.Name)
				}
			}
		}
		if len(dropped) == 0 {
			return fmt.Errorf("--drop %s: no tensor has such a name", pattern)
		}
		m.note("left out: %s", list(dropped))
	}
	return nil
}

// isPretraining says whether a tensor goes beside the class' own.
func (m *Model) isPretraining(name string) bool {
	if m.Layout == nil || m.family.pretraining == nil {
		return false
	}
	_, own := m.Layout.Required[name]
	return !own && m.family.pretraining(name)
}

// addFrozen takes what is missing from another file or folder.
func (m *Model) addFrozen(source string) error {
	if m.Layout == nil {
		return fmt.Errorf("%s: cannot tell which parts are missing without a known config.json: give one with --config", source)
	}
	tensors, err := checkpoints.OpenTensors(source)
	if err != nil {
		return err
	}
	m.open = append(m.open, tensors)
	parts, err := m.rename(tensors, true)
	if err != nil {
		return err
	}
	taken := 0
	var unused []string
	for _, d := range parts {
		_, has := m.Tensors[d.Name]
		_, required := m.Layout.Required[d.Name]
		_, optional := m.Layout.Optional[d.Name]
		switch {
		case has:
		case required || optional:
			m.Tensors[d.Name] = d
			taken++
		default:
			unused = append(unused, d.Name)
		}
	}
	if taken == 0 {
		return fmt.Errorf("%s: has nothing that is missing", source)
	}
	m.note("%s: %d tensors taken", source, taken)
	if len(unused) > 0 {
		m.note("%s: not of this model: %s", source, list(unused))
	}
	return nil
}

// check compares with the layout.
func (m *Model) check(source string) error {
	if m.Layout == nil {
		return nil
	}
	if d := m.Layout.Compare(m.shapes(), nil); !d.Empty() {
		return &MissingError{source, m.Layout.Class, *d}
	}
	return nil
}

// Bytes is the size of all tensors.
func (m *Model) Bytes() int64 {
	n := int64(0)
	for _, all := range []map[string]checkpoints.Deferred{m.Tensors, m.Pretraining} {
		for _, d := range all {
			n += d.Shape.ByteSize()
		}
	}
	return n
}

func (m *Model) shapes() map[string]shapes.Shape {
	all := make(map[string]shapes.Shape, len(m.Tensors))
	for name, d := range m.Tensors {
		all[name] = d.Shape
	}
	return all
}

func (m *Model) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// sorted are tensors by name.
func sorted(all map[string]checkpoints.Deferred) []checkpoints.Deferred {
	out := make([]checkpoints.Deferred, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name])
	}
	return out
}

// list names the first twenty.
func list(names []string) string {
	const few = 20
	text := ""
	for i, name := range names {
		if i == few {
			return fmt.Sprintf("%s and %d more", text, len(names)-few)
		}
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}
