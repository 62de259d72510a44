package text

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// decoder is the "decoder" of a tokenizer.json, or a part of it: tokens to stretches of text, which
// put together are the text. It may change the slice that it is given.
type decoder interface {
	decode(tokens []string) []string
}

// parseDecoder reads a "decoder"; nil means that there is none.
func parseDecoder(data json.RawMessage, left *parts) (decoder, error) {
	if err := left.take(); err != nil {
		return nil, err
	}
	switch kind := kindOf(data); kind {
	case "":
		return nil, nil
	case "Sequence":
		var sequence struct {
			Decoders []json.RawMessage `json:"decoders"`
		}
		if err := json.Unmarshal(data, &sequence); err != nil {
			return nil, err
		}
		var all sequenceDecoder
		for _, part := range sequence.Decoders {
			d, err := parseDecoder(part, left)
			if err != nil {
				return nil, err
			}
			if d != nil {
				all = append(all, d)
			}
		}
		return all, nil
	case "ByteLevel":
		return byteLevelDecoder{}, nil
	case "Fuse":
		return fuseDecoder{}, nil
	case "ByteFallback":
		return byteFallbackDecoder{}, nil
	case "WordPiece":
		d := &wordPieceDecoder{Prefix: continuation, Cleanup: true}
		return d, json.Unmarshal(data, d)
	case "BPEDecoder":
		d := &suffixDecoder{Suffix: wordSuffix}
		return d, json.Unmarshal(data, d)
	case "Strip":
		d := &stripDecoder{}
		return d, json.Unmarshal(data, d)
	case "Metaspace":
		m, err := parseMetaspace(data)
		return metaspaceDecoder{m}, err
	case "Replace":
		return parseReplace(data, left)
	default:
		return nil, fmt.Errorf("%q is not supported", kind)
	}
}

type sequenceDecoder []decoder

func (d sequenceDecoder) decode(tokens []string) []string {
	for _, part := range d {
		tokens = part.decode(tokens)
	}
	return tokens
}

// MarshalJSON implements json.Marshaler.
func (d sequenceDecoder) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Sequence", "decoders": []decoder(d)})
}

// wordPieceDecoder puts spaces between words, and takes those before punctuation away.
type wordPieceDecoder struct {
	Prefix  string `json:"prefix"`
	Cleanup bool   `json:"cleanup"`
}

func (d *wordPieceDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		if i > 0 {
			rest, inner := strings.CutPrefix(token, d.Prefix)
			if token = rest; !inner {
				token = " " + token
			}
		}
		if d.Cleanup {
			token = cleanUp(token, true)
		}
		tokens[i] = token
	}
	return tokens
}

// MarshalJSON implements json.Marshaler.
func (d *wordPieceDecoder) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "WordPiece", "prefix": d.Prefix, "cleanup": d.Cleanup})
}

// CleanUp takes the spaces away that splitting into words has put before punctuation and English
// contractions, as transformers does where clean_up_tokenization_spaces is set.
func CleanUp(s string) string { return cleanUp(s, false) }

// cleanUp goes over the text once for each pair, in this order: that is what the reference does,
// and "a . ' s" comes out differently otherwise. The decoder of WordPiece also knows "do not".
func cleanUp(s string, doNot bool) string {
	if !strings.Contains(s, " ") {
		return s
	}
	for _, pair := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		if doNot || pair[0] != " do not" {
			s = strings.ReplaceAll(s, pair[0], pair[1])
		}
	}
	return s
}

// byteLevelDecoder turns GPT-2's alphabet back into bytes. Bytes that are not UTF-8, which a model
// may well generate, come out as U+FFFD.
type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) []string {
	var out []byte
	for _, token := range tokens {
		out = appendUnspelt(out, token)
	}
	return append(tokens[:0], validUTF8(string(out)))
}

// MarshalJSON implements json.Marshaler.
func (byteLevelDecoder) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})
}

// validUTF8 replaces what is not UTF-8 by U+FFFD: one for the longest stretch that could have
// begun a character, as Unicode recommends and Rust and Python do, else one a byte.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r != utf8.RuneError || size > 1 {
			b.WriteString(s[:size])
			s = s[size:]
			continue
		}
		b.WriteRune(utf8.RuneError)
		s = s[truncated(s):]
	}
	return b.String()
}

// truncated returns how many bytes at the start of an invalid s are the beginning of a character.
func truncated(s string) int {
	for n := min(3, len(s)); n > 1; n-- {
		// A beginning is one that some continuation bytes make whole.
		for _, rest := range []string{"\x80", "\x80\x80"} {
			if r, size := utf8.DecodeRuneInString(s[:n] + rest); r != utf8.RuneError && size > n {
				return n
			}
		}
	}
	return 1
}

// metaspaceDecoder turns the mark of spaces into spaces.
type metaspaceDecoder struct{ metaspace }

func (d metaspaceDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		space := " "
		if i == 0 && d.scheme != prependNever {
			space = ""
		}
		tokens[i] = strings.ReplaceAll(token, d.mark, space)
	}
	return tokens
}

// suffixDecoder turns the mark of the ends of words into spaces, but for the last one.
type suffixDecoder struct {
	Suffix string `json:"suffix"`
}

func (d *suffixDecoder) decode(tokens []string) []string {
	for i, token := range tokens {
		space := " "
		if i == len(tokens)-1 {
			space = ""
		}
		if d.Suffix != "" {
			tokens[i] = strings.ReplaceAll(token, d.Suffix, space)
		}
	}
	return tokens
}

// MarshalJSON implements json.Marshaler.
func (d *suffixDecoder) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "BPEDecoder", "suffix": d.Suffix})
}

// fuseDecoder makes one token of all.
type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// MarshalJSON implements json.Marshaler.
func (fuseDecoder) MarshalJSON() ([]byte, error) { return marshalType("Fuse") }

// byteFallbackDecoder turns runs of tokens such as <0xE2> into text, each into U+FFFD where their
// bytes are not UTF-8.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) []string {
	var out []string
	var bytes []byte
	flush := func() {
		if utf8.Valid(bytes) {
			if len(bytes) > 0 {
				out = append(out, string(bytes))
			}
		} else {
			out = append(out, slices.Repeat([]string{string(utf8.RuneError)}, len(bytes))...)
		}
		bytes = bytes[:0]
	}
	for _, token := range tokens {
		if b, ok := byteOfToken(token); ok {
			bytes = append(bytes, b)
			continue
		}
		flush()
		out = append(out, token)
	}
	flush()
	return out
}

// MarshalJSON implements json.Marshaler.
func (byteFallbackDecoder) MarshalJSON() ([]byte, error) { return marshalType("ByteFallback") }

// stripDecoder takes a character away at the start and the end of each token, so many times.
type stripDecoder struct {
	Content string `json:"content"`
	Start   int    `json:"start"`
	Stop    int    `json:"stop"`
}

func (d *stripDecoder) decode(tokens []string) []string {
	if d.Content == "" {
		return tokens
	}
	for i, token := range tokens {
		for n := 0; n < d.Start && strings.HasPrefix(token, d.Content); n++ {
			token = token[len(d.Content):]
		}
		for n := 0; n < d.Stop && strings.HasSuffix(token, d.Content); n++ {
			token = token[:len(token)-len(d.Content)]
		}
		tokens[i] = token
	}
	return tokens
}

// MarshalJSON implements json.Marshaler.
func (d *stripDecoder) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": "Strip", "content": d.Content, "start": d.Start, "stop": d.Stop})
}
