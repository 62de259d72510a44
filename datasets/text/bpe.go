package text

import (
	"container/heap"
	"strings"
	"sync"
	"unicode/utf8"
)

// BPE is the byte-level tokenizer of GPT-2 and OPT: a word starts as its bytes, and learnt
// pairs of neighbours are merged, the earliest learnt first. Every string has ids, and
// (special tokens aside) decoding them gives the string back.
type BPE struct {
	vocabulary
	merges         []merge
	ranks          map[[2]int32]merged
	bytes          [256]int32 // id of each byte's token, -1 if the vocabulary lacks it
	unk            int32      // stands for bytes that the vocabulary lacks; -1: they are left out
	addPrefixSpace bool
	cache          wordCache
}

// merge is one line of merges.txt.
type merge struct{ left, right string }

// merged is what a pair of neighbours becomes. Lower ranks go first.
type merged struct {
	rank int
	id   int32
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
	t.raw.split(s, func(piece string) {
		t.normalized.split(piece, func(piece string) {
			if t.addPrefixSpace && !strings.HasPrefix(piece, " ") {
				piece = " " + piece
			}
			gptWords(piece, func(w string) { dst = append(dst, t.word(w)...) })
		}, token)
	}, token)
	return dst
}

// word returns the ids of one word. The result is shared: it must not be changed.
func (t *BPE) word(w string) []int32 {
	if ids, ok := t.cache.get(w); ok {
		return ids
	}
	ids := t.mergeWord(w)
	t.cache.put(w, ids)
	return ids
}

// mergeWord merges the bytes of a word, lowest rank first and leftmost among equals. A heap of
// possible merges and links between neighbours keep a word of n bytes at n log n.
func (t *BPE) mergeWord(w string) []int32 {
	symbols := make([]symbol, 0, len(w))
	for i := range len(w) {
		id := t.bytes[w[i]]
		if id < 0 {
			if id = t.unk; id < 0 {
				continue
			}
		}
		symbols = append(symbols, symbol{id: id, prev: len(symbols) - 1, next: len(symbols) + 1})
	}
	var queue mergeQueue
	push := func(left int) {
		if left < 0 || symbols[left].next >= len(symbols) {
			return
		}
		right := symbols[left].next
		if m, ok := t.ranks[[2]int32{symbols[left].id, symbols[right].id}]; ok {
			heap.Push(&queue, candidate{left, right, symbols[left].id, symbols[right].id, m})
		}
	}
	for i := range symbols {
		push(i)
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		left, right := &symbols[c.left], &symbols[c.right]
		if left.id != c.leftID || right.id != c.rightID || left.next != c.right {
			continue // one of the two was merged meanwhile
		}
		left.id, left.next = c.to.id, right.next
		if right.next < len(symbols) {
			symbols[right.next].prev = c.left
		}
		right.id = -1
		push(left.prev)
		push(c.left)
	}
	ids := make([]int32, 0, 4)
	for i := 0; i < len(symbols); i = symbols[i].next {
		ids = append(ids, symbols[i].id)
	}
	return ids
}

// symbol is one piece of a word while it is merged: -1 once it is part of the one before it.
type symbol struct {
	id         int32
	prev, next int
}

type candidate struct {
	left, right     int
	leftID, rightID int32
	to              merged
}

type mergeQueue []candidate

func (q mergeQueue) Len() int { return len(q) }
func (q mergeQueue) Less(i, j int) bool {
	if q[i].to.rank != q[j].to.rank {
		return q[i].to.rank < q[j].to.rank
	}
	return q[i].left < q[j].left
}
func (q mergeQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *mergeQueue) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *mergeQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// Decode implements Tokenizer. Bytes that are not UTF-8, which a model may well generate,
// come out as U+FFFD.
func (t *BPE) Decode(ids []int32, skipSpecial bool) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(unspell(t.visible(id, skipSpecial)))
	}
	return validUTF8(b.String())
}

// validUTF8 replaces what is not UTF-8 by U+FFFD: one for the longest stretch that could have
// begun a character, as Unicode recommends and Rust and Python do, else one a byte.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r != utf8.RuneError || size > 1 {
			b.WriteString(s[:size])
			s = s[size:]
			continue
		}
		b.WriteRune(utf8.RuneError)
		s = s[truncated(s):]
	}
	return b.String()
}

// truncated returns how many bytes at the start of an invalid s are the beginning of a character.
func truncated(s string) int {
	for n := min(3, len(s)); n > 1; n-- {
		// A beginning is one that some continuation bytes make whole.
		for _, rest := range []string{"\x80", "\x80\x80"} {
			if r, size := utf8.DecodeRuneInString(s[:n] + rest); r != utf8.RuneError && size > n {
				return n
			}
		}
	}
	return 1
}

// maxCachedWords and maxCachedBytes bound the memory of a cache.
const (
	maxCachedWords = 1 << 16
	maxCachedBytes = 64 // longest word kept
)

// wordCache remembers the ids of words. When it is full it starts anew.
type wordCache struct {
	mu    sync.RWMutex
	words map[string][]int32
}

func (c *wordCache) get(w string) ([]int32, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids, ok := c.words[w]
	return ids, ok
}

func (c *wordCache) put(w string, ids []int32) {
	if len(w) > maxCachedBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.words == nil || len(c.words) >= maxCachedWords {
		c.words = map[string][]int32{}
	}
	c.words[strings.Clone(w)] = ids
}
