package text

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Unigram is T5's tokenizer, a SentencePiece model: each token has a score, the logarithm of how
// probable it is, and of all ways to cut a word into tokens the one with the highest sum is taken.
type Unigram struct {
	vocabulary
	scores       []float64
	unk          int32
	unkScore     float64   // of a character that no token covers
	byteFallback bool      // what is unknown becomes tokens of its bytes, such as <0xE2>
	bytes        [256]bool // which of them there are
	byteIDs      [256]int32
	trie         *trie
	normalizer   normalizer // nil: none
	words        spacePreTokenizer
	cache        wordCache
}

// unkPenalty is how much worse than the worst token an unknown character is.
const unkPenalty = 10

// newUnigram makes a tokenizer of tokens and their scores.
func newUnigram(v vocabulary, scores []float64, unk int32, byteFallback bool) (*Unigram, error) {
	if unk < 0 || int(unk) >= len(scores) {
		return nil, fmt.Errorf("the unknown token's id %d is not in the vocabulary of %d tokens", unk, len(scores))
	}
	tokens, err := trieOf(v.tokens)
	if err != nil {
		return nil, err
	}
	t := &Unigram{vocabulary: v, scores: scores, unk: unk, unkScore: math.Inf(1), byteFallback: byteFallback, trie: tokens, cache: newWordCache()}
	t.words = spacePreTokenizer{metaspace{spaceMark, prependAlways, true}, true}
	t.decoder = metaspaceDecoder{t.words.metaspace}
	for id, score := range scores {
		if math.IsNaN(score) || math.IsInf(score, 0) {
			return nil, fmt.Errorf("the score of token %d, %q, is %g", id, v.tokens[id], score)
		}
		t.unkScore = min(t.unkScore, score)
	}
	t.unkScore -= unkPenalty
	for b := range t.bytes {
		t.byteIDs[b], t.bytes[b] = v.ids[byteToken(byte(b))]
	}
	return t, nil
}

// byteToken is the token of a byte that no other token covers.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// byteOfToken is the reverse of byteToken, for hexadecimal digits of either case.
func byteOfToken(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	value := 0
	for _, digit := range token[3:5] {
		i := strings.IndexRune("0123456789ABCDEFabcdef", digit)
		if i < 0 {
			return 0, false
		}
		if i >= 16 {
			i -= 6
		}
		value = 16*value + i
	}
	return byte(value), true
}

// AddSpecial makes tokens special ones. Those that the vocabulary lacks get the next free ids.
// It must not run while others use the tokenizer.
func (t *Unigram) AddSpecial(tokens ...string) { t.addSpecial(tokens) }

// Encode implements Tokenizer.
func (t *Unigram) Encode(s string) []int32 {
	return t.surround(func(dst []int32) []int32 { return t.appendPlain(dst, s) })
}

// EncodePlain implements Tokenizer.
func (t *Unigram) EncodePlain(s string) []int32 { return t.appendPlain(nil, s) }

func (t *Unigram) appendPlain(dst []int32, s string) []int32 {
	s = validUTF8(s) // the search goes character by character
	token := func(id int32) { dst = append(dst, id) }
	word := func(w string) { dst = t.cache.append(dst, w, t.appendWord) }
	t.raw.split(s, func(piece string, at int) {
		first := t.firstEnd(piece, at)
		t.normalized.split(t.normalize(piece), func(piece string, inner int) { t.words.split(piece, first-inner, word) }, token)
	}, token)
	return dst
}

func (t *Unigram) normalize(s string) string { return normalizeWith(t.normalizer, s) }

// firstEnd returns how many bytes of the normalized piece come from the first character of the text:
// "\u1fbf" becomes a space and a mark, and the word that the mark starts is still the first.
func (t *Unigram) firstEnd(piece string, at int) int {
	if t.words.scheme != prependFirst || at > 0 {
		return 0
	}
	_, precompiled := t.normalizer.(*charsmap)
	end := 0
	for i, r := range piece {
		end = len(t.normalize(piece[i : i+utf8.RuneLen(r)]))
		if end > 0 || !precompiled { // characters that a charsmap takes away are as if they had not been
			break
		}
	}
	if !t.words.words {
		end = max(end, 1) // the text as a whole starts at its start, whatever was taken away
	}
	return end
}

// arc is the last token of the best way to cut a beginning of a word.
type arc struct {
	score float64
	start int32 // of the token; -1: no way was found yet
	id    int32
}

// appendWord finds the best tokens of a word (Viterbi's algorithm).
func (t *Unigram) appendWord(dst []int32, word string) []int32 {
	var place [65]arc
	best := place[:]
	if len(word) >= len(best) {
		best = make([]arc, len(word)+1)
	}
	best = best[:len(word)+1]
	for i := range best {
		best[i].start = -1
	}
	best[0].score = 0
	for start := 0; start < len(word); {
		_, size := utf8.DecodeRuneInString(word[start:])
		whole := false // some token is just this character
		score, node := best[start].score, int32(0)
		for end := start + 1; end <= len(word); end++ {
			if node = t.trie.step(node, word[end-1]); node < 0 {
				break
			}
			if id := t.trie.ids[node]; id >= 0 {
				best[end].improve(score+t.scores[id], start, id)
				whole = whole || end-start == size
			}
		}
		if !whole {
			best[start+size].improve(score+t.unkScore, start, t.unk)
		}
		start += size
	}
	first, end := len(dst), len(word)
	for end > 0 {
		a := best[end]
		if a.id != t.unk {
			dst = append(dst, a.id)
			end = int(a.start)
			continue
		}
		last := end // neighbouring unknown characters are one
		for end > 0 && best[end].id == t.unk {
			end = int(best[end].start)
		}
		dst = t.appendUnknown(dst, word[end:last])
	}
	slices.Reverse(dst[first:])
	return dst
}

// improve takes a way that is better than the one known; of equals the first found stays.
func (a *arc) improve(score float64, start int, id int32) {
	if a.start < 0 || score > a.score {
		*a = arc{score, int32(start), id}
	}
}

// appendUnknown appends what stands for a stretch that no tokens make up, last id first.
func (t *Unigram) appendUnknown(dst []int32, s string) []int32 {
	if id, ok := t.ids[s]; ok && int(id) < t.modelSize {
		return append(dst, id)
	}
	if t.byteFallback {
		first := len(dst)
		for i := len(s) - 1; i >= 0 && t.bytes[s[i]]; i-- {
			dst = append(dst, t.byteIDs[s[i]])
		}
		if len(dst)-first == len(s) {
			return dst
		}
		dst = dst[:first]
	}
	return append(dst, t.unk)
}
