package checkpoints

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
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
	header, ordered, err := layout(named, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeAtomic(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, n := range ordered {
			if err := writeTensor(w, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeTensor(w io.Writer, n Named) (err error) {
	if n.Tensor.Size() == 0 {
		return nil
	}
	accessErr := n.Tensor.ConstBytes(func(data []byte) { _, err = w.Write(data) })
	if accessErr != nil {
		return fmt.Errorf("tensor %s: %w", n.Name, accessErr)
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
func layout(named []Named, metadata map[string]string) (header []byte, ordered []Named, err error) {
	for _, n := range named {
		switch {
		case n.Name == "" || n.Name == metadataKey || !utf8.ValidString(n.Name):
			return nil, nil, fmt.Errorf("%q cannot be a tensor's name", n.Name)
		case n.Tensor == nil:
			return nil, nil, fmt.Errorf("tensor %s has no value", n.Name)
		case writtenTypes[n.Tensor.DType()] == "":
			return nil, nil, fmt.Errorf("tensor %s: %s cannot be written", n.Name, n.Tensor.DType())
		}
	}
	ordered = slices.SortedFunc(slices.Values(named), func(a, b Named) int {
		return cmp.Or(
			cmp.Compare(b.Tensor.DType().Size(), a.Tensor.DType().Size()),
			cmp.Compare(a.Name, b.Name),
		)
	})
	seen := make(map[string]bool, len(named))
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
		shape := n.Tensor.Shape()
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

// readWhole is mapFile for systems that cannot map files.
func readWhole(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	data = make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
