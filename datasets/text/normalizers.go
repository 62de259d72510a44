package text

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// normalizer is the "normalizer" of a tokenizer.json: what is done to a text before it is split.
type normalizer interface {
	normalize(s string) string
}

// normalizeWith normalizes, if there is a normalizer.
func normalizeWith(n normalizer, s string) string {
	if n == nil {
		return s
	}
	return n.normalize(s)
}

// parts counts down how many parts a sequence may still have, those of sequences in it included:
// a few in files of good will, and a hostile one could swell a text with them.
type parts struct{ all, replaces int }

func newParts() *parts { return &parts{all: 32, replaces: 4} }

func (p *parts) take() error {
	if p.all--; p.all < 0 {
		return errors.New("too many parts")
	}
	return nil
}

// parseNormalizer reads a "normalizer"; nil means none.
func parseNormalizer(data json.RawMessage, left *parts) (normalizer, error) {
	if err := left.take(); err != nil {
		return nil, err
	}
	kind := kindOf(data)
	switch kind {
	case "":
		return nil, nil
	case "Sequence":
		var sequence struct {
			Normalizers []json.RawMessage `json:"normalizers"`
		}
		if err := json.Unmarshal(data, &sequence); err != nil {
			return nil, err
		}
		var all sequenceNormalizer
		for _, part := range sequence.Normalizers {
			n, err := parseNormalizer(part, left)
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		return all, nil
	case "NFC", "NFD", "NFKC", "NFKD":
		return formNormalizer(kind), nil
	case "Lowercase":
		return lowercaseNormalizer{}, nil
	case "Nmt":
		return nmtNormalizer{}, nil
	case "StripAccents":
		return stripAccentsNormalizer{}, nil
	case "BertNormalizer":
		return parsePart(data, &bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true})
	case "Strip":
		return parsePart(data, &stripNormalizer{})
	case "Prepend":
		return parsePart(data, &prependNormalizer{})
	case "Replace":
		return parseReplace(data, left)
	case "Precompiled":
		var file struct {
			Map *string `json:"precompiled_charsmap"`
		}
		if err := json.Unmarshal(data, &file); err != nil {
			return nil, err
		}
		if file.Map == nil {
			return nil, errors.New("precompiled_charsmap is missing")
		}
		raw, err := base64.StdEncoding.DecodeString(*file.Map)
		if err != nil {
			return nil, fmt.Errorf("precompiled_charsmap: %w", err)
		}
		return readCharsmap(raw)
	}
	return nil, fmt.Errorf("%q is not supported", kind)
}

func parsePart[T normalizer](data []byte, n T) (normalizer, error) {
	err := json.Unmarshal(data, n)
	return n, err
}

// sequenceNormalizer applies one after the other.
type sequenceNormalizer []normalizer

func (n sequenceNormalizer) normalize(s string) string {
	for _, part := range n {
		s = part.normalize(s)
	}
	return s
}

// MarshalJSON implements json.Marshaler.
func (n sequenceNormalizer) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Sequence", "normalizers": []normalizer(n)})
}

// formNormalizer is a Unicode normalization form by its name.
type formNormalizer string

func (n formNormalizer) normalize(s string) string {
	return normalForm(map[formNormalizer]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}[n], s)
}

// MarshalJSON implements json.Marshaler.
func (n formNormalizer) MarshalJSON() ([]byte, error) { return marshalType(string(n)) }

// marshalType writes a part that has nothing but its type.
func marshalType(kind string) ([]byte, error) { return json.Marshal(map[string]string{"type": kind}) }

type lowercaseNormalizer struct{}

func (lowercaseNormalizer) normalize(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return string(appendLower(make([]byte, 0, len(s)+8), s))
}

// MarshalJSON implements json.Marshaler.
func (lowercaseNormalizer) MarshalJSON() ([]byte, error) { return marshalType("Lowercase") }

// nmtNormalizer cleans as SentencePiece's nmt_nfkc does before it normalizes.
type nmtNormalizer struct{}

func (nmtNormalizer) normalize(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0xB, r >= 0xE && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return -1
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	}, s)
}

// MarshalJSON implements json.Marshaler.
func (nmtNormalizer) MarshalJSON() ([]byte, error) { return marshalType("Nmt") }

// stripNormalizer takes white space away at the ends.
type stripNormalizer struct {
	Left  bool `json:"strip_left"`
	Right bool `json:"strip_right"`
}

func (n *stripNormalizer) normalize(s string) string {
	if n.Left {
		s = strings.TrimLeftFunc(s, isSpace)
	}
	if n.Right {
		s = strings.TrimRightFunc(s, isSpace)
	}
	return s
}

// MarshalJSON implements json.Marshaler.
func (n *stripNormalizer) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Strip", "strip_left": n.Left, "strip_right": n.Right})
}

// prependNormalizer puts a string in front of a text that is not empty.
type prependNormalizer struct {
	Prepend string `json:"prepend"`
}

func (n *prependNormalizer) normalize(s string) string {
	if s == "" {
		return s
	}
	return n.Prepend + s
}

// MarshalJSON implements json.Marshaler.
func (n *prependNormalizer) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Prepend", "prepend": n.Prepend})
}

// stripAccentsNormalizer takes combining marks away; an NFD before it makes them of accents.
type stripAccentsNormalizer struct{}

func (stripAccentsNormalizer) normalize(s string) string {
	return strings.Map(func(r rune) rune {
		if classOf(r)&combiningBit != 0 {
			return -1
		}
		return r
	}, s)
}

// MarshalJSON implements json.Marshaler.
func (stripAccentsNormalizer) MarshalJSON() ([]byte, error) { return marshalType("StripAccents") }
