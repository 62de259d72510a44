package pickle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// machine is the stack machine of one pickle.
type machine struct {
	in      *bufio.Reader
	options Options
	at      int64 // bytes read
	values  int64 // values made
	stack   []any
	memo    map[int64]any
}

// mark is what MARK leaves on the stack.
type mark struct{}

var (
	errStack = errors.New("the stack has nothing of the kind that the instruction needs")
	errLong  = errors.New("longer than allowed")
)

// run executes instructions until STOP.
func (m *machine) run() (any, error) {
	for {
		op, err := m.byte()
		if err != nil {
			return nil, err
		}
		if op == opStop {
			value, err := m.pop()
			if err == nil && len(m.stack) > 0 {
				err = fmt.Errorf("%d values left over at its end", len(m.stack))
			}
			return value, err
		}
		if err := m.step(op); err != nil {
			return nil, err
		}
	}
}

func (m *machine) byte() (byte, error) {
	if m.at++; m.at > m.options.MaxBytes {
		return 0, errLong
	}
	return m.in.ReadByte()
}

// read returns the next n bytes. The memory for them grows with what is really there.
func (m *machine) read(n uint64) ([]byte, error) {
	if n > uint64(m.options.MaxBytes-m.at) {
		return nil, fmt.Errorf("%d bytes of data: %w", n, errLong)
	}
	m.at += int64(n)
	if n <= 1<<16 {
		data := make([]byte, n)
		_, err := io.ReadFull(m.in, data)
		return data, err
	}
	var data bytes.Buffer
	_, err := io.CopyN(&data, m.in, int64(n))
	return data.Bytes(), err
}

// number reads a little-endian unsigned number of n bytes.
func (m *machine) number(n int) (uint64, error) {
	var value uint64
	for i := range n {
		b, err := m.byte()
		if err != nil {
			return 0, err
		}
		value |= uint64(b) << (8 * i)
	}
	return value, nil
}

// counted reads data that has its length in front, in a number of so many bytes.
func (m *machine) counted(lengthBytes int) ([]byte, error) {
	n, err := m.number(lengthBytes)
	if err != nil {
		return nil, err
	}
	return m.read(n)
}

// line reads up to the end of a line, as the text instructions of protocol 0 have it.
func (m *machine) line() (string, error) {
	var line []byte
	for {
		b, err := m.byte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
}

func (m *machine) push(value any) error {
	if m.values++; m.values > m.options.MaxValues {
		return fmt.Errorf("more than %d values", m.options.MaxValues)
	}
	m.stack = append(m.stack, value)
	return nil
}

func (m *machine) pop() (any, error) {
	top, err := m.top()
	if err != nil {
		return nil, err
	}
	if _, isMark := top.(mark); isMark {
		return nil, errStack
	}
	m.stack = m.stack[:len(m.stack)-1]
	return top, nil
}

func (m *machine) top() (any, error) {
	if len(m.stack) == 0 {
		return nil, errStack
	}
	return m.stack[len(m.stack)-1], nil
}

// popN takes the n topmost values.
func (m *machine) popN(n int) (Tuple, error) {
	values := make(Tuple, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if values[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// popMark takes everything above the topmost mark, and the mark.
func (m *machine) popMark() (Tuple, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, isMark := m.stack[i].(mark); isMark {
			values := append(Tuple{}, m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return values, nil
		}
	}
	return nil, errStack
}

func (m *machine) put(index int64) error {
	top, err := m.top()
	if err != nil {
		return err
	}
	if _, isMark := top.(mark); isMark {
		return errStack
	}
	m.memo[index] = top
	return nil
}

func (m *machine) get(index int64) error {
	value, ok := m.memo[index]
	if !ok {
		return fmt.Errorf("value %d is not there yet", index)
	}
	return m.push(value)
}

func (m *machine) global(module, name string) error {
	g := &Global{module, name}
	if m.options.Global == nil {
		return fmt.Errorf("%s is not allowed", g)
	}
	value, err := m.options.Global(g)
	if err != nil {
		return err
	}
	return m.push(value)
}

func (m *machine) persistent(id any) error {
	if m.options.Persistent == nil {
		return errors.New("objects outside of the pickle are not allowed")
	}
	value, err := m.options.Persistent(id)
	if err != nil {
		return err
	}
	return m.push(value)
}

// call stands for class(*args).
func (m *machine) call(class any, args Tuple) error {
	switch class := class.(type) {
	case Callable:
		value, err := class(args)
		if err != nil {
			// What is being made is usually the value of the key that was pushed before it.
			if top, _ := m.top(); top != nil {
				if key, ok := top.(string); ok {
					return fmt.Errorf("%.200s: %w", key, err)
				}
			}
			return err
		}
		return m.push(value)
	case *Global:
		return m.push(&Object{Class: class, Args: args})
	}
	return errors.New("what is called is neither a class nor a function")
}
