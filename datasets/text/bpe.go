package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// wordSuffix marks the end of a word in CLIP's tokens.
const wordSuffix = "</w>"

// BPE is the byte-level tokenizer of GPT-2, OPT and CLIP: a word starts as its bytes, and learnt
// pairs of neighbours are merged, the earliest learnt first. With GPT-2 and OPT every string has
// ids, and (special tokens aside) decoding them gives the string back; CLIP normalizes first, and
// marks the ends of words.
type BPE struct {
	vocabulary
	merges     []merge
	pairs      pairTable // ids of two neighbours -> place in merges
	to         []int32   // by place in merges: the id of the two together
	bytes      [256]int32
	lastBytes  [256]int32 // the same for the last byte of a word
	unk        int32      // stands for bytes that the vocabulary lacks; -1: they are left out
	fuseUnk    bool       // neighbouring ones are one
	endOfWord  string     // marks the last byte of a word: "" or wordSuffix
	normalizer normalizer // nil: none
	byteLevel  byteLevel
	cache      wordCache
}

// merge is one line of merges.txt.
type merge struct{ left, right string }

// newBPE makes a tokenizer of a vocabulary and its merges, in the order in which they apply.
// suffix is "" or what marks the last byte of a word.
func newBPE(v vocabulary, merges []merge, unk int32, suffix string) (*BPE, error) {
	t := &BPE{
		vocabulary: v, merges: merges, pairs: newPairTable(len(merges)), to: make([]int32, len(merges)),
		unk: unk, endOfWord: suffix, cache: newWordCache(),
	}
	t.decoder = byteLevelDecoder{}
	t.wordEnd = suffix
	for b := range t.bytes {
		t.bytes[b], t.lastBytes[b] = t.idOr(string(byteRunes[b]), -1), t.idOr(string(byteRunes[b])+suffix, -1)
	}
	for rank, m := range merges {
		left, right, to := t.idOr(m.left, -1), t.idOr(m.right, -1), t.idOr(m.left+m.right, -1)
		if left < 0 || right < 0 || to < 0 {
			return nil, fmt.Errorf("merge %d, %q and %q: one of them or what they make is not in the vocabulary", rank, m.left, m.right)
		}
		t.pairs.put(left, right, int32(rank))
		t.to[rank] = to
	}
	return t, nil
}

// AddSpecial makes tokens special ones. Those that the vocabulary lacks get the next free ids.
// It must not run while others use the tokenizer.
func (t *BPE) AddSpecial(tokens ...string) { t.addSpecial(tokens) }

// Encode implements Tokenizer.
func (t *BPE) Encode(s string) []int32 {
	return t.surround(func(dst []int32) []int32 { return t.appendPlain(dst, s) })
}

// EncodePlain implements Tokenizer.
func (t *BPE) EncodePlain(s string) []int32 { return t.appendPlain(nil, s) }

func (t *BPE) appendPlain(dst []int32, s string) []int32 {
	token := func(id int32) { dst = append(dst, id) }
	word := func(w string) { dst = t.cache.append(dst, w, t.appendWord) }
	t.raw.split(s, func(piece string, _ int) {
		t.normalized.split(t.normalize(piece), func(piece string, _ int) { t.byteLevel.split(piece, word) }, token)
	}, token)
	return dst
}

func (t *BPE) normalize(s string) string { return normalizeWith(t.normalizer, s) }

// symbol is one piece of a word while it is merged; next is the place of the piece behind it, 0 for
// none, and prev of the one before it. id is -1 once it is part of that.
type symbol struct {
	id         int32
	prev, next int32
}

// candidate is a possible merge of the pieces at left and behind it.
type candidate struct {
	rank, left int32
}

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.left < b.left
}

// appendWord merges the bytes of a word, lowest rank first and leftmost among equals. A heap of
// possible merges and links between neighbours keep a word of n bytes at n log n.
func (t *BPE) appendWord(dst []int32, w string) []int32 {
	var symbolPlace [64]symbol
	var queuePlace [64]candidate
	symbols, queue := t.spell(symbolPlace[:0], w), mergeQueue(queuePlace[:0])
	push := func(left int32) {
		if left < 0 || symbols[left].next == 0 {
			return
		}
		if rank := t.pairs.get(symbols[left].id, symbols[symbols[left].next].id); rank >= 0 {
			queue.push(candidate{rank, left})
		}
	}
	for i := range symbols {
		push(int32(i))
	}
	for len(queue) > 0 {
		c := queue.pop()
		left := &symbols[c.left]
		if left.id < 0 || left.next == 0 {
			continue
		}
		right := &symbols[left.next]
		if rank := t.pairs.get(left.id, right.id); rank < 0 || t.to[rank] != t.to[c.rank] {
			continue // one of the two was merged meanwhile
		}
		left.id, left.next = t.to[c.rank], right.next
		right.id = -1
		if left.next != 0 {
			symbols[left.next].prev = c.left
		}
		push(left.prev)
		push(c.left)
	}
	for i := range symbols {
		if symbols[i].id >= 0 {
			dst = append(dst, symbols[i].id)
		}
	}
	return dst
}

// spell appends the bytes of a word, linked.
func (t *BPE) spell(symbols []symbol, w string) []symbol {
	unknown := false // the byte before was
	for i := range len(w) {
		table := &t.bytes
		if i == len(w)-1 {
			table = &t.lastBytes
		}
		id := table[w[i]]
		if id < 0 {
			if t.unk < 0 || t.fuseUnk && unknown {
				continue
			}
			id = t.unk
		}
		unknown = table[w[i]] < 0
		n := int32(len(symbols))
		if n > 0 {
			symbols[n-1].next = n
		}
		symbols = append(symbols, symbol{id: id, prev: n - 1})
	}
	return symbols
}

// mergeQueue is a heap of candidates, the first to be merged at its top.
type mergeQueue []candidate

func (q *mergeQueue) push(c candidate) {
	*q = append(*q, c)
	h := *q
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
}

func (q *mergeQueue) pop() candidate {
	h := *q
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	return top
}

// errMerge is what is wrong with a merge that is not a pair.
var errMerge = errors.New("is not two tokens with a space between")

func parseMerge(line string) (merge, error) {
	left, right, ok := strings.Cut(line, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") || !utf8.ValidString(line) {
		return merge{}, fmt.Errorf("merge %q %w", line, errMerge)
	}
	return merge{left, right}, nil
}
