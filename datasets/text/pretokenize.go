package text

import (
	"unicode"
	"unicode/utf8"
)

// gptWords calls word for each piece that GPT-2's pattern finds:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// Every byte of s is in exactly one piece. Written out by hand because Go's regexp has no
// look-ahead, and for speed.
func gptWords(s string, word func(string)) {
	for len(s) > 0 {
		n := contraction(s)
		if n == 0 {
			n = gptRun(s)
		}
		word(s[:n])
		s = s[n:]
	}
}

// contraction returns the length of an English contraction at the start of s, or 0.
func contraction(s string) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) > 2 {
		switch s[1:3] {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// gptClass is the class of a rune in GPT-2's pattern.
type gptClass int

const (
	classSpace gptClass = iota
	classLetter
	classNumber
	classOther
)

func classOf(r rune) gptClass {
	switch {
	case r < utf8.RuneSelf:
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			return classLetter
		case r == ' ' || r >= '\t' && r <= '\r':
			return classSpace
		case r >= '0' && r <= '9':
			return classNumber
		}
		return classOther
	case unicode.IsSpace(r):
		return classSpace
	case unicode.IsLetter(r):
		return classLetter
	case unicode.IsNumber(r):
		return classNumber
	}
	return classOther
}

// gptRun returns the length of the run of one class at the start of s, with at most one
// leading space.
func gptRun(s string) int {
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		if r, _ := utf8.DecodeRuneInString(s[1:]); classOf(r) != classSpace {
			start = 1
		}
	}
	r, size := utf8.DecodeRuneInString(s[start:])
	class := classOf(r)
	end, last := start+size, start
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if classOf(r) != class {
			// White space before a word leaves its last rune to that word.
			if class == classSpace && last > 0 {
				return last
			}
			return end
		}
		last = end
		end += size
	}
	return end
}

// byteRunes is GPT-2's alphabet: one printable rune for each byte. Printable bytes stand for
// themselves, the others for the runes from 256 on, in order.
var byteRunes = func() (table [256]rune) {
	next := rune(256)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			table[b] = rune(b)
			continue
		}
		table[b] = next
		next++
	}
	return table
}()

// runeBytes is the reverse of byteRunes.
var runeBytes = func() map[rune]byte {
	table := make(map[rune]byte, 256)
	for b, r := range byteRunes {
		table[r] = byte(b)
	}
	return table
}()

// unspell returns the bytes that a token in GPT-2's alphabet stands for. A token with runes outside the alphabet (an added token
// with a space in it, say) stands for itself.
func unspell(token string) string {
	bytes := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return token
		}
		bytes = append(bytes, b)
	}
	return string(bytes)
}
