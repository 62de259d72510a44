package eval

import (
	"slices"
	"strings"
	"unicode"
)

// Tokenize splits a caption into the tokens that caption metrics count and joins them by single spaces: lower case,
// contractions and possessives split (is n't, dog 's, can not), punctuation dropped.
//
// It follows the Penn Treebank rules of the tokeniser behind the published scores as far as ordinary English captions
// need them: of 3,224 real captions, half of them chosen to be hard for a tokeniser, 3,218 come out the same
// (TestTokenizeShare). Fractions, dates, web addresses, emoticons and other scripts are not treated specially.
func Tokenize(caption string) string {
	var tokens []string
	for _, chunk := range strings.Fields(strings.ToLower(caption)) {
		tokens = appendChunk(tokens, []rune(chunk))
	}
	return strings.Join(tokens, " ")
}

// droppedTokens do not count. Brackets are written -lrb- and so on; the reference program compares them in upper case
// after lowering the text and so keeps them.
var droppedTokens = map[string]bool{
	"''": true, "'": true, "``": true, "`": true, ".": true, "?": true, "!": true, ",": true, ":": true, "-": true,
	"--": true, "...": true, ";": true,
}

var brackets = map[rune]string{
	'(': "-lrb-", ')': "-rrb-", '[': "-lsb-", ']': "-rsb-", '{': "-lcb-", '}': "-rcb-",
}

// appendChunk appends the tokens of a piece of text without white space.
func appendChunk(tokens []string, chunk []rune) []string {
	for len(chunk) > 0 {
		n := wordLength(chunk)
		if n > 0 {
			tokens = append(tokens, splitContraction(string(chunk[:n]))...)
			chunk = chunk[n:]
			continue
		}
		if n = suffixLength(chunk); n > 0 { // 's after a closing quote or a number of its own
			tokens = append(tokens, string(chunk[:n]))
			chunk = chunk[n:]
			continue
		}
		n = 1
		for n < len(chunk) && isRepeated(chunk[0], chunk[n]) {
			n++
		}
		token := string(chunk[:n])
		switch {
		case brackets[chunk[0]] != "":
			token = brackets[chunk[0]]
		case strings.ContainsRune("\"“”„", chunk[0]):
			token = "''"
		case strings.ContainsRune("‘’", chunk[0]):
			token = "'"
		case strings.ContainsRune("–—", chunk[0]):
			token = "--"
		case chunk[0] == '-' || chunk[0] == '.':
			token = "..." // dropped, however many
		}
		if !droppedTokens[token] {
			tokens = append(tokens, token)
		}
		chunk = chunk[n:]
	}
	return tokens
}

// isRepeated tells whether a run of marks is one token: "!!!" and "?!" are, and count, unlike a single mark.
func isRepeated(first, next rune) bool {
	if first == '!' || first == '?' {
		return next == '!' || next == '?'
	}
	return next == first && strings.ContainsRune("-.'`", first)
}

// wordLength returns how many runes at the start of chunk are one word, with its inner hyphens, points and so on; 0 if
// it does not start with one.
func wordLength(chunk []rune) int {
	n := 0
	for n < len(chunk) {
		switch c := chunk[n]; {
		case isWordRune(c):
			n++
			continue
		case n == 0 || n+1 >= len(chunk) || !isWordRune(chunk[n+1]):
		case strings.ContainsRune("-./", c), isApostrophe(c):
			n++
			continue
		case c == ':' && unicode.IsDigit(chunk[n-1]) && unicode.IsDigit(chunk[n+1]):
			n++
			continue
		case c == ',' && unicode.IsDigit(chunk[n-1]) && groupOfThree(chunk[n+1:]):
			n++
			continue
		}
		break
	}
	if n > 0 && n < len(chunk) && chunk[n] == '.' && isAbbreviation(string(chunk[:n])) {
		n++
	}
	return n
}

func isWordRune(c rune) bool {
	return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c) || c == '_'
}

func isApostrophe(c rune) bool { return c == '\'' || c == '’' }

// groupOfThree tells whether exactly three digits come next, as after the comma of 1,000.
func groupOfThree(chunk []rune) bool {
	digits := 0
	for digits < len(chunk) && unicode.IsDigit(chunk[digits]) {
		digits++
	}
	return digits == 3
}

// abbreviations keep their point: mostly titles, streets and directions, as they occur in captions.
var abbreviations = strings.Fields(`mr mrs ms dr st ave blvd rd ct ft jr sr etc vs inc ltd co corp penn ky mt prof
	rev gen sgt lt capt hon jan feb aug sept oct nov dec`)

// isAbbreviation tells whether a point after word belongs to it: a single letter, letters with points (u.s), or a
// known abbreviation.
func isAbbreviation(word string) bool {
	if slices.Contains(abbreviations, word) {
		return true
	}
	for part := range strings.SplitSeq(word, ".") {
		if len(part) != 1 || part[0] < 'a' || part[0] > 'z' {
			return false
		}
	}
	return true
}

// suffixes are the endings that become tokens of their own.
var suffixes = []string{"'s", "'m", "'d", "'ll", "'re", "'ve"}

// suffixLength returns the length of the suffix at the start of chunk if nothing but it and marks follow, else 0.
func suffixLength(chunk []rune) int {
	for _, suffix := range suffixes {
		n := len(suffix)
		if len(chunk) >= n && string(chunk[:n]) == suffix && (len(chunk) == n || !isWordRune(chunk[n])) {
			return n
		}
	}
	return 0
}

// joinedWords are written as one word and counted as two.
var joinedWords = map[string][]string{
	"cannot": {"can", "not"}, "gonna": {"gon", "na"}, "gotta": {"got", "ta"}, "wanna": {"wan", "na"},
	"gimme": {"gim", "me"}, "lemme": {"lem", "me"}, "'tis": {"'t", "is"}, "'twas": {"'t", "was"},
}

// splitContraction splits is n't, dog 's and the like. Of other words with an apostrophe only o'clock, o'neill and the
// like stay whole.
func splitContraction(word string) []string {
	word = strings.ReplaceAll(word, "’", "'")
	if parts := joinedWords[word]; parts != nil {
		return parts
	}
	if stem, ok := strings.CutSuffix(word, "n't"); ok && stem != "" {
		return []string{stem, "n't"}
	}
	for _, suffix := range suffixes {
		if stem, ok := strings.CutSuffix(word, suffix); ok && stem != "" {
			return []string{stem, suffix}
		}
	}
	if strings.HasPrefix(word, "o'") {
		return []string{word}
	}
	return strings.FieldsFunc(word, isApostrophe)
}
