package checkpoints

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

const (
	maxHeaderBytes = 100 << 20 // the limit that the format itself sets
	maxRank        = 16
	metadataKey    = "__metadata__"
)

// safetensorsTypes are the element types that are read and written, by their names in a header.
var safetensorsTypes = map[string]dtypes.DType{
	"F64": dtypes.Float64, "F32": dtypes.Float32, "F16": dtypes.Float16, "BF16": dtypes.BFloat16,
	"I64": dtypes.Int64, "I32": dtypes.Int32, "I16": dtypes.Int16, "I8": dtypes.Int8,
	"U64": dtypes.Uint64, "U32": dtypes.Uint32, "U16": dtypes.Uint16, "U8": dtypes.Uint8, "BOOL": dtypes.Bool,
}

// TypeName is how safetensors calls an element type: "F32", "BF16".
func TypeName(dtype dtypes.DType) string { return writtenTypes[dtype] }

// File is an open .safetensors file. It may be used by several goroutines at a time.
//
// The file is mapped into memory where the system can, so opening costs little and tensors are
// read when they are asked for. It must not be cut short meanwhile by somebody else; files that
// this package writes are replaced, never changed.
type File struct {
	path     string
	start    int64  // of the tensors, in the file
	data     []byte // the tensors, without the header
	mapping  *mapping
	infos    map[string]Info
	metadata map[string]string
}

// Info describes a tensor of a file without reading it.
type Info struct {
	Shape      shapes.Shape // dimensions and element type
	begin, end int64        // place in File.data
}

// Open opens a .safetensors file and checks its header: every tensor lies inside the file, has
// as many bytes as its shape and type need, and shares none with another.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	file, err := OpenHeader(path, f, stat.Size())
	if err != nil {
		return nil, err
	}
	if file.mapping, err = mapFile(f, stat.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.data = file.mapping.data[file.start:]
	return file, nil
}

// OpenHeader is Open for a file of size bytes that lies somewhere else, of which the header alone is
// read: names and shapes are known, tensors cannot be read. path is what errors call it.
func OpenHeader(path string, from io.ReaderAt, size int64) (*File, error) {
	var first [9]byte
	if _, err := from.ReadAt(first[:min(size, 9)], 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if size < 8 {
		return nil, fmt.Errorf("%s: not a safetensors file: %d bytes are too few", path, size)
	}
	headerSize := binary.LittleEndian.Uint64(first[:])
	switch {
	case headerSize > maxHeaderBytes:
		return nil, fmt.Errorf("%s: not a safetensors file: its header would be %d bytes long, more than %d MB", path, headerSize, maxHeaderBytes>>20)
	case int64(headerSize) > size-8:
		return nil, fmt.Errorf("%s: truncated: the header should have %d bytes, the file has %d", path, headerSize, size)
	case first[8] != '{': // before anything as long as the header is read
		return nil, fmt.Errorf("%s: not a safetensors file: header: not a JSON object", path)
	}
	header := make([]byte, headerSize)
	if _, err := from.ReadAt(header, 8); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: reading the header: %w", path, err)
	}
	file := &File{path: path, start: 8 + int64(headerSize)}
	if err := file.parseHeader(header, size-file.start); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// Close releases the file. Tensors read from it stay valid.
func (f *File) Close() error {
	f.data = nil
	if f.mapping == nil {
		return nil
	}
	unmap := f.mapping.unmap
	f.mapping = nil
	return unmap()
}

// Path returns the path that the file was opened with.
func (f *File) Path() string { return f.path }

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.infos)) }

// Info returns what is known of a tensor without reading it; false if the file does not have it.
func (f *File) Info(name string) (Info, bool) {
	info, ok := f.infos[name]
	return info, ok
}

// Shape is the shape of Info.
func (f *File) Shape(name string) (shapes.Shape, bool) {
	info, ok := f.infos[name]
	return info.Shape, ok
}

// Metadata returns the strings that the writer put beside the tensors, such as "format": "pt".
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Tensor reads a tensor, in the element type of the file.
func (f *File) Tensor(name string) (*tensors.Tensor, error) {
	info, data, err := f.bytes(name)
	if err != nil {
		return nil, err
	}
	if info.Shape.DType == dtypes.Bool {
		for _, b := range data {
			if b > 1 {
				return nil, fmt.Errorf("%s: tensor %s: a BOOL is %d, neither 0 nor 1", f.path, name, b)
			}
		}
	}
	t, err := tensors.FromRaw(nil, 0, info.Shape, data)
	f.mapping.release(data)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, name, err)
	}
	return t, nil
}

// Float32Tensor reads a tensor of floating-point numbers of any precision as float32.
func (f *File) Float32Tensor(name string) (*tensors.Tensor, error) {
	value, err := f.Tensor(name)
	if err != nil {
		return nil, err
	}
	if value, err = Cast(value, dtypes.Float32); err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", f.path, name, err)
	}
	return value, nil
}

func (f *File) bytes(name string) (Info, []byte, error) {
	found, ok := f.infos[name]
	if !ok {
		return found, nil, fmt.Errorf("%s: no tensor %s", f.path, name)
	}
	if f.mapping == nil {
		return found, nil, fmt.Errorf("%s: closed, or its header alone is here", f.path)
	}
	return found, f.data[found.begin:found.end], nil
}

// headerEntry is what a header says of one tensor.
type headerEntry struct {
	DType   *string  `json:"dtype"`
	Shape   *[]int64 `json:"shape"`
	Offsets []int64  `json:"data_offsets"`
}

// parseHeader fills f from a header, for a file whose tensors take dataSize bytes.
func (f *File) parseHeader(header []byte, dataSize int64) error {
	entries, err := uniqueKeys(header)
	if err != nil {
		return fmt.Errorf("not a safetensors file: header: %w", err)
	}
	f.infos = make(map[string]Info, len(entries))
	for name, raw := range entries {
		if name == metadataKey {
			if err := json.Unmarshal(raw, &f.metadata); err != nil {
				return fmt.Errorf("header: %s: %w", metadataKey, err)
			}
			continue
		}
		info, err := parseEntry(raw, dataSize)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		f.infos[name] = info
	}
	return f.checkLayout(dataSize)
}

// uniqueKeys decodes a JSON object, and refuses one that says a name twice: readers would
// disagree on which counts.
func uniqueKeys(data []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if token != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	entries := map[string]json.RawMessage{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string) // the decoder lets no other key pass
		if _, twice := entries[name]; twice {
			return nil, fmt.Errorf("tensor %s is listed twice", name)
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		entries[name] = raw
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return entries, nil
}

func parseEntry(raw json.RawMessage, dataSize int64) (Info, error) {
	var entry headerEntry
	if err := json.Unmarshal(raw, &entry); err != nil {
		return Info{}, err
	}
	switch {
	case entry.DType == nil:
		return Info{}, errors.New("dtype is missing")
	case entry.Shape == nil:
		return Info{}, errors.New("shape is missing")
	case len(entry.Offsets) != 2:
		return Info{}, errors.New("data_offsets is not a pair")
	}
	dtype, ok := safetensorsTypes[*entry.DType]
	if !ok {
		return Info{}, fmt.Errorf("dtype %q is not supported", *entry.DType)
	}
	dims, begin, end := *entry.Shape, entry.Offsets[0], entry.Offsets[1]
	if begin < 0 || end < begin {
		return Info{}, fmt.Errorf("data_offsets [%d, %d] are no range", begin, end)
	}
	if end > dataSize {
		return Info{}, fmt.Errorf("truncated file: the tensor ends at byte %d, the file has %d behind its header", end, dataSize)
	}
	if len(dims) > maxRank {
		return Info{}, fmt.Errorf("%d dimensions are more than %d", len(dims), maxRank)
	}
	info := Info{begin: begin, end: end, Shape: shapes.Shape{DType: dtype, Dimensions: make([]int, len(dims))}}
	size := int64(dtype.Size())
	for i, d := range dims {
		if d < 0 || d > math.MaxInt32 {
			return Info{}, fmt.Errorf("dimension %d of shape %v is out of range", d, dims)
		}
		if d > 0 && size > math.MaxInt64/d {
			return Info{}, fmt.Errorf("shape %v is too large", dims)
		}
		size *= d
		info.Shape.Dimensions[i] = int(d)
	}
	if size != end-begin {
		return Info{}, fmt.Errorf("%s of shape %v takes %d bytes, data_offsets give %d", *entry.DType, dims, size, end-begin)
	}
	return info, nil
}

// checkLayout refuses tensors that share bytes, and bytes that no tensor owns.
func (f *File) checkLayout(dataSize int64) error {
	names := slices.SortedFunc(maps.Keys(f.infos), func(a, b string) int {
		x, y := f.infos[a], f.infos[b]
		if x.begin != y.begin {
			return int(min(max(x.begin-y.begin, -1), 1))
		}
		return int(min(max(x.end-y.end, -1), 1))
	})
	at, previous := int64(0), ""
	for _, name := range names {
		info := f.infos[name]
		switch {
		case info.begin < at:
			return fmt.Errorf("tensor %s overlaps tensor %s", name, previous)
		case info.begin > at:
			return fmt.Errorf("tensor %s: %d bytes in front of it belong to no tensor", name, info.begin-at)
		}
		at, previous = info.end, name
	}
	if at != dataSize {
		return fmt.Errorf("%d bytes at the end belong to no tensor", dataSize-at)
	}
	return nil
}
