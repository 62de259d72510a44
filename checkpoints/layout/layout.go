// Package layout knows which tensors the model folders of transformers hold: names and shapes, from
// config.json alone. So a folder can be checked without building a graph, reading weights or having a
// backend.
//
//	layout.go   Read: from config.json to a Layout; Compare: a folder's tensors against it
//	towers.go   image encoders, BERT, OPT, T5, CLIP's text
//	classes.go  the classes: which towers under which names
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
)

// Layout is what a folder of a class of transformers holds, by tensor name.
type Layout struct {
	Class string // "Blip2ForConditionalGeneration"

	// Required are the tensors that every such folder has.
	Required map[string][]int

	// Optional are those that some have: copies of tied tensors, and position numbers that older
	// libraries stored.
	Optional map[string][]int
}

// ErrUnknown says that a config.json is of a class that is not known here.
var ErrUnknown = errors.New("not a class whose tensors are known")

// maxLayers bounds the depth of a model: a config.json that says more is damaged, and the list of its
// tensors would fill the memory.
const maxLayers = 1000

// Read finds the layout that a config.json describes. The error is ErrUnknown for a class that is not
// known, and says what is wrong with the config of one that is.
func Read(config []byte) (*Layout, error) {
	var kind struct {
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	if err := json.Unmarshal(config, &kind); err != nil {
		return nil, err
	}
	named := kind.Architectures
	if len(named) == 0 {
		named = []string{defaultClass[kind.ModelType]}
	}
	l := &Layout{Class: named[0], Required: map[string][]int{}, Optional: map[string][]int{}}
	for _, class := range named { // several: a folder with the heads of each
		build := classes[class]
		if build == nil {
			return nil, fmt.Errorf("%w: architectures %q, model_type %q", ErrUnknown, kind.Architectures, kind.ModelType)
		}
		if err := build(&builder{l}, config); err != nil {
			return nil, fmt.Errorf("%s: %w", class, err)
		}
	}
	return l, nil
}

// Difference is how tensors differ from a layout.
type Difference struct {
	Missing    []string `json:"missing,omitempty"`
	Unexpected []string `json:"unexpected,omitempty"`
	Shapes     []string `json:"shapes,omitempty"` // "NAME is [2 3], want [3 2]"
}

// Empty says that there is none.
func (d *Difference) Empty() bool {
	return len(d.Missing)+len(d.Unexpected)+len(d.Shapes) == 0
}

// Compare compares tensors, given by name and shape, with the layout. ignore, if not nil, tells which
// others there may be.
func (l *Layout) Compare(got map[string]shapes.Shape, ignore func(name string) bool) *Difference {
	d := &Difference{}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		want, ok := l.Required[name]
		if !ok {
			want, ok = l.Optional[name]
		}
		switch dims := got[name].Dimensions; {
		case !ok && (ignore == nil || !ignore(name)):
			d.Unexpected = append(d.Unexpected, name)
		case ok && !slices.Equal(dims, want):
			d.Shapes = append(d.Shapes, fmt.Sprintf("%s is %v, want %v", name, dims, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Required)) {
		if _, ok := got[name]; !ok {
			d.Missing = append(d.Missing, name)
		}
	}
	return d
}

// builder adds tensors to a layout.
type builder struct{ *Layout }

func (b *builder) tensor(name string, dims ...int) { b.Required[name] = dims }

func (b *builder) optional(name string, dims ...int) { b.Optional[name] = dims }

// linear is weight [out, in] and bias [out].
func (b *builder) linear(name string, in, out int) {
	b.tensor(name+".weight", out, in)
	b.tensor(name+".bias", out)
}

// norm is a LayerNorm.
func (b *builder) norm(name string, width int) {
	b.tensor(name+".weight", width)
	b.tensor(name+".bias", width)
}

// table is an embedding.
func (b *builder) table(name string, words, width int) { b.tensor(name+".weight", words, width) }

// config reads a config.json and checks it, and the numbers of layers.
func config(raw []byte, into interface{ Validate() error }, layers func() []int) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	return check(into, layers())
}

func check(c interface{ Validate() error }, layers []int) error {
	if err := c.Validate(); err != nil {
		return err
	}
	for _, n := range layers {
		if n > maxLayers {
			return fmt.Errorf("%d layers are more than %d", n, maxLayers)
		}
	}
	return nil
}

// join puts a prefix in front of a name.
func join(parts ...string) string { return strings.Join(parts, ".") }
