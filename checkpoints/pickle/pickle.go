// Package pickle reads Python pickles as data. Nothing in a pickle is run: a class or function that
// it names is refused unless the caller knows the name, and then a Go function of the caller stands
// in for it, or an inert record of what the pickle says.
//
//	pickle.go   Load: the options and limits
//	machine.go  the stack machine that a pickle is a program for
//	opcodes.go  its instructions: numbers and strings, stack and memo
//	build.go    those that make containers and instances
//	value.go    what comes out
//
// Time and memory are bounded by the length of the pickle, which is bounded too; nesting costs no
// stack.
package pickle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Options say what a pickle may name, and how much it may hold. A nil function refuses everything.
type Options struct {
	// Global gives the value of a class or function: a Callable, or the *Global itself, whose
	// instances become Objects. An error refuses the name and the pickle.
	Global func(g *Global) (any, error)

	// Persistent gives the value of an object that lies outside the pickle.
	Persistent func(id any) (any, error)

	// MaxBytes and MaxValues bound the pickle's length and the number of values it makes;
	// DefaultMaxBytes and DefaultMaxValues if 0.
	MaxBytes, MaxValues int64
}

// Limits of Options. The index of a checkpoint with 2,000 tensors and an optimizer's state of each
// takes about a megabyte and 200,000 values.
const (
	DefaultMaxBytes  = 32 << 20
	DefaultMaxValues = 2 << 20
)

// Load reads one pickle of protocol 0 to 5 and leaves r right behind it.
func Load(r *bufio.Reader, options Options) (any, error) {
	m := &machine{in: r, options: options, memo: map[int64]any{}}
	if m.options.MaxBytes == 0 {
		m.options.MaxBytes = DefaultMaxBytes
	}
	if m.options.MaxValues == 0 {
		m.options.MaxValues = DefaultMaxValues
	}
	value, err := m.run()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("truncated")
	}
	if err != nil {
		return nil, fmt.Errorf("pickle: byte %d: %w", m.at, err)
	}
	return value, nil
}
