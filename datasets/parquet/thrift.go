package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// thrift reads the compact protocol: varints, zigzag numbers, structures of numbered fields.
type thrift struct {
	data  []byte
	at    int
	depth int
}

// Types of fields.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

var errShort = errors.New("it ends too early")

// maxDepth of structures and lists: Parquet's own are a few deep.
const maxDepth = 32

func (t *thrift) byte() (byte, error) {
	if t.at >= len(t.data) {
		return 0, errShort
	}
	t.at++
	return t.data[t.at-1], nil
}

func (t *thrift) varint() (uint64, error) {
	v, n := binary.Uvarint(t.data[t.at:])
	if n <= 0 {
		return 0, errShort
	}
	t.at += n
	return v, nil
}

func (t *thrift) zigzag() (int64, error) {
	v, err := t.varint()
	return int64(v>>1) ^ -int64(v&1), err
}

// integer reads a field that is one.
func (t *thrift) integer(kind byte) (int64, error) {
	switch kind {
	case thriftByte:
		b, err := t.byte()
		return int64(int8(b)), err
	case thriftI16, thriftI32, thriftI64:
		return t.zigzag()
	}
	return 0, fmt.Errorf("a field of type %d instead of a number", kind)
}

func (t *thrift) binary(kind byte) ([]byte, error) {
	if kind != thriftBinary {
		return nil, fmt.Errorf("a field of type %d instead of a text", kind)
	}
	n, err := t.varint()
	if err != nil {
		return nil, err
	}
	if n > uint64(len(t.data)-t.at) {
		return nil, errShort
	}
	t.at += int(n)
	return t.data[t.at-int(n) : t.at], nil
}

// structure reads one whose header was read; field must use up what it is called for.
func (t *thrift) structure(field func(id int16, kind byte) error) error {
	if t.depth++; t.depth > maxDepth {
		return errors.New("nested too deeply")
	}
	defer func() { t.depth-- }()
	id := int16(0)
	for {
		b, err := t.byte()
		if err != nil || b == 0 {
			return err
		}
		if delta := int16(b >> 4); delta != 0 {
			id += delta
		} else {
			v, err := t.zigzag()
			if err != nil {
				return err
			}
			id = int16(v)
		}
		if err := field(id, b&15); err != nil {
			return err
		}
	}
}

func (t *thrift) structureOf(kind byte, field func(id int16, kind byte) error) error {
	if kind != thriftStruct {
		return fmt.Errorf("a field of type %d instead of a structure", kind)
	}
	return t.structure(field)
}

// list reads one of at most limit items, of which each takes a byte or more.
func (t *thrift) list(kind byte, limit int, item func(kind byte) error) error {
	if kind != thriftList && kind != thriftSet {
		return fmt.Errorf("a field of type %d instead of a list", kind)
	}
	b, err := t.byte()
	if err != nil {
		return err
	}
	n := uint64(b >> 4)
	if n == 15 {
		if n, err = t.varint(); err != nil {
			return err
		}
	}
	if n > uint64(limit) || n > uint64(len(t.data)-t.at) {
		return fmt.Errorf("a list of %d items", n)
	}
	for range n {
		if err := item(b & 15); err != nil {
			return err
		}
	}
	return nil
}

// skip passes over a field.
func (t *thrift) skip(kind byte) error {
	if t.depth++; t.depth > maxDepth {
		return errors.New("nested too deeply")
	}
	defer func() { t.depth-- }()
	switch kind {
	case thriftTrue, thriftFalse:
		return nil
	case thriftByte, thriftI16, thriftI32, thriftI64:
		_, err := t.integer(kind)
		return err
	case thriftDouble:
		if len(t.data)-t.at < 8 {
			return errShort
		}
		t.at += 8
		return nil
	case thriftBinary:
		_, err := t.binary(kind)
		return err
	case thriftList, thriftSet:
		return t.list(kind, len(t.data), t.skipItem)
	case thriftMap:
		n, err := t.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := t.byte()
		if err != nil || n > uint64(len(t.data)-t.at) {
			return errors.Join(err, errShort)
		}
		for range n {
			if err := errors.Join(t.skipItem(kinds>>4), t.skipItem(kinds&15)); err != nil {
				return err
			}
		}
		return nil
	case thriftStruct:
		return t.structure(func(_ int16, kind byte) error { return t.skip(kind) })
	}
	return fmt.Errorf("unknown type %d", kind)
}

// skipItem is skip inside of lists and maps, where a truth value takes a byte.
func (t *thrift) skipItem(kind byte) error {
	if kind == thriftTrue || kind == thriftFalse {
		_, err := t.byte()
		return err
	}
	return t.skip(kind)
}
