package pickle

import "math/big"

// A pickle's values are these Go types:
//
//	None            nil
//	bool            bool
//	int             int64, or *big.Int beyond 64 bits
//	float           float64
//	str             string
//	bytes           []byte
//	tuple           Tuple
//	list, set       *List
//	dict            *Dict
//	class, function *Global, or what Options.Global gave for it
//	instance        *Object, or what the Callable gave
//	persistent id   what Options.Persistent gave for it
//
// Containers can contain themselves, and one value can be in many places: whoever walks over them
// bounds depth and number.

// Tuple is a tuple.
type Tuple []any

// List is a list, or a set in the order of the file.
type List struct{ Items []any }

// Dict is a dictionary, or a subclass of it such as OrderedDict, in the order of the file. A key
// that was set twice is in it twice.
type Dict struct{ Entries []Entry }

// Entry is a key of a dictionary with its value.
type Entry struct{ Key, Value any }

// Get returns the value of a string key, the last one that was set.
func (d *Dict) Get(key string) (any, bool) {
	for i := len(d.Entries) - 1; i >= 0; i-- {
		if k, ok := d.Entries[i].Key.(string); ok && k == key {
			return d.Entries[i].Value, true
		}
	}
	return nil, false
}

// Global is a class or function that the pickle names. Nothing of it is looked up or run.
type Global struct{ Module, Name string }

// String is the Python name: "collections.OrderedDict".
func (g *Global) String() string { return g.Module + "." + g.Name }

// Object is an instance of a class that Options.Global left as it is: a record of what the pickle
// says of it.
type Object struct {
	Class *Global
	Args  Tuple // of the constructor
	State any   // of __setstate__, nil if there is none
	Dict  Dict  // entries, for a subclass of dict
	List  List  // items, for a subclass of list
}

// Callable is a Go function in the place of a Python class or function.
type Callable func(args Tuple) (any, error)

// integer turns the little-endian two's complement of LONG1 and LONG4 into a value.
func integer(data []byte) any {
	bytes := make([]byte, len(data)) // big-endian
	for i, b := range data {
		bytes[len(data)-1-i] = b
	}
	n := new(big.Int).SetBytes(bytes)
	if len(data) > 0 && data[len(data)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(data))))
	}
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}
