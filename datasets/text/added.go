package text

import (
	"strings"
	"unicode/utf8"
)

// addedToken is one of "added_tokens" of a tokenizer.json: matched as a whole, before the text
// is split into words.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// addedIndex finds added tokens in a text: at each place the longest one wins.
type addedIndex struct {
	patterns *trie // its ids are places in tokens; nil as long as there are none
	tokens   []addedToken
	starts   [256]bool // bytes that patterns start with
	only     int       // the one byte that all start with, -1 if there are several
}

func (x *addedIndex) empty() bool { return x.patterns == nil }

// insert makes a pattern stand for a token.
func (x *addedIndex) insert(pattern string, token addedToken) error {
	if pattern == "" {
		return nil
	}
	if x.empty() {
		x.patterns, x.only = newTrie(), int(pattern[0])
	}
	if int(pattern[0]) != x.only {
		x.only = -1
	}
	x.starts[pattern[0]] = true
	x.tokens = append(x.tokens, token)
	return x.patterns.add(pattern, int32(len(x.tokens)-1))
}

// remove forgets a pattern, if it stands for the token of this id.
func (x *addedIndex) remove(pattern string, id int32) {
	if x.empty() {
		return
	}
	if node := x.patterns.walk(pattern); node > 0 {
		if i := x.patterns.ids[node]; i >= 0 && x.tokens[i].ID == id {
			x.patterns.ids[node] = -1
		}
	}
}

// next returns the first place from i on where a pattern may start, -1 if there is none.
func (x *addedIndex) next(s string, i int) int {
	if x.only >= 0 {
		if n := strings.IndexByte(s[i:], byte(x.only)); n >= 0 {
			return i + n
		}
		return -1
	}
	for ; i < len(s); i++ {
		if x.starts[s[i]] {
			return i
		}
	}
	return -1
}

// at returns the longest token at place i, and its length in s.
func (x *addedIndex) at(s string, i int) (token *addedToken, length int) {
	node := int32(0)
	for end := i; end < len(s); {
		if node = x.patterns.step(node, s[end]); node < 0 {
			break
		}
		end++
		if found := x.patterns.ids[node]; found >= 0 {
			token, length = &x.tokens[found], end-i
		}
	}
	return token, length
}

// split calls text for each stretch of s between added tokens, with its place, and token for each
// of those, in order.
func (x *addedIndex) split(s string, text func(s string, at int), token func(id int32)) {
	done := 0 // s[:done] has been handed out
	for i := 0; !x.empty(); {
		if i = x.next(s, i); i < 0 {
			break
		}
		found, length := x.at(s, i)
		if found == nil {
			i++
			continue
		}
		start, end := i, i+length
		i = end
		if found.SingleWord && (endsInWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if found.LStrip {
			start = max(done, len(strings.TrimRightFunc(s[:start], isSpace)))
		}
		if found.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], isSpace))
		}
		if start > done {
			text(s[done:start], done)
		}
		token(found.ID)
		done = end
	}
	if done < len(s) {
		text(s[done:], done)
	}
}

func endsInWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && isWordRune(r)
}

func startsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isWordRune(r)
}

func isWordRune(r rune) bool { return classOf(r)&wordBit != 0 }
