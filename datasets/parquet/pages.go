package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Column reads one column's values by row.
type Column struct {
	file   *File
	leaf   *leaf
	number int
	name   string
	// pages of each row group in turn, by the file's first row in them.
	pages []pagePlace

	mu     sync.Mutex
	recent []*page // most recent last
	bytes  int

	dictionaries map[int][][]byte // by row group
}

// pagePlace is where a data page lies: 24 bytes in memory.
type pagePlace struct {
	row    int64 // first of the file
	offset int64 // of its header
	group  int32
	rows   int32
}

// cacheBytes is what a Column keeps of unpacked pages, beside the last one.
const cacheBytes = 32 << 20

// Types of pages.
const (
	pageData       = 0
	pageIndex      = 1
	pageDictionary = 2
	pageDataV2     = 3
)

// pageHeader precedes a page.
type pageHeader struct {
	kind             int64
	unpacked, packed int64
	values           int64
	encoding         int64
	definitions      int64 // encoding of levels, version 1
	repetitions      int64
	rows             int64 // version 2
	defBytes         int64
	repBytes         int64
	plain            bool // version 2: values are not compressed
}

// Open finds the pages of column i. Of a list in pages of version 1, it has to unpack them for that.
func (f *File) Open(i int) (*Column, error) {
	c := &Column{file: f, leaf: &f.columns[i], number: i, name: strings.Join(f.columns[i].path, ".")}
	if err := c.leaf.readable(); err != nil {
		return nil, err
	}
	for g := range f.groups {
		if err := c.findPages(g); err != nil {
			return nil, fmt.Errorf("column %s of row group %d: %w", c.name, g, err)
		}
	}
	return c, nil
}

func (c *Column) chunk(group int) *chunk { return &c.file.groups[group].chunks[c.number] }

func (c *Column) findPages(group int) error {
	g := &c.file.groups[group]
	chunk := c.chunk(group)
	row, values := int64(0), int64(0)
	for at := chunk.start; values < chunk.values; {
		h, size, err := c.file.header(at, chunk.end)
		if err != nil {
			return err
		}
		switch h.kind {
		case pageData, pageDataV2:
			rows := h.values
			if h.kind == pageDataV2 {
				rows = h.rows
			} else if c.leaf.list {
				p, err := c.unpackPage(group, at)
				if err != nil {
					return err
				}
				rows = int64(len(p.starts) - 1)
			}
			if values += h.values; rows > h.values || row+rows > g.rows {
				return errors.New("more rows in its pages than in the row group")
			}
			if rows > 0 {
				c.pages = append(c.pages, pagePlace{g.first + row, at, int32(group), int32(rows)})
			}
			row += rows
		case pageDictionary, pageIndex:
		default:
			return fmt.Errorf("unknown page type %d", h.kind)
		}
		at += size + h.packed
	}
	if row != g.rows || values != chunk.values {
		return fmt.Errorf("%d rows in its pages, %d in the row group", row, g.rows)
	}
	return nil
}

// header reads a page's header and its size.
func (f *File) header(at, end int64) (h pageHeader, size int64, err error) {
	for try := int64(1 << 10); ; try *= 16 {
		buffer := make([]byte, min(try, end-at))
		if len(buffer) == 0 {
			return h, 0, io.ErrUnexpectedEOF
		}
		if err := f.read(buffer, at); err != nil {
			return h, 0, err
		}
		t := &thrift{data: buffer}
		h, err = parsePageHeader(t)
		size = int64(t.at)
		if errors.Is(err, errShort) && int64(len(buffer)) == try && try < 1<<20 { // statistics may be long
			continue
		}
		break
	}
	if err != nil {
		return h, 0, fmt.Errorf("damaged page header: %w", err)
	}
	if h.packed < 0 || h.packed > end-at-size || h.unpacked < 0 || h.unpacked > MaxPage || h.values < 0 || h.values > MaxPage ||
		h.rows < 0 || h.defBytes < 0 || h.repBytes < 0 || h.defBytes > h.packed || h.repBytes > h.packed-h.defBytes {
		return h, 0, fmt.Errorf("damaged page header: %d values in %d bytes, %d unpacked", h.values, h.packed, h.unpacked)
	}
	return h, size, nil
}

func parsePageHeader(t *thrift) (h pageHeader, err error) {
	h.encoding = -1
	number := func(kind byte, to *int64) (err error) {
		*to, err = t.integer(kind)
		return err
	}
	err = t.structure(func(id int16, kind byte) error {
		switch id {
		case 1:
			return number(kind, &h.kind)
		case 2:
			return number(kind, &h.unpacked)
		case 3:
			return number(kind, &h.packed)
		case 5, 7, 8: // of a data page, a dictionary, a data page of version 2
			part := id
			return t.structureOf(kind, func(id int16, kind byte) error {
				switch {
				case id == 1:
					return number(kind, &h.values)
				case part != 8 && id == 2:
					return number(kind, &h.encoding)
				case part == 5 && id == 3:
					return number(kind, &h.definitions)
				case part == 5 && id == 4:
					return number(kind, &h.repetitions)
				case part == 8 && id == 3:
					return number(kind, &h.rows)
				case part == 8 && id == 4:
					return number(kind, &h.encoding)
				case part == 8 && id == 5:
					return number(kind, &h.defBytes)
				case part == 8 && id == 6:
					return number(kind, &h.repBytes)
				case part == 8 && id == 7 && kind == thriftFalse:
					h.plain = true
				}
				return t.skip(kind)
			})
		}
		return t.skip(kind)
	})
	return h, err
}

// Row returns the values of a row: one, or those of its list; none where it is null. A null in a
// list is nil. Numbers are written in decimal.
func (c *Column) Row(row int64) ([][]byte, error) {
	i, found := slices.BinarySearchFunc(c.pages, row, func(p pagePlace, row int64) int {
		switch {
		case p.row > row:
			return 1
		case p.row+int64(p.rows) <= row:
			return -1
		}
		return 0
	})
	if !found {
		return nil, fmt.Errorf("no row %d", row)
	}
	p, err := c.page(c.pages[i])
	if err != nil {
		return nil, fmt.Errorf("column %s of row group %d: %w", c.name, c.pages[i].group, err)
	}
	n := row - c.pages[i].row
	return p.values[p.starts[n]:p.starts[n+1]], nil
}

// page unpacks a page, unless that was done a short while ago.
func (c *Column) page(place pagePlace) (*page, error) {
	c.mu.Lock()
	for i, p := range c.recent {
		if p.offset == place.offset {
			c.recent = append(slices.Delete(c.recent, i, i+1), p)
			c.mu.Unlock()
			return p, nil
		}
	}
	c.mu.Unlock()
	p, err := c.unpackPage(int(place.group), place.offset)
	if err != nil {
		return nil, err
	}
	if len(p.starts)-1 != int(place.rows) {
		return nil, fmt.Errorf("%d rows in a page of %d", len(p.starts)-1, place.rows)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent = append(c.recent, p)
	c.bytes += p.bytes
	for c.bytes > cacheBytes && len(c.recent) > 1 {
		c.bytes -= c.recent[0].bytes
		c.recent = slices.Delete(c.recent, 0, 1)
	}
	return p, nil
}
