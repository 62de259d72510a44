package text

import "fmt"

// vocabulary is what both kinds of tokenizer share: the tokens and their ids, the added tokens,
// and the special tokens that Encode puts around a text.
type vocabulary struct {
	tokens         []string // by id; "" for an id that has no token
	ids            map[string]int32
	modelSize      int // ids below belong to the model's own vocabulary, the others were added to it
	added          map[int32]addedToken
	shown          map[int32]string // how added tokens are decoded, where that is not their content
	raw            addedIndex       // added tokens that are looked for in the text as it is given
	normalized     addedIndex       // added tokens that are looked for in the normalized text
	prefix, suffix []int32
}

// newVocabulary indexes tokens by their place. Holes are allowed, as "".
func newVocabulary(tokens []string) vocabulary {
	v := vocabulary{
		tokens:    tokens,
		ids:       make(map[string]int32, len(tokens)),
		modelSize: len(tokens),
		added:     map[int32]addedToken{},
		shown:     map[int32]string{},
	}
	for id, token := range tokens {
		if token != "" {
			v.ids[token] = int32(id)
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

// Token returns the token of an id, as it is spelt in the vocabulary; "" for an id outside of it.
func (v *vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return ""
	}
	return v.tokens[id]
}

func (v *vocabulary) around() (prefix, suffix []int32) { return v.prefix, v.suffix }

// surround puts the special tokens around the ids of a text.
func (v *vocabulary) surround(plain func(dst []int32) []int32) []int32 {
	ids := make([]int32, 0, 32)
	ids = append(ids, v.prefix...)
	ids = plain(ids)
	return append(ids, v.suffix...)
}

// visible returns the token of an id for Decode: "" if nothing is to be shown.
func (v *vocabulary) visible(id int32, skipSpecial bool) string {
	if skipSpecial && v.added[id].Special {
		return ""
	}
	if shown, ok := v.shown[id]; ok {
		return shown
	}
	return v.Token(id)
}

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
	case v.tokens[a.ID] != a.Content:
		return fmt.Errorf("added token %q: id %d belongs to %q", a.Content, a.ID, v.tokens[a.ID])
	}
	v.ids[a.Content] = a.ID
	v.added[a.ID] = a
	if !a.Normalized {
		v.raw.insert(a.Content, a)
		return nil
	}
	pattern := normalize(a.Content)
	v.normalized.insert(pattern, a)
	if pattern != a.Content {
		v.shown[a.ID] = pattern
	}
	return nil
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
			panic(err) // only an empty token gets here, a mistake in the caller
		}
	}
}
