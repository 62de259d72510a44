package text

import (
	"strings"
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

// wordClass is the class of a rune in GPT-2's pattern.
func wordClass(r rune) runeClass {
	return classOf(r) & (spaceBit | letterBit | numberBit)
}

// gptRun returns the length of the run of one class at the start of s, with at most one
// leading space.
func gptRun(s string) int {
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		if r, _ := utf8.DecodeRuneInString(s[1:]); wordClass(r) != spaceBit {
			start = 1
		}
	}
	r, size := utf8.DecodeRuneInString(s[start:])
	class := wordClass(r)
	end, last := start+size, start
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if wordClass(r) != class {
			// White space before a word leaves its last rune to that word.
			if class == spaceBit && last > 0 {
				return last
			}
			return end
		}
		last = end
		end += size
	}
	return end
}

// clipSpecials are words of their own in the pattern of newer CLIP tokenizers.
var clipSpecials = [...]string{"<|startoftext|>", "<|endoftext|>"}

// clipWords calls word for each piece that CLIP's pattern finds:
//
//	<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
//
// Without specials, the first two are not in it. White space is in no piece. CLIP splits each
// piece again by GPT-2's pattern, which only does something to the first two.
func clipWords(s string, specials bool, word func(string)) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if specials && r == '<' {
			if special := clipSpecial(s[i:]); special != "" {
				gptWords(special, word)
				i += len(special)
				continue
			}
		}
		end := i + contraction(s[i:])
		if end == i {
			class := wordClass(r)
			end += size
			for class != numberBit && end < len(s) {
				r, size := utf8.DecodeRuneInString(s[end:])
				if wordClass(r) != class {
					break
				}
				end += size
			}
			if class == spaceBit {
				i = end
				continue
			}
		}
		word(s[i:end])
		i = end
	}
}

func clipSpecial(s string) string {
	for _, special := range clipSpecials {
		if strings.HasPrefix(s, special) {
			return special
		}
	}
	return ""
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

// shiftedBytes are the bytes that stand for the runes from 256 on.
var shiftedBytes = func() (table []byte) {
	for b, r := range byteRunes {
		if r >= 256 {
			table = append(table, byte(b))
		}
	}
	return table
}()

// appendUnspelt appends the bytes that a token in GPT-2's alphabet stands for. A token with runes
// outside the alphabet (an added token with a space in it, say) stands for itself.
func appendUnspelt(dst []byte, token string) []byte {
	first := len(dst)
	for _, r := range token {
		b, ok := byteOfRune(r)
		if !ok {
			return append(dst[:first], token...)
		}
		dst = append(dst, b)
	}
	return dst
}

// byteOfRune is the reverse of byteRunes.
func byteOfRune(r rune) (byte, bool) {
	if r < 256 && byteRunes[r&0xFF] == r {
		return byte(r), true
	}
	if int(r)-256 < len(shiftedBytes) && r >= 256 {
		return shiftedBytes[r-256], true
	}
	return 0, false
}
