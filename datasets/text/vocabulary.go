package text

import (
	"fmt"
	"strings"
	"unicode"
)

// vocabulary is what all kinds of tokenizer share: the tokens and their ids, the added tokens, the
// special tokens that Encode puts around a text, and the way back to text.
type vocabulary struct {
	tokens         []string // by id; "" for an id that has no token
	ids            map[string]int32
	modelSize      int // ids below belong to the model's own vocabulary, the others were added to it
	modelTokens    int // how many the model has, fewer than modelSize where ids have no token
	added          map[int32]addedToken
	shown          map[int32]string // how added tokens are decoded, where that is not their content
	specials       map[string]bool  // tokens that Decode can skip
	raw            addedIndex       // added tokens that are looked for in the text as it is given
	normalized     addedIndex       // added tokens that are looked for in the normalized text
	prefix, suffix []int32
	decoder        decoder // nil: tokens are put together with spaces
	wordEnd        string  // what the decoder leaves at the ends of words, to become a space
	settings       Settings
}

// newVocabulary indexes tokens by their place. Holes are allowed, as "".
func newVocabulary(tokens []string) vocabulary {
	v := vocabulary{
		tokens:    tokens,
		ids:       make(map[string]int32, len(tokens)),
		modelSize: len(tokens),
		added:     map[int32]addedToken{},
		shown:     map[int32]string{},
		specials:  map[string]bool{},
	}
	for id, token := range tokens {
		if token != "" {
			v.ids[token] = int32(id)
			v.modelTokens++
		}
	}
	return v
}

// VocabSize implements Tokenizer.
func (v *vocabulary) VocabSize() int { return len(v.tokens) }

// ID implements Tokenizer.
func (v *vocabulary) ID(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

// idOr returns the id of a token, or what is given if there is none.
func (v *vocabulary) idOr(token string, or int32) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return or
}

// Token returns the token of an id, as it is spelt in the vocabulary; "" for an id outside of it.
func (v *vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return ""
	}
	return v.tokens[id]
}

// Settings implements Tokenizer.
func (v *vocabulary) Settings() *Settings { return &v.settings }

func (v *vocabulary) around() (prefix, suffix []int32) { return v.prefix, v.suffix }

// surround puts the special tokens around the ids of a text.
func (v *vocabulary) surround(plain func(dst []int32) []int32) []int32 {
	ids := make([]int32, 0, 32)
	ids = append(ids, v.prefix...)
	ids = plain(ids)
	return append(ids, v.suffix...)
}

// Decode implements Tokenizer.
func (v *vocabulary) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		token := v.Token(id)
		if shown, ok := v.shown[id]; ok {
			token = shown
		}
		if token != "" && !(skipSpecial && v.specials[token]) {
			tokens = append(tokens, token)
		}
	}
	if v.decoder == nil {
		return v.finish(strings.Join(tokens, " "))
	}
	return v.finish(strings.Join(v.decoder.decode(tokens), ""))
}

// finish is what transformers does to a decoded text after the decoder of tokenizer.json.
func (v *vocabulary) finish(s string) string {
	if v.wordEnd != "" {
		s = strings.TrimFunc(strings.ReplaceAll(s, v.wordEnd, " "), isPythonSpace)
	}
	if v.settings.CleanUp {
		s = CleanUp(s)
	}
	return s
}

// isPythonSpace tells what Python's strip takes away: white space and four separators.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1C && r <= 0x1F }

// addToken makes a token known as an added one, at the id it says, which is either the token's
// present id or the first free one. normalize is the model's normalization of a token.
func (v *vocabulary) addToken(a addedToken, normalize func(string) string) error {
	if a.Content == "" {
		return fmt.Errorf("added token %d is empty", a.ID)
	}
	if id, ok := v.ids[a.Content]; ok && id != a.ID {
		return fmt.Errorf("added token %q has id %d, but the vocabulary gives it %d", a.Content, a.ID, id)
	}
	switch {
	case a.ID < 0 || int(a.ID) > len(v.tokens):
		return fmt.Errorf("added token %q: id %d leaves a hole behind the %d tokens before it", a.Content, a.ID, len(v.tokens))
	case int(a.ID) == len(v.tokens):
		v.tokens = append(v.tokens, a.Content)
	case v.tokens[a.ID] == "":
		v.tokens[a.ID] = a.Content
	case v.tokens[a.ID] != a.Content && v.shared(a):
		// both keep it
	case v.tokens[a.ID] != a.Content:
		return fmt.Errorf("added token %q: id %d belongs to %q", a.Content, a.ID, v.tokens[a.ID])
	}
	v.ids[a.Content] = a.ID
	if old, ok := v.added[a.ID]; ok { // it may have been found in another way
		v.raw.remove(old.Content, a.ID)
		v.normalized.remove(v.spelling(old), a.ID)
		delete(v.shown, a.ID)
	}
	if v.tokens[a.ID] != a.Content {
		v.shown[a.ID] = a.Content
	}
	v.added[a.ID] = a
	if a.Special {
		v.specials[a.Content] = true
	}
	if !a.Normalized {
		return v.raw.insert(a.Content, a)
	}
	pattern := normalize(a.Content)
	if pattern != a.Content {
		v.shown[a.ID] = pattern
	}
	return v.normalized.insert(pattern, a)
}

// shared tells whether an added token may have an id that a token of the model has. The reference
// counts from the number of the model's tokens on, so in a vocabulary with a hole, of ids 0 to 9
// without 5, say, the first added token is 9 like the last of the model, and such folders exist. The
// model's token still has its id in a text; Decode knows only the added one.
func (v *vocabulary) shared(a addedToken) bool {
	other, taken := v.added[a.ID]
	return int(a.ID) >= v.modelTokens && int(a.ID) < v.modelSize && (!taken || other.Content == a.Content)
}

// nextID is the id that the reference gives a new token.
func (v *vocabulary) nextID() int32 {
	next := int32(v.modelTokens)
	for id := range v.added {
		next = max(next, id+1)
	}
	return next
}

// spelling is how an added token is written in a normalized text.
func (v *vocabulary) spelling(a addedToken) string {
	if shown, ok := v.shown[a.ID]; ok {
		return shown
	}
	return a.Content
}

// addSpecial makes each token a special one, with the next free id unless it has one already.
func (v *vocabulary) addSpecial(tokens []string) {
	for _, token := range tokens {
		id, ok := v.ids[token]
		if ok && v.added[id].Special {
			continue
		}
		if !ok {
			id = int32(len(v.tokens))
		}
		a := addedToken{ID: id, Content: token, Special: true}
		if err := v.addToken(a, nil); err != nil {
			panic(err) // only an empty token, or a gigantic one, gets here: a mistake in the caller
		}
	}
}
