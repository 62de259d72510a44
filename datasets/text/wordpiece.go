package text

import "unicode/utf8"

// maxWordRunes is BERT's limit: a longer word becomes [UNK].
const maxWordRunes = 100

// continuation marks pieces that do not start a word.
const continuation = "##"

// WordPiece is BERT's tokenizer: words are cut greedily into the longest pieces that the
// vocabulary has; a word that cannot be made of pieces is [UNK].
type WordPiece struct {
	vocabulary
	normalizer *bertNormalizer
	unk        int32
	maxRunes   int
	trie       *trie
	inner      int32 // node of the trie behind "##": pieces that go on a word follow it; -1: none
	cache      wordCache
}

// newWordPiece makes a tokenizer of a vocabulary, in the order of its ids.
func newWordPiece(v vocabulary, n *bertNormalizer, unk int32) (*WordPiece, error) {
	tokens, err := trieOf(v.tokens)
	if err != nil {
		return nil, err
	}
	t := &WordPiece{vocabulary: v, normalizer: n, unk: unk, maxRunes: maxWordRunes, trie: tokens, cache: newWordCache()}
	t.decoder = &wordPieceDecoder{continuation, true}
	t.inner = t.trie.walk(continuation)
	return t, nil
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
	word := func(w string) { dst = t.cache.append(dst, w, t.appendWord) }
	t.raw.split(s, func(piece string, _ int) {
		t.normalized.split(t.normalizer.normalize(piece), func(piece string, _ int) { bertWords(piece, word) }, token)
	}, token)
	return dst
}

// appendWord cuts one word into pieces.
func (t *WordPiece) appendWord(dst []int32, word string) []int32 {
	if len(word) > t.maxRunes && utf8.RuneCountInString(word) > t.maxRunes {
		return append(dst, t.unk)
	}
	first := len(dst)
	node := int32(0)
	for start := 0; start < len(word); node = t.inner {
		longest, end := int32(-1), start
		for i := start; i < len(word) && node >= 0; i++ {
			if node = t.trie.step(node, word[i]); node >= 0 && t.trie.ids[node] >= 0 {
				longest, end = t.trie.ids[node], i+1
			}
		}
		if longest < 0 {
			return append(dst[:first], t.unk)
		}
		dst = append(dst, longest)
		start = end
	}
	return dst
}
