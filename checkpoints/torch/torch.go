// Package torch reads and writes the files of torch.save: .pth, .pt, .ckpt and pytorch_model.bin.
// Nothing in such a file is run: of the classes that its pickle names, those that make up tensors
// are understood, those of settings that lie beside them are passed over, and any other is refused
// by name.
//
//	torch.go    Open and File: a state dict whose tensors are read one at a time
//	archive.go  the zip archives that torch.save writes since 1.6
//	legacy.go   the files it wrote before
//	classes.go  the classes and functions that may be named
//	tensor.go   a tensor as a view of a storage
//	state.go    finding the state dict in what was saved
//	write.go    Write: an archive that torch.load opens with weights_only
//
// Opening reads the pickle alone. Sizes are checked against the file before anything is allocated.
package torch

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// File is an open file of torch.save with a state dict. It may be used by several goroutines at a time.
type File struct {
	path    string
	closer  io.Closer
	tensors map[string]*tensor
	skipped []string
	files   map[string]*tensor
}

// Open opens a file and reads what it says of its tensors, but not the tensors.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, closer: file}
	stat, err := file.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err == nil {
		err = f.read(file, stat.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return f, nil
}

// read finds out which kind of file it is, and what was saved.
func (f *File) read(from io.ReaderAt, size int64) error {
	var first [4]byte
	if size < int64(len(first)) {
		return fmt.Errorf("not a file of torch.save: %d bytes are too few", size)
	}
	if _, err := from.ReadAt(first[:], 0); err != nil {
		return err
	}
	var saved any
	var err error
	if string(first[:]) == "PK\x03\x04" {
		saved, err = readArchive(from, size)
	} else {
		saved, err = readLegacy(from, size)
	}
	if err != nil {
		return err
	}
	return f.find(saved)
}

// Close releases the file. Tensors read from it stay valid.
func (f *File) Close() error { return f.closer.Close() }

// Path returns the path that the file was opened with.
func (f *File) Path() string { return f.path }

// Names returns the names of all tensors of the state dict, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Shape returns the dimensions and element type of a tensor without reading it; false if the state
// dict does not have it.
func (f *File) Shape(name string) (shapes.Shape, bool) {
	t, ok := f.tensors[name]
	if !ok {
		return shapes.Shape{}, false
	}
	return t.shape, true
}

// Tensor reads a tensor, in the element type of the file. Views come out dense.
func (f *File) Tensor(name string) (*tensors.Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %s", f.path, name)
	}
	value, err := t.read()
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, name, err)
	}
	return value, nil
}

// Skipped lists what else was saved, an optimizer's state for instance, by its keys.
func (f *File) Skipped() []string { return f.skipped }

// maxSmallFile bounds each of Files.
const maxSmallFile = 64 << 20

// Files returns the small files that Write put beside the tensors, by name.
func (f *File) Files() (map[string][]byte, error) {
	all := make(map[string][]byte, len(f.files))
	for name, t := range f.files {
		if t.shape.ByteSize() > maxSmallFile {
			return nil, fmt.Errorf("%s: file %s: larger than %d MiB", f.path, name, maxSmallFile>>20)
		}
		value, err := t.read()
		if err != nil {
			return nil, fmt.Errorf("%s: file %s: %w", f.path, name, err)
		}
		if err := value.ConstBytes(func(data []byte) { all[name] = slices.Clone(data) }); err != nil {
			return nil, fmt.Errorf("%s: file %s: %w", f.path, name, err)
		}
	}
	return all, nil
}
