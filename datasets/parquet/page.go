package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// page is an unpacked data page: the values of row i are values[starts[i]:starts[i+1]].
type page struct {
	offset int64
	values [][]byte
	starts []int32
	bytes  int
}

// Encodings.
const (
	encodingPlain         = 0
	encodingPlainDict     = 2
	encodingRLE           = 3
	encodingRLEDictionary = 8
)

// What these codecs can make of a byte at most, and what needs no proof.
const (
	maxSnappyRatio = 64
	maxLZ4Ratio    = 256
	alwaysUnpacked = 1 << 16
)

var errDamaged = errors.New("a damaged page")

// load reads a page's bytes: levels that are not compressed, and the rest unpacked.
func (c *Column) load(group int, at int64) (h pageHeader, levels, body []byte, err error) {
	chunk := c.chunk(group)
	h, size, err := c.file.header(at, chunk.end)
	if err != nil {
		return h, nil, nil, err
	}
	packed := make([]byte, h.packed)
	if err := c.file.read(packed, at+size); err != nil {
		return h, nil, nil, err
	}
	if h.kind == pageDataV2 {
		n := h.defBytes + h.repBytes
		if n > h.unpacked {
			return h, nil, nil, errDamaged
		}
		levels, packed = packed[:n], packed[n:]
		h.unpacked -= n
	}
	codec := chunk.codec
	if h.kind == pageDataV2 && h.plain {
		codec = codecNone
	}
	if len(packed) == 0 && h.unpacked == 0 { // all null
		return h, levels, nil, nil
	}
	ratio := int64(maxSnappyRatio)
	if codec == codecLZ4Raw {
		ratio = maxLZ4Ratio
	}
	if (codec == codecSnappy || codec == codecLZ4Raw) && h.unpacked > ratio*int64(len(packed))+alwaysUnpacked {
		return h, nil, nil, errDamaged
	}
	body, err = unpack(codec, packed, int(h.unpacked))
	return h, levels, body, err
}

// unpackPage reads the data page whose header is at an offset.
func (c *Column) unpackPage(group int, at int64) (*page, error) {
	h, levels, body, err := c.load(group, at)
	if err != nil {
		return nil, err
	}
	l := c.leaf
	n := int(h.values)
	if n > maxPageValues {
		return nil, errDamaged
	}
	var reps, defs []byte
	if h.kind == pageDataV2 {
		if reps, err = runs(levels[:h.repBytes], bits.Len(uint(l.maxRep)), n); err == nil {
			defs, err = runs(levels[h.repBytes:], l.definedNumber, n)
		}
	} else {
		if reps, body, err = levelsV1(body, l.maxRep, h.repetitions, n); err == nil {
			defs, body, err = levelsV1(body, l.maxDef, h.definitions, n)
		}
	}
	if err != nil {
		return nil, err
	}
	defined := n
	if l.maxDef > 0 {
		defined = 0
		for _, d := range defs {
			if int(d) == l.maxDef {
				defined++
			}
		}
	}
	values, total, err := c.values(group, h.encoding, body, defined)
	if err != nil {
		return nil, err
	}
	p := &page{offset: at, bytes: total + 32*n}
	next := 0
	for i := range n {
		if l.maxRep == 0 || reps[i] == 0 {
			p.starts = append(p.starts, int32(len(p.values)))
		} else if len(p.starts) == 0 {
			return nil, errDamaged
		}
		switch {
		case l.maxDef == 0 || int(defs[i]) == l.maxDef:
			p.values = append(p.values, values[next])
			next++
		case l.list && int(defs[i]) >= l.levelOfValue:
			p.values = append(p.values, nil)
		}
	}
	p.starts = append(p.starts, int32(len(p.values)))
	return p, nil
}

// maxPageValues bounds the values of a page: writers use a megabyte a page.
const maxPageValues = 1 << 23

// levelsV1 takes levels from the front of a page of version 1.
func levelsV1(body []byte, most int, encoding int64, n int) (levels, rest []byte, err error) {
	if most == 0 {
		return nil, body, nil
	}
	if encoding != encodingRLE {
		return nil, nil, fmt.Errorf("levels in encoding %d are not read", encoding)
	}
	if len(body) < 4 {
		return nil, nil, errDamaged
	}
	size := binary.LittleEndian.Uint32(body)
	if body = body[4:]; uint64(size) > uint64(len(body)) {
		return nil, nil, errDamaged
	}
	levels, err = runs(body[:size], bits.Len(uint(most)), n)
	return levels, body[size:], err
}

// runs reads n small numbers of the hybrid of run lengths and bit packing.
func runs(in []byte, width, n int) ([]byte, error) {
	if width == 0 {
		return nil, nil
	}
	out := make([]byte, 0, n)
	err := eachRun(in, width, n, func(v uint32, count int) error {
		if v > 255 {
			return errDamaged
		}
		for range count {
			out = append(out, byte(v))
		}
		return nil
	})
	return out, err
}

// eachRun calls use until n values are read.
func eachRun(in []byte, width, n int, use func(v uint32, count int) error) error {
	if width > 32 {
		return errDamaged
	}
	for n > 0 {
		header, size := binary.Uvarint(in)
		if size <= 0 {
			return errDamaged
		}
		in = in[size:]
		if header&1 == 0 { // one value, many times
			count := min(header>>1, uint64(n))
			bytes := (width + 7) / 8
			if len(in) < bytes || count == 0 {
				return errDamaged
			}
			v := uint32(0)
			for i, b := range in[:bytes] {
				v |= uint32(b) << (8 * i)
			}
			in = in[bytes:]
			if err := use(v, int(count)); err != nil {
				return err
			}
			n -= int(count)
			continue
		}
		groups := header >> 1 // of eight values
		if groups == 0 || groups > uint64(n)/8+1 {
			return errDamaged
		}
		packed := in[:min(uint64(len(in)), groups*uint64(width))]
		in = in[len(packed):]
		bit := 0
		for range min(groups*8, uint64(n)) {
			v := uint32(0)
			for got := 0; got < width; {
				if bit/8 >= len(packed) {
					return errDamaged
				}
				take := min(8-bit%8, width-got)
				v |= uint32(packed[bit/8]>>(bit%8)) & (1<<take - 1) << got
				got += take
				bit += take
			}
			if err := use(v, 1); err != nil {
				return err
			}
			n--
		}
	}
	return nil
}

// values reads n values that are there; bytes is what they hold on to.
func (c *Column) values(group int, encoding int64, body []byte, n int) (values [][]byte, bytes int, err error) {
	switch encoding {
	case encodingRLE: // of booleans alone; behind its length
		if c.leaf.kind != typeBoolean {
			break
		}
		if len(body) < 4 {
			return nil, 0, errDamaged
		}
		values = make([][]byte, 0, min(n, maxPageValues))
		err = eachRun(body[4:], 1, n, func(v uint32, count int) error {
			for range count {
				values = append(values, boolean(v == 1))
			}
			return nil
		})
		return values, 0, err
	case encodingPlain:
		if c.leaf.kind == typeBoolean {
			return plainBooleans(body, n)
		}
		return plain(c.leaf.kind, body, n)
	case encodingPlainDict, encodingRLEDictionary:
		if n == 0 {
			return nil, 0, nil
		}
		dictionary, err := c.dictionary(group)
		if err != nil {
			return nil, 0, err
		}
		if len(body) == 0 {
			return nil, 0, errDamaged
		}
		values = make([][]byte, 0, n)
		err = eachRun(body[1:], int(body[0]), n, func(v uint32, count int) error {
			if uint64(v) >= uint64(len(dictionary)) {
				return errDamaged
			}
			for range count {
				values = append(values, dictionary[v])
				bytes += len(dictionary[v])
			}
			return nil
		})
		return values, bytes, err
	}
	return nil, 0, fmt.Errorf("encoding %d is not read; write the file with plain or dictionary encoding", encoding)
}

// plainBooleans reads bits, the lowest of a byte first.
func plainBooleans(body []byte, n int) (values [][]byte, bytes int, err error) {
	if n > 8*len(body) {
		return nil, 0, errDamaged
	}
	values = make([][]byte, n)
	for i := range values {
		values[i] = boolean(body[i/8]>>(i%8)&1 == 1)
	}
	return values, 0, nil
}

func boolean(v bool) []byte { return strconv.AppendBool(nil, v) }

// plain reads values that follow each other.
func plain(kind int32, body []byte, n int) (values [][]byte, bytes int, err error) {
	if n > len(body) { // each takes four bytes or more
		return nil, 0, errDamaged
	}
	values = make([][]byte, 0, n)
	for range n {
		size := 4
		if kind == typeInt64 {
			size = 8
		}
		if len(body) < size {
			return nil, 0, errDamaged
		}
		head := body[:size]
		body = body[size:]
		switch kind {
		case typeInt32:
			values = append(values, strconv.AppendInt(nil, int64(int32(binary.LittleEndian.Uint32(head))), 10))
		case typeInt64:
			values = append(values, strconv.AppendInt(nil, int64(binary.LittleEndian.Uint64(head)), 10))
		default:
			size := binary.LittleEndian.Uint32(head)
			if uint64(size) > uint64(len(body)) {
				return nil, 0, errDamaged
			}
			values = append(values, body[:size:size])
			body = body[size:]
			bytes += int(size)
		}
	}
	return values, bytes, nil
}

// dictionary is the first page of a column in a row group.
func (c *Column) dictionary(group int) ([][]byte, error) {
	chunk := c.chunk(group)
	if !chunk.dictionary {
		return nil, errors.New("no dictionary")
	}
	c.mu.Lock()
	known, ok := c.dictionaries[group]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	h, _, body, err := c.load(group, chunk.start)
	if err != nil {
		return nil, err
	}
	if h.kind != pageDictionary {
		return nil, errors.New("no dictionary")
	}
	values, _, err := plain(c.leaf.kind, body, int(h.values))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dictionaries == nil || len(c.dictionaries) >= maxDictionaries {
		c.dictionaries = map[int][][]byte{}
	}
	c.dictionaries[group] = values
	return values, nil
}

// maxDictionaries is how many are kept; writers give up on dictionaries of more than a megabyte.
const maxDictionaries = 16
