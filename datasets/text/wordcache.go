package text

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Bounds of the memory of a cache.
const (
	cachedWords    = 1 << 15
	maxCachedBytes = 64 // longest word kept
)

// wordCache remembers the ids of words: most words of a text were seen before. A word has one
// place, by its hash, and the last word with that place keeps it, so that reading and writing
// need no lock and the memory is bounded.
type wordCache struct {
	seed  maphash.Seed
	words []atomic.Pointer[cachedWord]
}

type cachedWord struct {
	word string
	ids  []int32
}

func newWordCache() wordCache {
	return wordCache{maphash.MakeSeed(), make([]atomic.Pointer[cachedWord], cachedWords)}
}

// append appends the ids of a word to dst: those kept, else those that make appends.
func (c *wordCache) append(dst []int32, word string, make func(dst []int32, word string) []int32) []int32 {
	if len(word) > maxCachedBytes {
		return make(dst, word)
	}
	place := &c.words[maphash.String(c.seed, word)%cachedWords]
	if found := place.Load(); found != nil && found.word == word {
		return append(dst, found.ids...)
	}
	first := len(dst)
	dst = make(dst, word)
	place.Store(&cachedWord{strings.Clone(word), append([]int32(nil), dst[first:]...)})
	return dst
}
