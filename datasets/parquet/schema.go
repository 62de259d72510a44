package parquet

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Physical types.
const (
	typeBoolean   = 0
	typeInt32     = 1
	typeInt64     = 2
	typeByteArray = 6
)

// schemaElement is a node of the tree of columns, in the order of a walk from the root.
type schemaElement struct {
	name       string
	kind       int32
	repetition int32 // 0 required, 1 optional, 2 repeated
	children   int
}

func (t *thrift) schemaElement(kind byte) (e schemaElement, err error) {
	e.kind = -1
	err = t.structureOf(kind, func(id int16, kind byte) error {
		switch id {
		case 1, 3, 5:
			v, err := t.integer(kind)
			switch id {
			case 1:
				e.kind = int32(v)
			case 3:
				e.repetition = int32(v)
			case 5:
				if v < 0 || v > maxColumns {
					return fmt.Errorf("%d children", v)
				}
				e.children = int(v)
			}
			return err
		case 4:
			name, err := t.binary(kind)
			e.name = string(name)
			return err
		}
		return t.skip(kind)
	})
	return e, err
}

// leaf is a column that holds values.
type leaf struct {
	path, short   []string // short: without the inner parts of its list
	kind          int32
	list          bool // one level of repetition
	nested        bool // more than one: not read
	maxRep        int
	maxDef        int
	levelOfValue  int // definition level from which there is an element of the list; maxDef has a value
	definedNumber int // bits of a definition level
}

// leaves walks the tree.
func leaves(schema []schemaElement) ([]leaf, error) {
	if len(schema) == 0 {
		return nil, errors.New("no schema")
	}
	var out []leaf
	at := 1
	var walk func(children, depth int, above leaf) error
	walk = func(children, depth int, above leaf) error {
		if depth > maxDepth {
			return errors.New("columns nested too deeply")
		}
		for range children {
			if at >= len(schema) {
				return errors.New("the schema ends too early")
			}
			e := schema[at]
			at++
			here := above
			here.path = append(append([]string(nil), above.path...), e.name)
			if !above.list {
				here.short = here.path
			}
			switch e.repetition {
			case 1:
				here.maxDef++
			case 2:
				here.maxDef++
				here.maxRep++
				here.nested, here.list = here.list, true
				here.levelOfValue = here.maxDef
				if len(above.path) > 0 { // "captions" of "captions.list.element"
					here.short = above.path
				}
			}
			if e.children > 0 {
				if err := walk(e.children, depth+1, here); err != nil {
					return err
				}
				continue
			}
			here.kind = e.kind
			here.definedNumber = bits.Len(uint(here.maxDef))
			out = append(out, here)
		}
		return nil
	}
	if err := walk(schema[0].children, 0, leaf{}); err != nil {
		return nil, err
	}
	if at != len(schema) {
		return nil, errors.New("the schema has more than its root")
	}
	return out, nil
}

// readable says why a column cannot be read.
func (l *leaf) readable() error {
	name := strings.Join(l.path, ".")
	switch {
	case l.nested:
		return fmt.Errorf("column %s: lists in lists are not read", name)
	case l.kind != typeByteArray && l.kind != typeBoolean && l.kind != typeInt32 && l.kind != typeInt64:
		return fmt.Errorf("column %s: values of physical type %d are not read", name, l.kind)
	}
	return nil
}
