package text

import (
	"encoding/json"
	"strings"
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
func uncased() *bertNormalizer {
	return &bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true}
}

func (n *bertNormalizer) stripAccents() bool {
	if n.StripAccents != nil {
		return *n.StripAccents
	}
	return n.Lowercase
}

// normalize implements normalizer.
func (n *bertNormalizer) normalize(s string) string {
	if isPlainASCII(s) {
		// Captions are nearly all of this kind, and it takes a tenth of the time.
		if n.Lowercase {
			return strings.ToLower(s)
		}
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for i, r := range s {
		class := classOf(r)
		switch {
		case n.CleanText && class&controlBit != 0:
		case n.CleanText && class&spaceBit != 0:
			out = append(out, ' ')
		case n.HandleChineseChars && isChinese(r):
			out = append(out, ' ')
			out = utf8.AppendRune(out, r)
			out = append(out, ' ')
		case r < utf8.RuneSelf:
			out = append(out, s[i])
		default:
			out = utf8.AppendRune(out, r) // an invalid byte comes out as U+FFFD
		}
	}
	s = string(out)
	if n.stripAccents() {
		out = out[:0]
		for _, r := range normalForm(norm.NFD, s) {
			if classOf(r)&markBit == 0 {
				out = utf8.AppendRune(out, r)
			}
		}
		if !n.Lowercase {
			return string(out)
		}
		s = string(out)
	}
	if n.Lowercase {
		s = string(appendLower(out[:0], s))
	}
	return s
}

// MarshalJSON implements json.Marshaler.
func (n *bertNormalizer) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"type": "BertNormalizer", "clean_text": n.CleanText, "handle_chinese_chars": n.HandleChineseChars,
		"strip_accents": n.StripAccents, "lowercase": n.Lowercase,
	})
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
func isPunctuation(r rune) bool { return classOf(r)&punctuationBit != 0 }

// bertWords calls word for each word of a normalized text: split at white space, with each
// punctuation mark apart.
func bertWords(s string, word func(string)) {
	start := -1
	for i, r := range s {
		class := classOf(r)
		if class&(spaceBit|punctuationBit) == 0 {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			word(s[start:i])
			start = -1
		}
		if class&punctuationBit != 0 {
			word(s[i : i+utf8.RuneLen(r)])
		}
	}
	if start >= 0 {
		word(s[start:])
	}
}
