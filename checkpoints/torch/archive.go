package torch

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gomlx/compute/dtypes"

	"goblip/checkpoints/pickle"
)

// maxRecords bounds the files of an archive, of which every storage is one.
const maxRecords = 1 << 20

// archive is the zip archive of a checkpoint: NAME/data.pkl, and one record NAME/data/KEY a storage.
type archive struct {
	from     io.ReaderAt
	size     int64
	prefix   string // NAME/
	records  map[string]*zip.File
	storages map[string]*storage
}

// readArchive reads the pickle of an archive.
func readArchive(from io.ReaderAt, size int64) (any, error) {
	reader, err := zip.NewReader(from, size)
	if err != nil {
		return nil, fmt.Errorf("not a zip archive of torch.save, or truncated: %w", err)
	}
	if len(reader.File) > maxRecords {
		return nil, fmt.Errorf("%d records are more than %d", len(reader.File), maxRecords)
	}
	a := &archive{from: from, size: size, records: make(map[string]*zip.File, len(reader.File)), storages: map[string]*storage{}}
	var index *zip.File
	for _, record := range reader.File {
		if a.records[record.Name] != nil {
			return nil, fmt.Errorf("record %q is there twice", record.Name)
		}
		a.records[record.Name] = record
		if path.Base(record.Name) == "data.pkl" && strings.Count(record.Name, "/") <= 1 {
			if index != nil {
				return nil, fmt.Errorf("both %q and %q", index.Name, record.Name)
			}
			index = record
		}
	}
	if index == nil {
		return nil, errors.New("a zip archive without data.pkl: not a file of torch.save")
	}
	a.prefix = strings.TrimSuffix(index.Name, "data.pkl")
	if err := a.checkOrder(); err != nil {
		return nil, err
	}
	if index.UncompressedSize64 > pickle.DefaultMaxBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than %d MiB", index.Name, index.UncompressedSize64, pickle.DefaultMaxBytes>>20)
	}
	in, err := a.open(index)
	if err != nil {
		return nil, err
	}
	value, err := pickle.Load(bufio.NewReader(in), pickle.Options{Global: global, Persistent: a.persistent})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", index.Name, err)
	}
	return value, nil
}

// open gives the bytes of a record. Torch never compresses them, and a file that does may unfold
// into more than fits anywhere.
func (a *archive) open(record *zip.File) (*io.SectionReader, error) {
	if record.Method != zip.Store || record.CompressedSize64 != record.UncompressedSize64 {
		return nil, fmt.Errorf("record %s is compressed: torch.save does not do that", record.Name)
	}
	begin, err := record.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", record.Name, err)
	}
	length := record.UncompressedSize64
	if length > uint64(a.size) || begin > a.size-int64(length) {
		return nil, fmt.Errorf("record %s: truncated: it should have %d bytes", record.Name, length)
	}
	return io.NewSectionReader(a.from, begin, int64(length)), nil
}

// checkOrder refuses an archive of a big-endian machine.
func (a *archive) checkOrder() error {
	record := a.records[a.prefix+"byteorder"]
	if record == nil {
		return nil
	}
	in, err := a.open(record)
	if err != nil {
		return err
	}
	order := make([]byte, min(in.Size(), 16))
	if _, err := io.ReadFull(in, order); err != nil {
		return err
	}
	if string(order) != "little" {
		return fmt.Errorf("byte order %q: only little-endian files can be read", order)
	}
	return nil
}

// persistent finds a storage: ("storage", class, key, device, number of elements).
func (a *archive) persistent(id any) (any, error) {
	reference, err := parseReference(id)
	if err != nil {
		return nil, err
	}
	if s := a.storages[reference.key]; s != nil {
		if s.dtype != reference.dtype {
			return nil, fmt.Errorf("storage %q has two element types", reference.key)
		}
		return s, nil
	}
	record := a.records[a.prefix+"data/"+reference.key]
	if record == nil {
		return nil, fmt.Errorf("storage %q is not in the file", reference.key)
	}
	in, err := a.open(record)
	if err != nil {
		return nil, err
	}
	if in.Size() < reference.bytes {
		return nil, fmt.Errorf("storage %q: truncated: it has %d bytes, %d elements of %s need %d", reference.key, in.Size(), reference.elements, reference.dtype, reference.bytes)
	}
	_, begin, _ := in.Outer()
	s := &storage{dtype: reference.dtype, from: a.from, begin: begin, size: reference.bytes}
	a.storages[reference.key] = s
	return s, nil
}

// reference is what a pickle says of a storage.
type reference struct {
	key             string
	dtype           dtypes.DType
	elements, bytes int64
	rest            pickle.Tuple
}

func parseReference(id any) (reference, error) {
	var r reference
	tuple, ok := id.(pickle.Tuple)
	if !ok || len(tuple) < 5 || tuple[0] != "storage" {
		return r, errors.New("an object outside of the pickle is no storage")
	}
	class, ok := tuple[1].(storageClass)
	if !ok {
		return r, errors.New("a storage without a class")
	}
	r.key, ok = tuple[2].(string)
	if !ok {
		return r, errors.New("a storage without a key")
	}
	r.elements, ok = tuple[4].(int64)
	if !ok || r.elements < 0 || r.elements > 1<<50 {
		return r, fmt.Errorf("storage %q: %v elements", r.key, tuple[4])
	}
	r.dtype = class.dtype
	r.bytes = r.elements * int64(r.dtype.Size())
	r.rest = tuple[5:]
	return r, nil
}
