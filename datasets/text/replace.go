package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// replacer is "Replace", which is a normalizer as well as a decoder: all that fits a string or a
// pattern becomes another string.
type replacer struct {
	raw     json.RawMessage
	text    string         // what is replaced, unless pattern is set
	pattern *regexp.Regexp // see compilePattern
	spaces  bool           // the pattern is \s+, which goes without it
	content string
}

// maxGrowth is how many times longer than what it replaces a replacement may be: a mark has three
// bytes, a space one.
const maxGrowth = 8

func parseReplace(data json.RawMessage, left *parts) (*replacer, error) {
	if left.replaces--; left.replaces < 0 {
		return nil, errors.New("too many parts that replace")
	}
	var file struct {
		Pattern struct {
			String *string
			Regex  *string
		} `json:"pattern"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	r := &replacer{raw: data, content: file.Content}
	switch {
	case file.Pattern.String != nil && *file.Pattern.String != "":
		r.text = *file.Pattern.String
	case file.Pattern.Regex != nil:
		var err error
		if r.pattern, err = compilePattern(*file.Pattern.Regex); err != nil {
			return nil, err
		}
		r.spaces = *file.Pattern.Regex == `\s+`
	default:
		return nil, errors.New("pattern is missing")
	}
	if len(r.content) > maxGrowth*max(1, len(r.text)) {
		return nil, fmt.Errorf("content %q is much longer than what it replaces", shorten(r.content))
	}
	return r, nil
}

func (r *replacer) decode(tokens []string) []string {
	for i, token := range tokens {
		tokens[i] = r.normalize(token)
	}
	return tokens
}

// shorten cuts a string of a foreign file for a message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// newSpaces makes one space of each run of white space.
func newSpaces() *replacer {
	r, err := parseReplace(json.RawMessage(`{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "}`), newParts())
	if err != nil {
		panic(err) // it compiles
	}
	return r
}

func (r *replacer) normalize(s string) string {
	if r.pattern == nil {
		return strings.ReplaceAll(s, r.text, r.content)
	}
	if r.spaces {
		return replaceSpaces(s, r.content)
	}
	if !r.pattern.MatchString(s) {
		return s
	}
	return r.pattern.ReplaceAllLiteralString(s, r.content)
}

// replaceSpaces replaces each run of white space.
func replaceSpaces(s, by string) string {
	var out []byte
	kept, inSpace := 0, false // s[:kept] is in out, unless that is nil and all is as it was
	for i, r := range s {
		space := r == ' ' || r != ' ' && (r < '!' || r > '~') && isSpace(r)
		if space && (inSpace || s[i:i+utf8.RuneLen(r)] != by || startsWithSpace(s[i+utf8.RuneLen(r):])) {
			out = append(out, s[kept:i]...)
			kept = i + utf8.RuneLen(r)
			if !inSpace {
				out = append(out, by...)
			}
		}
		inSpace = space
	}
	if kept == 0 {
		return s
	}
	return string(append(out, s[kept:]...))
}

func startsWithSpace(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isSpace(r)
}

// MarshalJSON implements json.Marshaler.
func (r *replacer) MarshalJSON() ([]byte, error) { return r.raw, nil }

// whiteSpace is what \s means to the reference. Go's \s is ASCII only.
const whiteSpace = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`

// maxPattern bounds the length of a pattern, of which a file needs a few characters.
const maxPattern = 256

// compilePattern compiles a pattern of the reference's regular expressions, as far as they mean
// the same in Go: everything but the escapes other than \s and those of punctuation.
func compilePattern(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("pattern of %d bytes", len(pattern))
	}
	var b strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch next := pattern[i]; {
			case next == 's' && inClass:
				b.WriteString(whiteSpace)
			case next == 's':
				b.WriteString("[" + whiteSpace + "]")
			case isPunctuation(rune(next)), next == 'n', next == 't', next == 'r':
				b.WriteByte('\\')
				b.WriteByte(next)
			default:
				return nil, fmt.Errorf(`pattern %q: \%c is not supported`, pattern, next)
			}
			continue
		case strings.HasPrefix(pattern[i:], "(?"), inClass && (c == '[' || c == '&'):
			return nil, fmt.Errorf("pattern %q is not supported", pattern)
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		}
		b.WriteByte(c)
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if re.MatchString("") {
		return nil, fmt.Errorf("pattern %q fits the empty string, which is not supported", pattern)
	}
	return re, nil
}
