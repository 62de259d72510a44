package checkpoints

import (
	"fmt"
	"os"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints/torch"
)

// Tensors are named tensors on disk, which can be looked at without being read: a File of
// safetensors, a torch.File or a Folder of them.
type Tensors interface {
	// Path is what was opened.
	Path() string

	// Names returns the names of all tensors, sorted.
	Names() []string

	// Shape returns dimensions and element type of a tensor; false if there is no such tensor.
	Shape(name string) (shapes.Shape, bool)

	// Tensor reads a tensor, in the element type that it has on disk.
	Tensor(name string) (*tensors.Tensor, error)

	// Close releases the files. Tensors read from them stay valid.
	Close() error
}

// OpenTensors opens a model folder, a .safetensors file or a file of torch.save.
func OpenTensors(path string) (Tensors, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if stat.IsDir() {
		return OpenFolder(path)
	}
	return openFile(path)
}

// openFile opens a file of tensors of either kind. What is in it decides, not its name.
func openFile(path string) (Tensors, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var first [9]byte
	n, _ := file.ReadAt(first[:], 0)
	if err := file.Close(); err != nil {
		return nil, err
	}
	// A zip archive, or a pickle of protocol 2; a safetensors file has a '{' behind its first 8 bytes.
	isTorch := n >= 4 && string(first[:4]) == "PK\x03\x04" || n >= 2 && first[0] == 0x80 && first[1] <= 5 && (n < 9 || first[8] != '{')
	if isTorch {
		return torch.Open(path)
	}
	return Open(path)
}

// Deferred is a tensor that is read when its turn comes, so that a checkpoint of any size can be
// written with the memory of its largest tensor.
type Deferred struct {
	Name  string
	Shape shapes.Shape
	Read  func() (*tensors.Tensor, error)
}

// Defer is a tensor that is on disk.
func Defer(from Tensors, name string) (Deferred, error) {
	shape, ok := from.Shape(name)
	if !ok {
		return Deferred{}, fmt.Errorf("%s: no tensor %s", from.Path(), name)
	}
	return Deferred{name, shape, func() (*tensors.Tensor, error) { return from.Tensor(name) }}, nil
}

// As is the tensor in another precision, if it has floating-point numbers.
func (d Deferred) As(dtype dtypes.DType) Deferred {
	if !d.Shape.DType.IsFloat() || d.Shape.DType == dtype {
		return d
	}
	read := d.Read
	return Deferred{d.Name, shapes.Make(dtype, d.Shape.Dimensions...), func() (*tensors.Tensor, error) {
		value, err := read()
		if err != nil {
			return nil, err
		}
		return Cast(value, dtype)
	}}
}

// deferred is Named as Deferred.
func deferred(named []Named) ([]Deferred, error) {
	all := make([]Deferred, len(named))
	for i, n := range named {
		if n.Tensor == nil {
			return nil, fmt.Errorf("tensor %s has no value", n.Name)
		}
		all[i] = Deferred{n.Name, n.Tensor.Shape(), func() (*tensors.Tensor, error) { return n.Tensor, nil }}
	}
	return all, nil
}
