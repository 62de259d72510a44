package meteor

import (
	"regexp"
	"strings"
	"unicode"
)

// letter is a character class of what counts as a letter; everything else that is no digit is punctuation.
const letter = `A-Za-zÀ-ÖØ-öø-žЀ-ԧ\x{1D00}-\x{1D7F}\x{A640}-\x{A66E}\x{A67E}-\x{A697}`

// Steps of normalisation, in their order. Each replaces from left to right what does not overlap, so that of three
// letters joined by two hyphens only the first pair comes apart.
var normalSteps = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`''`), ` " `},
	{regexp.MustCompile(`[^` + letter + `0-9\s\v.',-]`), ` $0 `},
	{regexp.MustCompile(`\.{2,}`), ` $0 `},
	{regexp.MustCompile(`([^0-9]),([^0-9])`), `$1 , $2`},
	{regexp.MustCompile(`([0-9]),([^0-9])`), `$1 , $2`},
	{regexp.MustCompile(`([^0-9]),([0-9])`), `$1 , $2`},
	{regexp.MustCompile(`--`), `-`},
	{regexp.MustCompile(`([` + letter + `0-9.])-([` + letter + `0-9])`), `$1 $2`},
	{regexp.MustCompile(`([^` + letter + `])'([^` + letter + `])`), `$1 ' $2`},
	{regexp.MustCompile(`([^` + letter + `0-9])'([` + letter + `])`), `$1 ' $2`},
	{regexp.MustCompile(`([` + letter + `])'([^` + letter + `])`), `$1 ' $2`},
	{regexp.MustCompile(`([` + letter + `])'([` + letter + `])`), `$1 '$2`},
	{regexp.MustCompile(`([0-9])'s`), `$1 's`},
}

// abbreviations keep their points; so do those of a number, if a number follows. Titles ("Mr") are not among them:
// captions are in lower case here.
var abbreviations = map[string]bool{"v": true, "vs": true, "rev": true, "pp": false}

var hasLetter = regexp.MustCompile(`[` + letter + `]`)

// normalize brings a caption in lower case to the form in which METEOR compares words, which are its fields.
func normalize(text string) []string {
	if plain(text) {
		return fields(text)
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '`' || r == '‘' || r == '’':
			return '\''
		case r == '“' || r == '”':
			return '"'
		case r == '\t' || r == '\f' || unicode.Is(unicode.Z, r):
			return ' '
		}
		return r
	}, text)
	text = strings.ReplaceAll(text, "–", " - ")
	text = " " + strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }) + " "
	for _, step := range normalSteps {
		text = step.find.ReplaceAllString(text, step.put)
	}
	words := fields(text)
	out := make([]string, 0, len(words))
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		out = append(out, fields(endPoint(word, next))...)
	}
	return out
}

// plain tells that a text is words of letters and digits alone, as most captions are.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == ' ') {
			return false
		}
	}
	return true
}

// endPoint takes the point behind a word off, unless it belongs to the word, and those within "u.s." away.
func endPoint(word, next string) string {
	before, ends := strings.CutSuffix(word, ".")
	if !ends || strings.Trim(word, ".") == "" {
		return word
	}
	if strings.Contains(before, ".") && hasLetter.MatchString(before) {
		return strings.ReplaceAll(word, ".", "")
	}
	always, known := abbreviations[before]
	switch {
	case always, next != "" && 'a' <= next[0] && next[0] <= 'z':
		return word
	case known && next != "" && '0' <= next[0] && next[0] <= '9':
		return word
	}
	return before + " ."
}

// fields splits at spaces; captions of other programs may hold stranger ones, which are characters of words.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' && r != '\v' })
}
