package text

import (
	"strings"
	"unicode/utf8"
)

// maxWordRunes is BERT's limit: a longer word becomes [UNK].
const maxWordRunes = 100

// continuation marks pieces that do not start a word.
const continuation = "##"

// WordPiece is BERT's tokenizer: words are cut greedily into the longest pieces that the
// vocabulary has; a word that cannot be made of pieces is [UNK].
type WordPiece struct {
	vocabulary
	normalizer bertNormalizer
	unk        int32
	maxRunes   int
	cleanup    bool             // Decode takes the space before punctuation away
	starts     map[string]int32 // pieces that start a word
	inner      map[string]int32 // pieces that go on a word, without "##"
	longest    int              // bytes of the longest piece
}

// newWordPiece makes a tokenizer of a vocabulary, in the order of its ids.
func newWordPiece(v vocabulary, n bertNormalizer, unk int32) *WordPiece {
	t := &WordPiece{
		vocabulary: v,
		normalizer: n,
		unk:        unk,
		maxRunes:   maxWordRunes,
		cleanup:    true,
		starts:     make(map[string]int32, len(v.tokens)),
		inner:      map[string]int32{},
	}
	for id, token := range v.tokens {
		if token == "" {
			continue
		}
		t.longest = max(t.longest, len(token))
		t.starts[token] = int32(id)
		if rest, ok := strings.CutPrefix(token, continuation); ok && rest != "" {
			t.inner[rest] = int32(id)
		}
	}
	return t
}

// AddSpecial makes tokens special ones. Those that the vocabulary lacks get the next free ids:
// opening bert-base-uncased and adding DecToken gives BLIP-2's vocabulary of 30523.
// It must not run while others use the tokenizer.
func (t *WordPiece) AddSpecial(tokens ...string) { t.addSpecial(tokens) }

// Encode implements Tokenizer.
func (t *WordPiece) Encode(s string) []int32 {
	return t.surround(func(dst []int32) []int32 { return t.appendPlain(dst, s) })
}

// EncodePlain implements Tokenizer.
func (t *WordPiece) EncodePlain(s string) []int32 { return t.appendPlain(nil, s) }

func (t *WordPiece) appendPlain(dst []int32, s string) []int32 {
	token := func(id int32) { dst = append(dst, id) }
	word := func(w string) { dst = t.appendWord(dst, w) }
	t.raw.split(s, func(piece string) {
		t.normalized.split(t.normalizer.normalize(piece), func(piece string) { bertWords(piece, word) }, token)
	}, token)
	return dst
}

// appendWord cuts one word into pieces.
func (t *WordPiece) appendWord(dst []int32, word string) []int32 {
	if len(word) > t.maxRunes && utf8.RuneCountInString(word) > t.maxRunes {
		return append(dst, t.unk)
	}
	first := len(dst)
	pieces := t.starts
	for start := 0; start < len(word); {
		end := min(len(word), start+t.longest)
		for ; end > start; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			if id, ok := pieces[word[start:end]]; ok {
				dst = append(dst, id)
				break
			}
		}
		if end == start {
			return append(dst[:first], t.unk)
		}
		start = end
		pieces = t.inner
	}
	return dst
}

// Decode implements Tokenizer. The text it gives is lower-case where the vocabulary is, and
// its spaces are those of a person's typing, as far as punctuation tells.
func (t *WordPiece) Decode(ids []int32, skipSpecial bool) string {
	var b strings.Builder
	first := true
	for _, id := range ids {
		token := t.visible(id, skipSpecial)
		if token == "" {
			continue
		}
		rest, inner := strings.CutPrefix(token, continuation)
		switch {
		case first:
			rest = token
		case !inner:
			rest = " " + token
		}
		first = false
		if t.cleanup {
			rest = decodeCleanup.Replace(rest)
		}
		b.WriteString(rest)
	}
	return b.String()
}

// decodeCleanup works on one token with the space before it, as the reference does.
var decodeCleanup = strings.NewReplacer(
	" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m",
	" do not", " don't", " 's", "'s", " 've", "'ve", " 're", "'re",
)
