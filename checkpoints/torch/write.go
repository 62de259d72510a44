package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// alignment is where torch.save lets storages begin.
const alignment = 64

// Entry is a tensor to write: Write is called for its bytes when their turn comes.
type Entry struct {
	Name  string
	Shape shapes.Shape
	Write func(w io.Writer) error
}

// writtenTypes is the reverse of storageTypes.
var writtenTypes = func() map[dtypes.DType]string {
	names := map[dtypes.DType]string{}
	for name, dtype := range storageTypes {
		if name != "UntypedStorage" {
			names[dtype] = name
		}
	}
	return names
}()

// Saved is what Write writes.
type Saved struct {
	// Tensors are the state dict.
	Tensors []Entry

	// Bare writes the state dict itself, as pytorch_model.bin has it; else what is saved is
	// {"model": state dict}, which LAVIS and BLIP read.
	Bare bool

	// Files are saved beside "model" as {"files": ...}, as tensors of bytes: config.json and tokenizer
	// files, so that the file can become a model folder again.
	Files map[string][]byte
}

// Write writes a file that torch.load opens with weights_only=True.
func Write(w io.Writer, saved Saved) error {
	if saved.Bare && len(saved.Files) > 0 {
		return errors.New("a bare state dict has no place for files")
	}
	var p pickler
	p.begin()
	if !saved.Bare {
		p.text("model")
		p.openDict()
	}
	all := slices.Clone(saved.Tensors)
	seen := make(map[string]bool, len(all))
	for i, e := range all {
		if e.Name == "" || seen[e.Name] {
			return fmt.Errorf("tensor %q: without a name, or twice", e.Name)
		}
		seen[e.Name] = true
		if writtenTypes[e.Shape.DType] == "" {
			return fmt.Errorf("tensor %s: %s cannot be written to a file of torch.save", e.Name, e.Shape.DType)
		}
		p.text(e.Name)
		p.tensor(i, e.Shape)
	}
	if !saved.Bare {
		p.closeDict()
	}
	if len(saved.Files) > 0 {
		p.text(filesKey)
		p.openDict()
		for _, name := range slices.Sorted(maps.Keys(saved.Files)) {
			data := saved.Files[name]
			e := Entry{name, shapes.Make(dtypes.Uint8, len(data)), raw(data)}
			p.text(name)
			p.tensor(len(all), e.Shape)
			all = append(all, e)
		}
		p.closeDict()
	}
	p.end()

	counter := &countingWriter{to: w}
	archive := &archiveWriter{zip: zip.NewWriter(counter), at: counter}
	if err := archive.record("data.pkl", raw(p.Bytes())); err != nil {
		return err
	}
	if err := archive.record("byteorder", raw([]byte("little"))); err != nil {
		return err
	}
	for i, e := range all {
		if err := archive.record(fmt.Sprintf("data/%d", i), e.Write); err != nil {
			return fmt.Errorf("tensor %s: %w", e.Name, err)
		}
	}
	if err := archive.record("version", raw([]byte("3\n"))); err != nil {
		return err
	}
	return archive.zip.Close()
}

// raw writes these bytes.
func raw(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// archiveWriter writes the records of an archive, uncompressed and aligned.
type archiveWriter struct {
	zip        *zip.Writer
	at         *countingWriter
	descriptor int64 // bytes that will follow the last record
}

type countingWriter struct {
	to      io.Writer
	written int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.written += int64(n)
	return n, err
}

func (a *archiveWriter) record(name string, fill func(io.Writer) error) error {
	if err := a.zip.Flush(); err != nil {
		return err
	}
	header := &zip.FileHeader{Name: "archive/" + name, Method: zip.Store}
	// An extra field of the kind that torch pads with shifts the data to the next boundary. The
	// header is behind the descriptor of the record before, which is not written yet.
	const fixed, fieldHead = 30, 4 // bytes
	begin := a.at.written + a.descriptor + fixed + int64(len(header.Name)) + fieldHead
	padding := (alignment - begin%alignment) % alignment
	header.Extra = make([]byte, fieldHead+padding)
	copy(header.Extra, "FB")
	binary.LittleEndian.PutUint16(header.Extra[2:], uint16(padding))
	w, err := a.zip.CreateHeader(header)
	if err != nil {
		return err
	}
	counter := &countingWriter{to: w}
	err = fill(counter)
	a.descriptor = 16
	if counter.written >= math.MaxUint32 {
		a.descriptor = 24
	}
	return err
}

// pickler writes the few instructions of protocol 2 that a state dict needs.
type pickler struct{ bytes.Buffer }

func (p *pickler) begin()     { p.WriteString("\x80\x02"); p.openDict() }
func (p *pickler) end()       { p.closeDict(); p.WriteByte('.') }
func (p *pickler) openDict()  { p.WriteString("}(") }
func (p *pickler) closeDict() { p.WriteByte('u') }

func (p *pickler) text(s string) {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

func (p *pickler) integer(n int) {
	if n >= 0 && n < 1<<31 {
		p.WriteByte('J')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
		return
	}
	p.WriteString("\x8a\x08")
	p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func (p *pickler) integers(all []int) {
	p.WriteByte('(')
	for _, n := range all {
		p.integer(n)
	}
	p.WriteByte('t')
}

// tensor is _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()).
func (p *pickler) tensor(key int, shape shapes.Shape) {
	p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
	p.text("storage")
	p.WriteString("ctorch\n" + writtenTypes[shape.DType] + "\n")
	p.text(fmt.Sprint(key))
	p.text("cpu")
	p.integer(shape.Size())
	p.WriteString("tQ")
	p.integer(0)
	p.integers(shape.Dimensions)
	strides := make([]int, shape.Rank())
	next := 1
	for i := shape.Rank() - 1; i >= 0; i-- {
		strides[i] = next
		next *= max(shape.Dimensions[i], 1)
	}
	p.integers(strides)
	p.WriteString("\x89ccollections\nOrderedDict\n)RtR")
}
