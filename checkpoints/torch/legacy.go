package torch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"

	"goblip/checkpoints/pickle"
)

// legacyMagic begins the files of torch.save before 1.6, as a pickled number of ten bytes.
var legacyMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

// legacy is a file of five pickles (magic number, protocol, machine, what was saved, keys of
// storages) and the storages behind them, each with its number of elements in front.
type legacy struct {
	storages map[string]*storage
	order    []string // keys, as the pickle names them
	views    map[view]*storage
}

// view is a part of a storage that is a storage of its own to the pickle, in elements.
type view struct {
	whole         *storage
	offset, count int64
}

// readLegacy reads the pickles, and finds the storages behind them.
func readLegacy(file io.ReaderAt, size int64) (any, error) {
	counter := &countingReader{from: io.NewSectionReader(file, 0, size)}
	in := bufio.NewReaderSize(counter, 1<<16)
	magic, err := pickle.Load(in, pickle.Options{MaxBytes: 64})
	if n, ok := magic.(*big.Int); err != nil || !ok || n.Cmp(legacyMagic) != 0 {
		return nil, errors.New("not a file of torch.save")
	}
	if version, err := pickle.Load(in, pickle.Options{MaxBytes: 64}); err != nil || version != int64(1001) {
		return nil, fmt.Errorf("a file of torch.save of protocol %v: %v", version, err)
	}
	machine, err := pickle.Load(in, pickle.Options{MaxBytes: 4096})
	if err != nil {
		return nil, err
	}
	if m, ok := machine.(*pickle.Dict); ok {
		if little, ok := m.Get("little_endian"); ok && little != true {
			return nil, errors.New("only little-endian files can be read")
		}
	}
	l := &legacy{storages: map[string]*storage{}, views: map[view]*storage{}}
	value, err := pickle.Load(in, pickle.Options{Global: global, Persistent: l.persistent})
	if err != nil {
		return nil, err
	}
	keys, err := pickle.Load(in, pickle.Options{})
	if err != nil {
		return nil, err
	}
	list, ok := keys.(*pickle.List)
	if !ok {
		return nil, errors.New("the keys of its storages are no list")
	}
	return value, l.locate(file, counter.read-int64(in.Buffered()), size, list.Items)
}

// countingReader knows how far a buffered reader has come.
type countingReader struct {
	from io.Reader
	read int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	return n, err
}

// persistent finds or makes a storage: ("storage", class, key, device, number of elements, view),
// where view is None or (key, offset, elements) of a part of that storage.
func (l *legacy) persistent(id any) (any, error) {
	r, err := parseReference(id)
	if err != nil {
		return nil, err
	}
	s := l.storages[r.key]
	if s == nil {
		s = &storage{dtype: r.dtype, size: r.bytes}
		l.storages[r.key] = s
		l.order = append(l.order, r.key)
	}
	if s.dtype != r.dtype || s.size != r.bytes {
		return nil, fmt.Errorf("storage %q has two element types or sizes", r.key)
	}
	if len(r.rest) == 0 || r.rest[0] == nil {
		return s, nil
	}
	part, ok := r.rest[0].(pickle.Tuple)
	if !ok || len(part) != 3 {
		return nil, fmt.Errorf("storage %q: a view that makes no sense", r.key)
	}
	offset, ok := part[1].(int64)
	count, ok2 := part[2].(int64)
	if !ok || !ok2 || offset < 0 || count < 0 || count > r.elements || offset > r.elements-count {
		return nil, fmt.Errorf("storage %q: a view outside of it", r.key)
	}
	key := view{s, offset, count}
	if l.views[key] == nil {
		l.views[key] = &storage{dtype: s.dtype, size: count * int64(s.dtype.Size())} // located with the whole
	}
	return l.views[key], nil
}

// locate gives the storages their places, from byte at on, in the order of keys.
func (l *legacy) locate(file io.ReaderAt, at, size int64, keys []any) error {
	for _, item := range keys {
		key, ok := item.(string)
		s := l.storages[key]
		if !ok || s == nil {
			return fmt.Errorf("storage %.40q is in the file but nothing refers to it", fmt.Sprint(item))
		}
		if s.from != nil {
			return fmt.Errorf("storage %q is there twice", key)
		}
		var head [8]byte
		if _, err := file.ReadAt(head[:], at); err != nil {
			return fmt.Errorf("storage %q: truncated", key)
		}
		if n := binary.LittleEndian.Uint64(head[:]); n != uint64(s.size)/uint64(s.dtype.Size()) {
			return fmt.Errorf("storage %q has %d elements, the pickle says %d", key, n, s.size/int64(s.dtype.Size()))
		}
		at += 8
		if s.size > size-at {
			return fmt.Errorf("storage %q: truncated: it should have %d bytes", key, s.size)
		}
		s.from, s.begin = file, at
		at += s.size
	}
	for _, key := range l.order {
		if l.storages[key].from == nil {
			return fmt.Errorf("storage %q is not in the file", key)
		}
	}
	for v, s := range l.views {
		s.from, s.begin = file, v.whole.begin+v.offset*int64(s.dtype.Size())
	}
	return nil
}
