package image

import "math/bits"

// The codes of deflate (RFC 1951, 3.2) as tables that one or two looks decode.

// An entry of a code's table: what the next bits mean.
//
//	bits 0..3   length of the code
//	bits 4..7   extra bits that follow (lengths, distances), or bits of a sub-table
//	bits 8..11  kind
//	bits 16..   literal, base value, or where the sub-table starts
//
// Zero is no code.
const (
	kindLiteral = 1 << 8
	kindBase    = 2 << 8
	kindEnd     = 3 << 8
	kindSub     = 4 << 8
	kindMask    = 15 << 8
)

const (
	literalBits  = 10 // of the first look
	distanceBits = 8
	maxCode      = 15
)

// symbolEntries are the entries of the symbols without their code's length.
var literalEntries, distanceEntries = func() (literal [288]uint32, distance [32]uint32) {
	for i := range 256 {
		literal[i] = kindLiteral | uint32(i)<<16
	}
	literal[256] = kindEnd
	base := uint32(3)
	for i := range uint32(28) { // symbols 257..284
		extra := uint32(0)
		if i >= 8 {
			extra = i/4 - 1
		}
		literal[257+i] = kindBase | extra<<4 | base<<16
		base += 1 << extra
	}
	literal[285] = kindBase | 258<<16
	base = 1
	for i := range uint32(30) {
		extra := uint32(0)
		if i >= 4 {
			extra = i/2 - 1
		}
		distance[i] = kindBase | extra<<4 | base<<16
		base += 1 << extra
	}
	return
}()

// codeTable decodes one code: a first table by the next bits and, for codes that
// are longer, sub-tables behind it.
type codeTable struct {
	entries []uint32
	first   int // bits
}

// build makes the table of a canonical code. An incomplete code is allowed if
// it has at most one symbol, as zlib does.
func (t *codeTable) build(lengths []byte, symbols []uint32, first int) error {
	var count [maxCode + 1]int
	longest := 0
	for _, l := range lengths {
		count[l]++
		longest = max(longest, int(l))
	}
	var next [maxCode + 2]int
	left := 1
	for l := 1; l <= maxCode; l++ {
		left = left<<1 - count[l]
		if left < 0 {
			return errDeflate
		}
		next[l+1] = (next[l] + count[l]) << 1
	}
	if left > 0 && longest > 1 {
		return errDeflate
	}
	t.first = first
	t.entries = append(t.entries[:0], make([]uint32, 1<<first)...)
	for symbol, l := range lengths {
		length := int(l)
		if length == 0 {
			continue
		}
		code := int(bits.Reverse16(uint16(next[length])) >> (16 - length))
		next[length]++
		if length <= first {
			for i := code; i < 1<<first; i += 1 << length {
				t.entries[i] = symbols[symbol] | uint32(length)
			}
			continue
		}
		head, sub := code&(1<<first-1), longest-first
		if t.entries[head] == 0 {
			t.entries[head] = kindSub | uint32(len(t.entries))<<16 | uint32(sub)<<4 | uint32(first)
			t.entries = append(t.entries, make([]uint32, 1<<sub)...)
		}
		at := int(t.entries[head] >> 16)
		for i := code >> first; i < 1<<sub; i += 1 << (length - first) {
			t.entries[at+i] = symbols[symbol] | uint32(length-first)
		}
	}
	return nil
}
