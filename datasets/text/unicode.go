package text

import (
	_ "embed" // for unicode.bin
	"encoding/binary"
	"unicode/utf8"
)

// unicodeData is what the Python package holds of each code point; scripts/golden_unicode.py makes
// it and describes the layout. Go's own tables are of another Unicode version, and the package's
// libraries are of several, so only asking it gives equal ids for rare and new characters.
//
//go:embed unicode.bin
var unicodeData []byte

// runeClass is what is known of a code point: bits, and in bits 8 to 11 its grapheme class.
type runeClass uint16

const (
	spaceBit       runeClass = 1 << iota // white space
	letterBit                            // \p{L}
	numberBit                            // \p{N}
	punctuationBit                       // a word of its own for BERT
	controlBit                           // removed by BERT's cleaning
	markBit                              // a mark above, below or through a letter: removed with the accents
	wordBit                              // \w
	inertBit                             // normalization forms leave it alone, whatever is beside it

	graphemeShift           = 8
	consonantBit  runeClass = 1 << 12 // Indic: conjuncts of consonants are one grapheme
	linkerBit     runeClass = 1 << 13
	combiningBit  runeClass = 1 << 14 // any mark
)

// pageBits is the number of low bits of a code point that select within a page.
const pageBits = 7

// runeTable maps code points to classes: most pages of 128 code points are equal to another one
// and share its place.
type runeTable struct {
	page    [0x110000 >> pageBits]uint16
	classes []runeClass
	lower   map[rune]string // what letters become in lower case
}

var runes = loadRunes(unicodeData)

// loadRunes reads unicode.bin.
func loadRunes(data []byte) *runeTable {
	next := func() int {
		n, size := binary.Uvarint(data)
		data = data[size:]
		return int(n)
	}
	t := &runeTable{lower: map[rune]string{}}
	seen := map[[1 << pageBits]runeClass]uint16{}
	var current [1 << pageBits]runeClass
	left, class := 0, runeClass(0)
	for p := range t.page {
		for i := range current {
			if left == 0 {
				left, class = next(), runeClass(next())
			}
			current[i] = class
			left--
		}
		number, ok := seen[current]
		if !ok {
			number = uint16(len(seen))
			seen[current] = number
			t.classes = append(t.classes, current[:]...)
		}
		t.page[p] = number
	}
	code := rune(0)
	for range next() {
		code += rune(next())
		to := ""
		for range next() {
			to += string(rune(next()))
		}
		t.lower[code] = to
	}
	return t
}

// classOf returns the class of a rune, 0 for what is no code point.
func classOf(r rune) runeClass {
	if uint32(r) > utf8.MaxRune {
		return 0
	}
	return runes.classes[int(runes.page[r>>pageBits])<<pageBits|int(r)&(1<<pageBits-1)]
}

func isSpace(r rune) bool { return classOf(r)&spaceBit != 0 }

// isPlainASCII tells whether s is all printable ASCII, as nearly all captions are.
func isPlainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendLower appends s in lower case: rune by rune, without regard to the place in the word (no
// final sigma).
func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if to, ok := runes.lower[r]; ok && size > 1 {
			dst = append(dst, to...)
		} else {
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
