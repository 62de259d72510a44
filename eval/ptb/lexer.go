package ptb

import (
	"regexp"
	"strings"
)

// lexer cuts a text into tokens: at each position the rule with the longest match wins, the first of equally long ones.
type lexer struct {
	text  []rune
	shape []byte // of text, see shapeOf, and a space: the line's end
	next  []byte // the shape of the line behind, for rules that look ahead

	noShortCut bool // for tests
}

// A rule finds a token at a position. It returns how many characters it matches with what must follow the token, which
// decides among rules, and how many of them are the token; 0, 0 if it does not match.
type rule struct {
	first string // the shapes it may start with; empty: any
	needs string // one of these must stand somewhere before the next white space; empty: nothing
	match func(l *lexer, at int) (matched, taken int)
	// write turns the token's text into what the reference program prints; nil: as it is.
	write func(token []rune) string
}

// tokens returns all tokens, in lower case, punctuation included.
func (l *lexer) tokens(out []string) []string {
	var holds shapeSet // of the text up to the white space at end
	end := 0
	for at := 0; at < len(l.text); {
		if isSpace(l.shape[at]) {
			at++
			continue
		}
		if n := l.plainWord(at); n > 0 {
			out = append(out, strings.ToLower(string(l.text[at:at+n])))
			at += n
			continue
		}
		if at >= end {
			holds, end = l.chunk(at)
		}
		best, bestTaken := 0, 0
		var winner *rule
		for _, r := range rulesFor(l.shape[at]) {
			if r.needs != "" && !holds.any(r.needs) {
				continue
			}
			if matched, taken := r.match(l, at); matched > best && taken > 0 {
				best, bestTaken, winner = matched, taken, r
			}
		}
		if winner == nil {
			at++ // belongs to no token
			continue
		}
		token := l.text[at:min(at+bestTaken, len(l.text))]
		at += bestTaken
		if winner.write != nil {
			if text := winner.write(token); text != "" {
				out = append(out, text)
			}
			continue
		}
		out = append(out, strings.ToLower(withoutSoftHyphens(token)))
	}
	return out
}

// shapeSet is a set of shapes.
type shapeSet [2]uint64

func (s *shapeSet) any(shapes string) bool {
	for i := range len(shapes) {
		if c := shapes[i] & 0x7f; s[c>>6]>>(c&63)&1 != 0 {
			return true
		}
	}
	return false
}

// chunk returns the shapes up to the next white space, and where that is.
func (l *lexer) chunk(at int) (holds shapeSet, end int) {
	for end = at; end < len(l.text) && !isBreak(l.shape[end]); end++ {
		c := l.shape[end] & 0x7f
		holds[c>>6] |= 1 << (c & 63)
	}
	return holds, end
}

// need restricts a rule to text that holds one of some shapes before the next white space.
func need(shapes string, r *rule) *rule {
	r.needs = shapes
	return r
}

// plainWord is the length of a word of ASCII letters between white space, which is nearly every word; 0 if the rules
// must look.
func (l *lexer) plainWord(at int) int {
	if l.noShortCut || at > 0 && !isBreak(l.shape[at-1]) {
		return 0
	}
	n := at
	for isASCIILetter(l.at(n)) {
		n++
	}
	end := n
	switch {
	case n == at:
		return 0
	case isBreak(l.at(n)):
	case l.at(n) == ',' && isBreak(l.at(n+1)):
	case l.at(n) == '.' && isBreak(l.at(n+1)):
		if n-at == 1 || abbreviations[strings.ToLower(string(l.text[at:n]))] != 0 {
			return 0
		}
	default:
		return 0
	}
	if _, joined := joinedWords[strings.ToLower(string(l.text[at:n]))]; joined {
		return 0
	}
	return end - at
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// at returns the shape at a position, and a space behind the end.
func (l *lexer) at(i int) byte {
	if i < 0 || i >= len(l.shape) {
		return space
	}
	return l.shape[i]
}

func withoutSoftHyphens(token []rune) string {
	s := string(token)
	if strings.ContainsRune(s, '\u00ad') && len(token) > 1 {
		return strings.ReplaceAll(s, "\u00ad", "")
	}
	if s == "\u00ad" {
		return "-"
	}
	return s
}

// macros are the parts of patterns, over shapes.
var macros = strings.NewReplacer(
	"{L}", "[A-Za-z\x01]", // starts a word
	"{W}", "[A-Za-z\x01\x02\x04]", // a letter within one
	"{D}", "[0-9\x03]",
	"{A}", "(?:['\x13]|&apos;)", // apostrophe
	"{Q}", "(?:['\x13`\x15]|&apos;)", // apostrophe, or what is written for one
)

// pattern compiles a pattern over shapes, which matches at a position and as much as it can.
func pattern(expression string) *regexp.Regexp {
	re := regexp.MustCompile(macros.Replace("^(?:" + expression + ")"))
	re.Longest()
	return re
}

// re is a rule that takes what a pattern matches.
func re(first, expression string, write func([]rune) string) *rule {
	return before(first, expression, nil, write)
}

// before is a rule that takes what a pattern matches where follows accepts what stands behind it: it returns how many
// characters of that count as matched, below 0 if it does not.
func before(first, expression string, follows func(l *lexer, end int) int, write func([]rune) string) *rule {
	compiled := pattern(expression)
	return &rule{first: first, write: write, match: func(l *lexer, at int) (int, int) {
		m := compiled.FindIndex(l.shape[at:])
		if m == nil {
			return 0, 0
		}
		if follows == nil {
			return m[1], m[1]
		}
		more := follows(l, at+m[1])
		if more < 0 {
			return 0, 0
		}
		return m[1] + more, m[1]
	}}
}

// upTo is a rule that takes what a pattern matches where a character of a class follows.
func upTo(first, expression, class string, write func([]rune) string) *rule {
	compiled := pattern("(?:" + expression + ")" + class)
	return &rule{first: first, write: write, match: func(l *lexer, at int) (int, int) {
		if m := compiled.FindIndex(l.shape[at:]); m != nil {
			return m[1], m[1] - 1
		}
		return 0, 0
	}}
}
