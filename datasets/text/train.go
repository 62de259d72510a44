package text

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// TrainWordPiece makes a WordPiece vocabulary of at most vocabSize tokens: [PAD] (0), [UNK],
// [CLS], [SEP], [MASK], then every character of the texts, by itself and as "##" piece, so that
// any word made of them has ids, then the most frequent whole words that occur twice or more,
// and [DEC] last. The same texts give the same vocabulary, in any order.
//
// Whole words suit captions: a few thousand of them cover nearly all, and one id a word keeps
// the texts short.
func TrainWordPiece(texts iter.Seq[string], vocabSize int) (*WordPiece, error) {
	normalizer := uncased()
	words := map[string]int{}
	for s := range texts {
		bertWords(normalizer.normalize(s), func(w string) { countWord(words, w) })
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("training a WordPiece vocabulary: the texts hold no words")
	}
	starts, inner := map[rune]bool{}, map[rune]bool{}
	for w := range words {
		for i, r := range w {
			starts[r] = true
			if !isPunctuation(r) && !isChinese(r) && (i > 0 || len(w) > utf8.RuneLen(r)) {
				inner[r] = true
			}
		}
	}
	tokens := []string{PadToken, UnkToken, ClsToken, SepToken, MaskToken}
	for _, r := range slices.Sorted(maps.Keys(starts)) {
		tokens = append(tokens, string(r))
	}
	for _, r := range slices.Sorted(maps.Keys(inner)) {
		tokens = append(tokens, continuation+string(r))
	}
	if need := len(tokens) + 1; vocabSize < need {
		return nil, fmt.Errorf("training a WordPiece vocabulary: %d tokens are too few, the special tokens and the %d different characters of the texts take %d", vocabSize, len(starts), need)
	}
	for _, w := range byFrequency(words) {
		if len(tokens) >= vocabSize-1 || words[w] < 2 {
			break
		}
		if utf8.RuneCountInString(w) > 1 && utf8.RuneCountInString(w) <= maxWordRunes {
			tokens = append(tokens, w)
		}
	}
	v := newVocabulary(tokens)
	t, err := newWordPiece(v, normalizer, v.ids[UnkToken])
	if err != nil {
		return nil, err
	}
	t.AddSpecial(PadToken, UnkToken, ClsToken, SepToken, MaskToken, DecToken)
	return t, t.setAround([]string{ClsToken}, []string{SepToken})
}

// countWord counts a word without keeping the whole text alive.
func countWord(words map[string]int, w string) {
	if n, ok := words[w]; ok {
		words[w] = n + 1
		return
	}
	words[strings.Clone(w)] = 1
}

// byFrequency returns words, the most frequent first, equally frequent ones in alphabetical order.
func byFrequency(words map[string]int) []string {
	return slices.SortedFunc(maps.Keys(words), func(a, b string) int {
		return cmp.Or(cmp.Compare(words[b], words[a]), cmp.Compare(a, b))
	})
}

// TrainBPE makes a byte-level BPE vocabulary of at most vocabSize tokens in OPT's layout:
// <s> (0), <pad> (1), </s> (2), <unk> (3), the 256 bytes, then what the most frequent pairs of
// neighbours merge into, until none occurs twice. Encode puts </s> in front of the text.
// The same texts give the same vocabulary, in any order.
func TrainBPE(texts iter.Seq[string], vocabSize int) (*BPE, error) {
	tokens := []string{OPTBosToken, OPTPadToken, OPTEosToken, OPTUnkToken}
	firstByte := len(tokens)
	for _, r := range slices.Sorted(slices.Values(byteRunes[:])) {
		tokens = append(tokens, string(r))
	}
	if vocabSize < len(tokens) {
		return nil, fmt.Errorf("training a BPE vocabulary: %d tokens are too few, the special tokens and the bytes take %d", vocabSize, len(tokens))
	}
	byteIDs := [256]int32{}
	for id, token := range tokens[firstByte:] {
		r, _ := utf8.DecodeRuneInString(token)
		b, _ := byteOfRune(r)
		byteIDs[b] = int32(firstByte + id)
	}
	counts := map[string]int{}
	for s := range texts {
		gptWords(s, func(w string) { countWord(counts, w) })
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("training a BPE vocabulary: the texts are empty")
	}
	trainer := newPairTrainer(counts, byteIDs)
	var merges []merge
	ids := map[string]int32{}
	for id, token := range tokens {
		ids[token] = int32(id)
	}
	for len(tokens) < vocabSize {
		pair, ok := trainer.best()
		if !ok {
			break
		}
		m := merge{tokens[pair[0]], tokens[pair[1]]}
		id, known := ids[m.left+m.right] // two pairs may spell the same token
		if known && int(id) < firstByte {
			trainer.drop(pair) // the texts spell a special token: it must not be learnt
			continue
		}
		if !known {
			id = int32(len(tokens))
			ids[m.left+m.right] = id
			tokens = append(tokens, m.left+m.right)
		}
		trainer.merge(pair, id)
		merges = append(merges, m)
	}
	t, err := newBPE(newVocabulary(tokens), merges, -1, "")
	if err != nil {
		return nil, err
	}
	t.AddSpecial(OPTBosToken, OPTPadToken, OPTEosToken, OPTUnkToken)
	t.settings.PadLeft = true // as generation with a decoder needs it
	return t, t.setAround([]string{OPTEosToken}, nil)
}

// pairTrainer counts neighbouring ids over all words, and updates the counts as pairs merge.
type pairTrainer struct {
	words   []trainedWord
	counts  map[[2]int32]int
	where   map[[2]int32]map[int]bool // words that hold, or held, the pair
	queue   pairQueue                 // entries may be stale; counts says what is true
	dropped map[[2]int32]bool
}

type trainedWord struct {
	ids   []int32
	count int
}

func newPairTrainer(counts map[string]int, byteIDs [256]int32) *pairTrainer {
	t := &pairTrainer{counts: map[[2]int32]int{}, where: map[[2]int32]map[int]bool{}, dropped: map[[2]int32]bool{}}
	for i, w := range slices.Sorted(maps.Keys(counts)) {
		ids := make([]int32, len(w))
		for j := range len(w) {
			ids[j] = byteIDs[w[j]]
		}
		t.words = append(t.words, trainedWord{ids, counts[w]})
		for j := 1; j < len(ids); j++ {
			t.count([2]int32{ids[j-1], ids[j]}, i, counts[w])
		}
	}
	for pair, n := range t.counts {
		t.queue = append(t.queue, pairCount{pair, n})
	}
	heap.Init(&t.queue)
	return t
}

func (t *pairTrainer) count(pair [2]int32, word, n int) {
	t.counts[pair] += n
	if n > 0 {
		if t.where[pair] == nil {
			t.where[pair] = map[int]bool{}
		}
		t.where[pair][word] = true
	}
}

// best returns the most frequent pair that occurs at least twice; among equals, the one with
// the lower ids.
func (t *pairTrainer) best() ([2]int32, bool) {
	for len(t.queue) > 0 {
		top := heap.Pop(&t.queue).(pairCount)
		n := t.counts[top.pair]
		if t.dropped[top.pair] || n < 2 {
			continue
		}
		if n == top.count {
			return top.pair, true
		}
		if n < top.count { // counts that grew were pushed when they did
			heap.Push(&t.queue, pairCount{top.pair, n})
		}
	}
	return [2]int32{}, false
}

// drop takes a pair out of the race.
func (t *pairTrainer) drop(pair [2]int32) { t.dropped[pair] = true }

// merge replaces a pair by id in all words.
func (t *pairTrainer) merge(pair [2]int32, id int32) {
	grown := map[[2]int32]bool{}
	for i := range t.where[pair] {
		word := &t.words[i]
		for j := 1; j < len(word.ids); j++ {
			t.count([2]int32{word.ids[j-1], word.ids[j]}, i, -word.count)
		}
		ids := word.ids[:0]
		for j := 0; j < len(word.ids); j++ {
			if j+1 < len(word.ids) && word.ids[j] == pair[0] && word.ids[j+1] == pair[1] {
				ids = append(ids, id)
				j++
				continue
			}
			ids = append(ids, word.ids[j])
		}
		word.ids = ids
		for j := 1; j < len(ids); j++ {
			next := [2]int32{ids[j-1], ids[j]}
			t.count(next, i, word.count)
			if next[0] == id || next[1] == id {
				grown[next] = true
			}
		}
	}
	delete(t.counts, pair)
	delete(t.where, pair)
	for next := range grown {
		heap.Push(&t.queue, pairCount{next, t.counts[next]})
	}
}

type pairCount struct {
	pair  [2]int32
	count int
}

type pairQueue []pairCount

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[j].count, q[i].count), slices.Compare(q[i].pair[:], q[j].pair[:])) < 0
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(pairCount)) }
func (q *pairQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
