package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"goblip/datasets/blob"
)

// element is one value of a large JSON document: an element of its list, of the
// list under a key of its object, or the value of a key.
type element struct {
	key    string // of the object; empty in a document that is a list
	inList bool
	number int // in its list
	place  extent
	text   []byte // valid until the next element
}

// extent is where bytes lie in a file.
type extent struct {
	offset int64
	size   int32
}

func (e extent) read(file blob.Blob) ([]byte, error) {
	text := make([]byte, e.size)
	if _, err := file.ReadAt(text, e.offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return text, nil
}

// eachElement walks a document of the form [ELEMENT, ...] or {"KEY": [ELEMENT,
// ...], "KEY": VALUE, ...} without holding more than one element. That an
// element is JSON, its user finds out.
func eachElement(file blob.Blob, use func(element) error) error {
	w := &walker{r: bufio.NewReaderSize(blob.NewWindow(file), 64<<10)}
	if mark, _ := w.r.Peek(len(byteOrderMark)); bytes.Equal(mark, byteOrderMark) {
		_, _ = w.r.Discard(len(mark))
		w.at += int64(len(mark))
	}
	err := w.document(use)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file ends too early")
	}
	if broken := (*brokenJSON)(nil); errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("bad JSON: %w", err)
	}
	if _, ok := problemOf(err); err != nil && !ok {
		err = fmt.Errorf("%s: %w", file.Name(), err)
	}
	return err
}

// brokenJSON says where a document is none.
type brokenJSON struct {
	at   int64
	what string
}

func (b *brokenJSON) Error() string { return fmt.Sprintf("byte %d: %s", b.at, b.what) }

// walker reads JSON by its structure.
type walker struct {
	r    *bufio.Reader
	at   int64
	text []byte
}

// document reads all of it.
func (w *walker) document(use func(element) error) error {
	c, err := w.peek()
	if err != nil {
		return err
	}
	switch c {
	case '[':
		err = w.list("", use)
	case '{':
		err = w.object(use)
	default:
		return w.broken("want a list or an object")
	}
	if err != nil {
		return err
	}
	if _, err := w.peek(); !errors.Is(err, io.EOF) {
		return w.broken("more after the end")
	}
	return nil
}

func (w *walker) object(use func(element) error) error {
	return w.items('}', func(int) error {
		if c, err := w.peek(); err != nil {
			return err
		} else if c != '"' {
			return w.broken("want a key")
		}
		if _, err := w.value(); err != nil {
			return err
		}
		var key string
		if err := json.Unmarshal(w.text, &key); err != nil {
			return w.broken("bad key")
		}
		if c, err := w.peek(); err != nil {
			return err
		} else if c != ':' {
			return w.broken("want ':' after a key")
		}
		w.skip()
		c, err := w.peek()
		if err != nil {
			return err
		}
		if c == '[' {
			return w.list(key, use)
		}
		place, err := w.value()
		if err != nil {
			return err
		}
		return use(element{key: key, place: place, text: w.text})
	})
}

func (w *walker) list(key string, use func(element) error) error {
	return w.items(']', func(number int) error {
		place, err := w.value()
		if err != nil {
			return err
		}
		return use(element{key: key, inList: true, number: number, place: place, text: w.text})
	})
}

// items reads from an opening bracket to its end, with commas between items.
func (w *walker) items(end byte, item func(number int) error) error {
	w.skip()
	for number := 0; ; number++ {
		c, err := w.peek()
		if err != nil {
			return err
		}
		switch {
		case c == end && number == 0:
			w.skip()
			return nil
		case c == end || c == ',' && number == 0:
			return w.broken("a comma too many")
		}
		if err := item(number); err != nil {
			return err
		}
		if c, err = w.peek(); err != nil {
			return err
		}
		w.skip()
		switch c {
		case end:
			return nil
		case ',':
		default:
			return w.broken("want ',' or the end")
		}
	}
}

// value reads one value into text: to the bracket that closes it, the quote
// that ends it, or what separates it from the next.
func (w *walker) value() (extent, error) {
	if _, err := w.peek(); err != nil {
		return extent{}, err
	}
	w.text = w.text[:0]
	start, depth, inString, escaped := w.at, 0, false, false
	for {
		c, err := w.r.ReadByte()
		if err != nil {
			return extent{}, err
		}
		if !inString && depth == 0 && len(w.text) > 0 && (c == ',' || c == ']' || c == '}' || isBlank(c)) { // after a number or a word
			if err := w.r.UnreadByte(); err != nil {
				return extent{}, err
			}
			break
		}
		w.at++
		if w.text = append(w.text, c); len(w.text) > MaxLineBytes {
			w.at = start
			return extent{}, w.broken(fmt.Sprintf("an element is longer than %d bytes", MaxLineBytes))
		}
		if inString {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				inString = false
			}
		} else {
			switch c {
			case '"':
				inString = true
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
		}
		if depth < 0 {
			return extent{}, w.broken("a bracket too many")
		}
		if depth == 0 && !inString && (c == '"' || c == '}' || c == ']') {
			break
		}
	}
	return extent{start, int32(len(w.text))}, nil
}

// peek is the next byte that is not blank.
func (w *walker) peek() (byte, error) {
	for {
		c, err := w.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if !isBlank(c) {
			return c, w.r.UnreadByte()
		}
		w.at++
	}
}

// skip passes over the byte that peek gave.
func (w *walker) skip() {
	_, _ = w.r.Discard(1)
	w.at++
}

func (w *walker) broken(what string) error { return &brokenJSON{w.at, what} }

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
