package checkpoints

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints/torch"
)

// Named is a tensor with its name in a file.
type Named struct {
	Name   string
	Tensor *tensors.Tensor
}

// Write writes a .safetensors file. It appears under path whole or not at all: after an error,
// a full disk for instance, or a kill at any moment, path is what it was before.
// The same tensors and metadata give the same bytes, whatever their order.
func Write(path string, named []Named, metadata map[string]string) error {
	all, err := deferred(named)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WriteDeferred(path, all, metadata)
}

// WriteDeferred is Write for tensors that are read when their turn comes.
func WriteDeferred(path string, all []Deferred, metadata map[string]string) error {
	header, ordered, err := layout(all, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeAtomic(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, d := range ordered {
			if err := d.write(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// WriteTorch writes a file that torch.load opens with weights_only=True, whole or not at all:
// {"model": all}, with files beside it, or with bare set the tensors alone.
func WriteTorch(path string, all []Deferred, bare bool, files map[string][]byte) error {
	saved := torch.Saved{Bare: bare, Files: files}
	for _, d := range all {
		saved.Tensors = append(saved.Tensors, torch.Entry{Name: d.Name, Shape: d.Shape, Write: d.write})
	}
	return writeAtomic(path, func(w io.Writer) error { return torch.Write(w, saved) })
}

// write reads the tensor and writes its bytes.
func (d Deferred) write(w io.Writer) error {
	value, err := d.Read()
	if err != nil {
		return err
	}
	if !value.Shape().Equal(d.Shape) {
		return fmt.Errorf("tensor %s: has shape %s, announced was %s", d.Name, value.Shape(), d.Shape)
	}
	if value.Size() == 0 {
		return nil
	}
	accessErr := value.ConstBytes(func(data []byte) { _, err = w.Write(data) })
	if accessErr != nil {
		return fmt.Errorf("tensor %s: %w", d.Name, accessErr)
	}
	return err
}

// writtenTypes is the reverse of safetensorsTypes.
var writtenTypes = func() map[dtypes.DType]string {
	names := map[dtypes.DType]string{}
	for name, dtype := range safetensorsTypes {
		names[dtype] = name
	}
	return names
}()

// layout returns the header, its length in front, and the tensors in the order of the file:
// wide elements first, so that each lies aligned without gaps (the format allows none), then
// by name.
func layout(all []Deferred, metadata map[string]string) (header []byte, ordered []Deferred, err error) {
	for _, n := range all {
		switch {
		case n.Name == "" || n.Name == metadataKey || !utf8.ValidString(n.Name):
			return nil, nil, fmt.Errorf("%q cannot be a tensor's name", n.Name)
		case writtenTypes[n.Shape.DType] == "":
			return nil, nil, fmt.Errorf("tensor %s: %s cannot be written", n.Name, n.Shape.DType)
		}
	}
	ordered = slices.SortedFunc(slices.Values(all), func(a, b Deferred) int {
		return cmp.Or(
			cmp.Compare(b.Shape.DType.Size(), a.Shape.DType.Size()),
			cmp.Compare(a.Name, b.Name),
		)
	})
	seen := make(map[string]bool, len(all))
	for _, n := range ordered {
		if seen[n.Name] {
			return nil, nil, fmt.Errorf("tensor %s is given twice", n.Name)
		}
		seen[n.Name] = true
	}

	var b bytes.Buffer
	b.Write(make([]byte, 8)) // its length, set below
	b.WriteByte('{')
	put := func(key string, value any) error {
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(text)
		return nil
	}
	if len(metadata) > 0 {
		if err := put(metadataKey, metadata); err != nil {
			return nil, nil, err
		}
	}
	at := int64(0)
	for _, n := range ordered {
		shape := n.Shape
		end := at + shape.ByteSize()
		entry := struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{writtenTypes[shape.DType], append([]int{}, shape.Dimensions...), [2]int64{at, end}}
		if err := put(n.Name, entry); err != nil {
			return nil, nil, err
		}
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	header = b.Bytes()
	if len(header)-8 > maxHeaderBytes {
		return nil, nil, fmt.Errorf("a header of %d bytes is longer than the format allows", len(header)-8)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, ordered, nil
}
