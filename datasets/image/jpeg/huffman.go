package jpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// lookupBits is the length up to which one look in a table decodes a code.
const lookupBits = 10

// huffman decodes one code.
type huffman struct {
	// lookup, by the next lookupBits bits: symbol<<8 | length of the code; 0: longer.
	lookup [1 << lookupBits]uint16
	// coefficient, by the same bits, where they hold the code and the value that
	// follows: value<<16 | zeros before it<<8 | bits of both; 0: they do not.
	coefficient [1 << lookupBits]int32

	// For longer codes (T.81, F.2.2.3): the largest code of each length,
	// aligned left in 16 bits, exclusive, and where its symbols start.
	limit   [18]uint32
	offset  [17]int32
	symbols []byte
}

func (d *decoder) readHuffman(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return errors.New("cut Huffman table")
		}
		class, index := body[0]>>4, body[0]&15
		if class > 1 || index > 3 {
			return fmt.Errorf("no such Huffman table: %d of class %d", index, class)
		}
		counts, n := body[1:17], 0
		for _, c := range counts {
			n += int(c)
		}
		if n > 256 || len(body) < 17+n {
			return errors.New("cut Huffman table")
		}
		table, err := newHuffman(counts, body[17:17+n])
		if err != nil {
			return err
		}
		if class == 0 {
			for _, s := range table.symbols {
				if s > 15 {
					return errors.New("a DC symbol of a Huffman table is over 15")
				}
			}
			d.dc[index] = table
		} else {
			d.ac[index] = table
		}
		body = body[17+n:]
	}
	return nil
}

// newHuffman builds the tables of a canonical code with counts[i] codes of length i+1.
func newHuffman(counts, symbols []byte) (*huffman, error) {
	h := &huffman{symbols: bytes.Clone(symbols)}
	code, k := 0, 0
	for length := 1; length <= 16; length++ {
		h.offset[length] = int32(k - code)
		for range counts[length-1] {
			if length <= lookupBits {
				first := code << (lookupBits - length)
				for i := range 1 << (lookupBits - length) {
					if first+i >= len(h.lookup) {
						return nil, errors.New("over-full Huffman code")
					}
					h.lookup[first+i] = uint16(symbols[k])<<8 | uint16(length)
				}
			}
			code++
			k++
		}
		if code > 1<<length {
			return nil, errors.New("over-full Huffman code")
		}
		h.limit[length] = uint32(code) << (16 - length)
		code <<= 1
	}
	h.limit[17] = 1 << 16
	for bits, entry := range h.lookup {
		length, run, size := int(entry&255), int(entry>>12), int(entry>>8&15)
		if length == 0 || size == 0 || length+size > lookupBits {
			continue
		}
		value := extend(int32(bits>>(lookupBits-length-size)&(1<<size-1)), size)
		h.coefficient[bits] = value<<16 | int32(run)<<8 | int32(length+size)
	}
	return h, nil
}

// extend gives the bits of a coefficient their sign (T.81, F.2.2.1).
func extend(v int32, size int) int32 {
	if size > 0 && v < 1<<(size-1) {
		v += -1<<size + 1
	}
	return v
}

// bitReader reads the bits of one restart interval, whose stuffed zeros have
// been taken out. Past the end it gives zeros; overrun tells.
type bitReader struct {
	data []byte // with padding behind the end
	end  int    // bytes without the padding
	pos  int
	acc  uint64 // the next bits, from the left
	n    int    // how many of them are valid
}

// padding lets fill read 8 bytes anywhere before the end.
const padding = 8

func (b *bitReader) reset(data []byte, end int) {
	*b = bitReader{data: data, end: end}
}

// fill makes at least 56 bits ready.
func (b *bitReader) fill() {
	if b.pos+8 <= len(b.data) {
		b.acc |= binary.BigEndian.Uint64(b.data[b.pos:]) >> b.n
	}
	b.pos += (63 - b.n) >> 3
	b.n |= 56
}

// overrun reports whether more bits were taken than there were.
func (b *bitReader) overrun() bool { return b.pos*8-b.n > b.end*8 }

// take returns the next size bits, at most 16.
func (b *bitReader) take(size int) int32 {
	if b.n < size {
		b.fill()
	}
	v := int32(b.acc >> 1 >> (63 - size))
	b.acc <<= size
	b.n -= size
	return v
}

// symbol decodes one symbol. A code that is none gives 0, and is seen later as
// an overrun or as wrong coefficients: bits have no redundancy to tell sooner.
func (b *bitReader) symbol(h *huffman) byte {
	if b.n < 16 {
		b.fill()
	}
	entry := h.lookup[b.acc>>(64-lookupBits)]
	length := int(entry & 255)
	symbol := byte(entry >> 8)
	if length == 0 {
		symbol, length = h.long(uint32(b.acc >> 48))
	}
	b.acc <<= length
	b.n -= length
	return symbol
}

// long decodes a code longer than lookupBits from 16 bits.
func (h *huffman) long(bits uint32) (symbol byte, length int) {
	length = lookupBits + 1
	for length <= 16 && bits >= h.limit[length] {
		length++
	}
	if length > 16 {
		return 0, 16
	}
	i := int32(bits>>(16-length)) + h.offset[length]
	if i < 0 || int(i) >= len(h.symbols) {
		return 0, 16
	}
	return h.symbols[i], length
}

// nextInterval brings the coded bytes up to the next marker into the bit reader.
func (d *decoder) nextInterval() {
	buf := d.unescape[:0]
	rest := d.data[d.pos:]
	for {
		i := bytes.IndexByte(rest, 0xff)
		if i < 0 || i+1 >= len(rest) {
			if i < 0 {
				i = len(rest)
			}
			buf = append(buf, rest[:i]...)
			rest = rest[len(rest):]
			break
		}
		if rest[i+1] != 0 {
			buf = append(buf, rest[:i]...)
			rest = rest[i:]
			break
		}
		buf = append(buf, rest[:i+1]...)
		rest = rest[i+2:]
	}
	d.pos = len(d.data) - len(rest)
	end := len(buf)
	buf = append(buf, make([]byte, padding)...)
	d.unescape = buf
	d.bits.reset(buf, end)
}

// restart passes the restart marker that must follow, the n-th of the scan.
func (d *decoder) restart(n int) error {
	for d.pos+1 < len(d.data) && d.data[d.pos] == 0xff && d.data[d.pos+1] == 0xff {
		d.pos++ // fill bytes
	}
	if d.pos+1 >= len(d.data) {
		return errTruncated
	}
	if d.data[d.pos] != 0xff || d.data[d.pos+1] != byte(rst0+n%8) {
		return errors.New("a restart marker is missing")
	}
	d.pos += 2
	d.nextInterval()
	d.eobRun = 0
	for i := range d.components {
		d.components[i].predDC = 0
	}
	return nil
}
