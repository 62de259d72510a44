package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer is the "BertNormalizer" of a tokenizer.json: the text clean-up of BERT.
type bertNormalizer struct {
	CleanText          bool  `json:"clean_text"`
	HandleChineseChars bool  `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"` // nil: as Lowercase says
	Lowercase          bool  `json:"lowercase"`
}

// uncased is the normalizer of bert-base-uncased.
func uncased() bertNormalizer {
	return bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true}
}

func (n *bertNormalizer) stripAccents() bool {
	if n.StripAccents != nil {
		return *n.StripAccents
	}
	return n.Lowercase
}

// normalize returns the text as the splitting into words wants it.
func (n *bertNormalizer) normalize(s string) string {
	if isPlainASCII(s) {
		// Captions are nearly all of this kind, and it takes a tenth of the time.
		if n.Lowercase {
			return strings.ToLower(s)
		}
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for _, r := range s { // an invalid byte comes out as U+FFFD, which cleaning removes
		if n.CleanText {
			if r == 0 || r == utf8.RuneError || isControl(r) {
				continue
			}
			if unicode.IsSpace(r) {
				r = ' '
			}
		}
		if n.HandleChineseChars && isChinese(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	s = b.String()
	if n.stripAccents() {
		b = strings.Builder{}
		for _, r := range norm.NFD.String(s) {
			if !unicode.Is(unicode.Mn, r) {
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if n.Lowercase {
		s = lower(s)
	}
	return s
}

func isPlainASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// lower lower-cases rune by rune, without regard to the place in the word (no final sigma).
func lower(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if r == 'İ' { // the only letter whose lower case is two runes
			b.WriteString("i̇")
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// isControl tells what cleaning removes: all of category C, but not the white space among it.
func isControl(r rune) bool {
	if r == '\t' || r == '\n' || r == '\r' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

// isChinese tells whether r is an ideograph, each of which is a word of its own. The gap
// before 0x2B920 (Unicode's block starts at 0x2B820) is in the reference implementation.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF ||
		r >= 0x3400 && r <= 0x4DBF ||
		r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F ||
		r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x2F800 && r <= 0x2FA1F
}

// isPunctuation tells whether r is a word of its own. All of ASCII that is neither letter nor
// digit counts, also $ and +, which Unicode calls symbols.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.IsPunct(r)
}

// bertWords calls word for each word of a normalized text: split at white space, with each
// punctuation mark apart.
func bertWords(s string, word func(string)) {
	start := -1
	flush := func(end int) {
		if start >= 0 {
			word(s[start:end])
			start = -1
		}
	}
	for i, r := range s {
		switch {
		case unicode.IsSpace(r):
			flush(i)
		case isPunctuation(r):
			flush(i)
			word(s[i : i+utf8.RuneLen(r)])
		case start < 0:
			start = i
		}
	}
	flush(len(s))
}
