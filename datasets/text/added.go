package text

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
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
	byFirst map[byte][]addedPattern // longest first
}

type addedPattern struct {
	text  string
	token addedToken
}

func (x *addedIndex) insert(pattern string, token addedToken) {
	if pattern == "" {
		return
	}
	if x.byFirst == nil {
		x.byFirst = map[byte][]addedPattern{}
	}
	list := slices.DeleteFunc(x.byFirst[pattern[0]], func(p addedPattern) bool { return p.text == pattern })
	list = append(list, addedPattern{pattern, token})
	slices.SortStableFunc(list, func(a, b addedPattern) int { return cmp.Compare(len(b.text), len(a.text)) })
	x.byFirst[pattern[0]] = list
}

// split calls text for each stretch of s between added tokens and token for each of those, in order.
func (x *addedIndex) split(s string, text func(string), token func(id int32)) {
	if len(x.byFirst) == 0 {
		if s != "" {
			text(s)
		}
		return
	}
	done := 0 // s[:done] has been handed out
	for i := 0; i < len(s); {
		found, ok := x.at(s, i)
		if !ok {
			i++
			continue
		}
		start, end := i, i+len(found.text)
		i = end
		if found.token.SingleWord && (endsInWord(s[:start]) || startsWithWord(s[end:])) {
			continue
		}
		if found.token.LStrip {
			start = max(done, len(strings.TrimRightFunc(s[:start], unicode.IsSpace)))
		}
		if found.token.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
			i = end
		}
		if start > done {
			text(s[done:start])
		}
		token(found.token.ID)
		done = end
	}
	if done < len(s) {
		text(s[done:])
	}
}

func (x *addedIndex) at(s string, i int) (addedPattern, bool) {
	for _, p := range x.byFirst[s[i]] {
		if strings.HasPrefix(s[i:], p.text) {
			return p, true
		}
	}
	return addedPattern{}, false
}

func endsInWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && isWordRune(r)
}

func startsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isWordRune(r)
}

func isWordRune(r rune) bool {
	return r == '_' || unicode.In(r, unicode.L, unicode.N, unicode.M)
}
