package text

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// charsmap is SentencePiece's precompiled normalization: a trie (a double array, as the Darts
// library lays it out) from what is replaced to places in one string of all replacements, each of
// which ends in a zero byte.
type charsmap struct {
	data         []byte // as in the file, to be written back
	units        []uint32
	replacements string
	ascii        [utf8.RuneSelf]bool // single ASCII characters that are replaced
}

// readCharsmap reads the bytes of a precompiled_charsmap: the size of the trie, the trie, the
// replacements.
func readCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, errors.New("precompiled_charsmap is cut short")
	}
	size := binary.LittleEndian.Uint32(data)
	if size == 0 || size%4 != 0 || uint64(size) > uint64(len(data)-4) {
		return nil, fmt.Errorf("precompiled_charsmap: trie of %d bytes in a map of %d", size, len(data))
	}
	c := &charsmap{data: data, units: make([]uint32, size/4)}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	rest := data[4+size:]
	if !utf8.Valid(rest) {
		return nil, errors.New("precompiled_charsmap: replacements are not UTF-8")
	}
	if n := len(rest); n > 0 && rest[n-1] != 0 {
		return nil, errors.New("precompiled_charsmap: the last replacement has no end")
	}
	for _, to := range bytes.Split(rest, []byte{0}) {
		if len(to) > maxReplacement {
			return nil, fmt.Errorf("precompiled_charsmap: a replacement has %d bytes", len(to))
		}
	}
	c.replacements = string(rest)
	for b := range utf8.RuneSelf {
		_, c.ascii[b] = c.find(string(rune(b)))
	}
	return c, nil
}

// MarshalJSON implements json.Marshaler.
func (c *charsmap) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Precompiled", "precompiled_charsmap": c.data})
}

// find returns what replaces the shortest beginning of s that the trie holds. The shortest: so
// says the reference, whose ids count.
func (c *charsmap) find(s string) (replacement string, ok bool) {
	node := unitOffset(c.units[0])
	for i := 0; i < len(s) && s[i] != 0; i++ {
		node ^= uint32(s[i])
		if uint64(node) >= uint64(len(c.units)) {
			return "", false
		}
		unit := c.units[node]
		if unit&(1<<31|0xFF) != uint32(s[i]) {
			return "", false
		}
		node ^= unitOffset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if uint64(node) >= uint64(len(c.units)) {
			return "", false
		}
		at := c.units[node] & (1<<31 - 1)
		if uint64(at) >= uint64(len(c.replacements)) || !utf8.RuneStart(c.replacements[at]) {
			return "", false
		}
		rest := c.replacements[at:]
		return rest[:indexZero(rest)], true
	}
	return "", false
}

func indexZero(s string) int {
	for i := range len(s) {
		if s[i] == 0 {
			return i
		}
	}
	return len(s)
}

// unitOffset is where the children of a trie node are, relative to it.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// maxReplacement is the bound in bytes of what one character may become: several times what the
// longest ligature does.
const maxReplacement = 128

// maxReplaced is the size in bytes from which on a grapheme is not replaced as a whole.
const maxReplaced = 6

// normalize implements normalizer: graphemes that are short enough are replaced as a whole,
// others character by character.
func (c *charsmap) normalize(s string) string {
	done := 0 // s[:done] is not changed
	for done < len(s) && s[done] < utf8.RuneSelf && !c.ascii[s[done]] && !joinsNext(s, done) {
		done++
	}
	if done == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)+16), s[:done]...)
	for i := done; i < len(s); {
		size := 1
		if s[i] >= utf8.RuneSelf || joinsNext(s, i) {
			size = graphemeLen(s[i:])
		} else if !c.ascii[s[i]] {
			out = append(out, s[i])
			i++
			continue
		}
		part := s[i : i+size]
		i += size
		if size < maxReplaced {
			if to, ok := c.find(part); ok {
				out = append(out, to...)
				continue
			}
		}
		for len(part) > 0 {
			_, n := utf8.DecodeRuneInString(part)
			if to, ok := c.find(part[:n]); ok {
				out = append(out, to...)
			} else {
				out = append(out, part[:n]...)
			}
			part = part[n:]
		}
	}
	if bytes.Equal(out, []byte(s)) {
		return s
	}
	return string(out)
}

// joinsNext tells whether the ASCII character at i may be one grapheme with what follows.
func joinsNext(s string, i int) bool {
	return i+1 < len(s) && (s[i+1] >= utf8.RuneSelf || s[i] == '\r')
}
