package ptb

import "strings"

// Tokenize returns the tokens of a caption, in lower case and joined by single spaces, without punctuation:
// "The dog's bowl." -> "the dog 's bowl".
//
// A fraction or a telephone number is one token that holds a no-break space, as in the reference program.
func Tokenize(caption string) string { return Lines([]string{caption})[0] }

// Lines is [Tokenize] for the captions of a corpus in their order. The reference program reads them as one text, a line
// each, and so looks into the following line in one case: the point behind a single letter at the end of a caption
// belongs to the letter ("vitamin c.") unless the next line begins a sentence ("A", "The" and some forty other words).
func Lines(captions []string) []string {
	out := make([]string, len(captions))
	for i, caption := range captions {
		next := ""
		if i+1 < len(captions) {
			next = captions[i+1]
		}
		out[i] = tokenize(caption, next)
	}
	return out
}

// maxLook is more than a sentence's first word and the white space around it take.
const maxLook = 64

func newLexer(caption, next string) *lexer {
	l := &lexer{text: []rune(caption)}
	l.shape = make([]byte, len(l.text), len(l.text)+1)
	for i, c := range l.text {
		l.shape[i] = shapeOf(c)
	}
	l.shape = append(l.shape, space)
	for _, c := range next[:min(len(next), maxLook)] {
		l.next = append(l.next, shapeOf(c))
	}
	l.next = append(l.next, space)
	return l
}

func tokenize(caption, next string) string {
	l := newLexer(caption, next)
	tokens := l.tokens(nil)
	kept := tokens[:0]
	for _, t := range tokens {
		if !punctuation[t] {
			kept = append(kept, t)
		}
	}
	return strings.Join(kept, " ")
}

// punctuation does not count. coco-caption's list has -LRB- and so on, too, but in capitals, which never occur in a text
// in lower case: brackets stay.
var punctuation = map[string]bool{
	"''": true, "'": true, "``": true, "`": true, ".": true, "?": true, "!": true, ",": true, ":": true, "-": true,
	"--": true, "...": true, ";": true,
}
