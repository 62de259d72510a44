package text

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// spaceMark is how SentencePiece writes a space inside of tokens.
const spaceMark = "\u2581"

// prependScheme says where a mark is put in front of a text that has none.
type prependScheme string

const (
	prependAlways prependScheme = "always"
	prependFirst  prependScheme = "first" // only at the very start of the text
	prependNever  prependScheme = "never"
)

// metaspace is "Metaspace": spaces become marks, and each mark starts a word.
type metaspace struct {
	mark   string
	scheme prependScheme
	apart  bool // each mark starts a word; else only each stretch of text does
}

// parseMetaspace reads a pre_tokenizer or decoder of this kind. Files of different age say
// prepend_scheme, or add_prefix_space, or both; str_rep only repeats the replacement.
func parseMetaspace(data []byte) (metaspace, error) {
	var file struct {
		Replacement    *string        `json:"replacement"`
		AddPrefixSpace *bool          `json:"add_prefix_space"`
		PrependScheme  *prependScheme `json:"prepend_scheme"`
		Split          *bool          `json:"split"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return metaspace{}, err
	}
	m := metaspace{mark: spaceMark, scheme: prependAlways, apart: true}
	if file.Replacement != nil {
		m.mark = *file.Replacement
	}
	if utf8.RuneCountInString(m.mark) != 1 {
		return m, fmt.Errorf("replacement %q is not one character", m.mark)
	}
	if file.PrependScheme != nil {
		m.scheme = *file.PrependScheme
	}
	if file.AddPrefixSpace != nil && !*file.AddPrefixSpace {
		if file.PrependScheme != nil && m.scheme != prependNever {
			return m, fmt.Errorf("add_prefix_space is false, but prepend_scheme is %q", m.scheme)
		}
		m.scheme = prependNever
	}
	switch m.scheme {
	case prependAlways, prependFirst, prependNever:
	default:
		return m, fmt.Errorf("prepend_scheme %q is not known", m.scheme)
	}
	if file.Split != nil {
		m.apart = *file.Split
	}
	return m, nil
}

// MarshalJSON implements json.Marshaler.
func (m metaspace) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Metaspace", "replacement": m.mark, "prepend_scheme": m.scheme, "split": m.apart})
}

// spacePreTokenizer is T5's pre_tokenizer: words apart at white space (or the text as a whole),
// with marks for spaces.
type spacePreTokenizer struct {
	metaspace
	words bool // WhitespaceSplit comes first
}

// parseSpacePreTokenizer reads Metaspace, or a sequence of WhitespaceSplit and Metaspace.
func parseSpacePreTokenizer(data json.RawMessage) (spacePreTokenizer, error) {
	var p spacePreTokenizer
	parts := []json.RawMessage{data}
	if kindOf(data) == "Sequence" {
		var sequence struct {
			Pretokenizers []json.RawMessage `json:"pretokenizers"`
		}
		if err := json.Unmarshal(data, &sequence); err != nil {
			return p, err
		}
		parts = sequence.Pretokenizers
	}
	if len(parts) == 2 && kindOf(parts[0]) == "WhitespaceSplit" {
		p.words = true
		parts = parts[1:]
	}
	if len(parts) != 1 || kindOf(parts[0]) != "Metaspace" {
		return p, fmt.Errorf("%q is not supported for Unigram (Metaspace is, alone or after WhitespaceSplit)", kindOf(data))
	}
	var err error
	p.metaspace, err = parseMetaspace(parts[0])
	return p, err
}

// MarshalJSON implements json.Marshaler.
func (p spacePreTokenizer) MarshalJSON() ([]byte, error) {
	if !p.words {
		return json.Marshal(p.metaspace)
	}
	return json.Marshal(map[string]any{"type": "Sequence", "pretokenizers": []any{map[string]string{"type": "WhitespaceSplit"}, p.metaspace}})
}

// split calls word for each word of a normalized text, marks included. Words that start before first
// are at the very start of the text.
func (p *spacePreTokenizer) split(s string, first int, word func(string)) {
	// All words are written one behind the other before they are cut apart, for one allocation.
	var place [256]byte
	marked := place[:0]
	var ends [32]int
	cuts := ends[:0]
	field := func(start, end int) {
		if start == end {
			return
		}
		if !startsWithMark(s[start:end], p.mark) && (p.scheme == prependAlways || p.scheme == prependFirst && start < first) {
			marked = append(marked, p.mark...)
		}
		for i := start; i < end; i++ {
			if s[i] == ' ' {
				marked = append(marked, p.mark...)
			} else {
				marked = append(marked, s[i])
			}
		}
		cuts = append(cuts, len(marked))
	}
	if p.words {
		start := 0
		for i, r := range s {
			if isSpace(r) {
				field(start, i)
				start = i + utf8.RuneLen(r)
			}
		}
		field(start, len(s))
	} else {
		field(0, len(s))
	}
	all, start := string(marked), 0
	for _, end := range cuts {
		for start < end {
			next := end
			if p.apart {
				_, size := utf8.DecodeRuneInString(all[start:end])
				if i := strings.Index(all[start+size:end], p.mark); i >= 0 {
					next = start + size + i
				}
			}
			word(all[start:next])
			start = next
		}
	}
}

// startsWithMark tells whether a word has its mark: a space becomes one.
func startsWithMark(s, mark string) bool { return s[0] == ' ' || strings.HasPrefix(s, mark) }
