// Package parquet reads columns of texts, bytes and whole numbers out of Parquet files, row by row in
// any order. It holds one page at a time, checks every size before it allocates, and refuses what it
// does not know by name.
//
//	parquet.go   File: opening, columns, rows
//	schema.go    the tree of columns, with their levels
//	pages.go     where the pages of a column lie, and which rows they hold
//	page.go      a page -> values
//	codec.go     compression
//	thrift.go    Thrift's compact protocol, in which Parquet writes its headers
//
// Read: BYTE_ARRAY, INT32, INT64 in plain or dictionary encoding, one level of lists, pages of both
// versions; Snappy, Zstandard, gzip, raw LZ4 and no compression. Not read: encryption, nested lists,
// the delta encodings, Brotli and Hadoop's LZ4.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of what a file may claim.
const (
	MaxFooter  = 256 << 20
	MaxPage    = 512 << 20 // bytes of one page, unpacked
	maxColumns = 1 << 16
	maxGroups  = 1 << 24
	MaxRows    = 1 << 40
)

// File is an opened Parquet file. Any number of goroutines may read it.
type File struct {
	r       io.ReaderAt
	size    int64
	Rows    int64
	columns []leaf
	groups  []rowGroup
}

type rowGroup struct {
	rows   int64
	first  int64 // row of the file
	chunks []chunk
}

// chunk is one column of a row group.
type chunk struct {
	kind       int32 // physical type
	codec      int32
	values     int64
	start, end int64 // in the file
	dictionary bool  // its first page is one
}

// Open reads the footer.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	var tail [8]byte
	if size < 12 {
		return nil, errors.New("not a Parquet file")
	}
	if err := f.read(tail[:4], 0); err != nil {
		return nil, err
	}
	head := string(tail[:4])
	if err := f.read(tail[:], size-8); err != nil {
		return nil, err
	}
	switch magic := string(tail[4:]); {
	case magic == "PARE" || head == "PARE":
		return nil, errors.New("the file is encrypted")
	case head != "PAR1":
		return nil, errors.New("not a Parquet file")
	case magic != "PAR1":
		return nil, errors.New("cut at its end, or not a Parquet file")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > MaxFooter || length > size-12 {
		return nil, fmt.Errorf("a footer of %d bytes in a file of %d", length, size)
	}
	footer := make([]byte, length)
	if err := f.read(footer, size-8-length); err != nil {
		return nil, err
	}
	if err := f.parseFooter(footer); err != nil {
		return nil, fmt.Errorf("damaged footer: %w", err)
	}
	return f, nil
}

func (f *File) read(p []byte, at int64) error {
	n, err := f.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Columns are the names of all columns: their path, with dots.
func (f *File) Columns() []string {
	var names []string
	for _, c := range f.columns {
		names = append(names, strings.Join(c.path, "."))
	}
	return names
}

// Find is the number of the column with this path, -1 if there is none. The inner parts of a list
// are left out of the path: "captions" finds "captions.list.element".
func (f *File) Find(name string) int {
	for i, c := range f.columns {
		if strings.Join(c.path, ".") == name || c.list && strings.Join(c.short, ".") == name {
			return i
		}
	}
	return -1
}

func (f *File) parseFooter(footer []byte) error {
	var schema []schemaElement
	t := &thrift{data: footer}
	err := t.structure(func(id int16, kind byte) (err error) {
		switch id {
		case 2:
			return t.list(kind, maxColumns, func(kind byte) error {
				e, err := t.schemaElement(kind)
				schema = append(schema, e)
				return err
			})
		case 3:
			f.Rows, err = t.integer(kind)
			return err
		case 4:
			return t.list(kind, maxGroups, func(kind byte) error {
				g, err := f.parseGroup(t, kind)
				f.groups = append(f.groups, g)
				return err
			})
		}
		return t.skip(kind)
	})
	if err != nil {
		return err
	}
	if f.columns, err = leaves(schema); err != nil {
		return err
	}
	first := int64(0)
	for i := range f.groups {
		g := &f.groups[i]
		if len(g.chunks) != len(f.columns) {
			return fmt.Errorf("row group %d has %d columns, the schema %d", i, len(g.chunks), len(f.columns))
		}
		if g.rows < 0 || g.rows > MaxRows-first {
			return fmt.Errorf("row group %d of %d rows", i, g.rows)
		}
		g.first = first
		first += g.rows
		for j, c := range g.chunks {
			if c.start < 4 || c.end < c.start || c.end > f.size {
				return fmt.Errorf("column %s of row group %d lies outside of the file", strings.Join(f.columns[j].path, "."), i)
			}
			if c.values < 0 || c.kind != f.columns[j].kind {
				return fmt.Errorf("column %s of row group %d does not fit the schema", strings.Join(f.columns[j].path, "."), i)
			}
		}
	}
	if first != f.Rows {
		return fmt.Errorf("%d rows, the row groups have %d", f.Rows, first)
	}
	return nil
}

func (f *File) parseGroup(t *thrift, kind byte) (g rowGroup, err error) {
	err = t.structureOf(kind, func(id int16, kind byte) (err error) {
		switch id {
		case 1:
			return t.list(kind, maxColumns, func(kind byte) error {
				c, err := parseChunk(t, kind)
				g.chunks = append(g.chunks, c)
				return err
			})
		case 3:
			g.rows, err = t.integer(kind)
			return err
		}
		return t.skip(kind)
	})
	return g, err
}

func parseChunk(t *thrift, kind byte) (c chunk, err error) {
	var size, data, dictionary int64
	var elsewhere bool
	err = t.structureOf(kind, func(id int16, kind byte) (err error) {
		switch id {
		case 1:
			elsewhere = true
			return t.skip(kind)
		case 3:
			return t.structureOf(kind, func(id int16, kind byte) (err error) {
				var v int64
				switch id {
				case 1, 4, 5, 7, 9, 11:
					if v, err = t.integer(kind); err != nil {
						return err
					}
				default:
					return t.skip(kind)
				}
				switch id {
				case 1:
					c.kind = int32(v)
				case 4:
					c.codec = int32(v)
				case 5:
					c.values = v
				case 7:
					size = v
				case 9:
					data = v
				case 11:
					dictionary = v
				}
				return nil
			})
		}
		return t.skip(kind)
	})
	c.start = data
	// Some writers give 0, or the data page, for a dictionary that is not there.
	if dictionary > 0 && dictionary < data {
		c.start, c.dictionary = dictionary, true
	}
	if c.end = c.start + size; size < 0 || c.end < c.start {
		c.end = -1
	}
	if elsewhere {
		err = errors.Join(err, errors.New("a column lies in another file"))
	}
	return c, err
}
