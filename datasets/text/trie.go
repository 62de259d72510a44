package text

import (
	"errors"
	"fmt"
	"math/bits"
)

// pairTable maps pairs of numbers to a number: an open-addressing hash table, several times as fast
// as a map, and these are the look-ups that encoding consists of.
type pairTable struct {
	keys   []uint64 // 0: free; a pair's key is one more than the pair
	values []int32
	count  int
	shift  int // of a 64-bit hash, to get a place
}

// newPairTable makes a table with places for n pairs; it grows by itself.
func newPairTable(n int) pairTable {
	size := bits.Len(uint(max(n, 8))) + 1
	return pairTable{keys: make([]uint64, 1<<size), values: make([]int32, 1<<size), shift: 64 - size}
}

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) + 1 }

// place returns where the key is, or where it belongs.
func (t *pairTable) place(key uint64) int {
	i := int(key * 0x9E3779B97F4A7C15 >> t.shift)
	for t.keys[i] != 0 && t.keys[i] != key {
		if i++; i == len(t.keys) {
			i = 0
		}
	}
	return i
}

// get returns the value of a pair, -1 if there is none.
func (t *pairTable) get(a, b int32) int32 {
	i := t.place(pairKey(a, b))
	if t.keys[i] == 0 {
		return -1
	}
	return t.values[i]
}

// put sets the value of a pair.
func (t *pairTable) put(a, b, value int32) {
	if 2*t.count >= len(t.keys) {
		bigger := newPairTable(2 * t.count)
		for i, key := range t.keys {
			if key != 0 {
				j := bigger.place(key)
				bigger.keys[j], bigger.values[j] = key, t.values[i]
			}
		}
		bigger.count = t.count
		*t = bigger
	}
	key := pairKey(a, b)
	i := t.place(key)
	if t.keys[i] == 0 {
		t.keys[i] = key
		t.count++
	}
	t.values[i] = value
}

// trie finds the tokens that a text begins with: nodes are numbers, edges pairs of node and byte.
// Node 0 is the root.
type trie struct {
	edges pairTable
	ids   []int32 // by node: the id of the token that ends there, or -1
}

// Bounds of a trie: the tokens of T5 make some 150,000 nodes, and none of them is long.
const (
	maxNodes      = 4 << 20
	maxTokenBytes = 4096
)

func newTrie() *trie { return &trie{edges: newPairTable(0), ids: []int32{-1}} }

// trieOf makes a trie of tokens, their places the ids. Of equal tokens the last one counts; empty
// ones are left out.
func trieOf(tokens []string) (*trie, error) {
	t := &trie{edges: newPairTable(2 * len(tokens)), ids: make([]int32, 1, 2*len(tokens)+1)}
	t.ids[0] = -1
	for id, token := range tokens {
		if token == "" {
			continue
		}
		if err := t.add(token, int32(id)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// add makes a token, which is not empty, known.
func (t *trie) add(token string, id int32) error {
	if len(token) > maxTokenBytes {
		return fmt.Errorf("a token of %d bytes", len(token))
	}
	node := int32(0)
	for i := range len(token) {
		next := t.step(node, token[i])
		if next < 0 {
			if len(t.ids) >= maxNodes {
				return errors.New("the tokens are too many and too long")
			}
			next = int32(len(t.ids))
			t.ids = append(t.ids, -1)
			t.edges.put(node, int32(token[i]), next)
		}
		node = next
	}
	t.ids[node] = id
	return nil
}

// step follows the edge of a byte; -1 if there is none.
func (t *trie) step(node int32, b byte) int32 { return t.edges.get(node, int32(b)) }

// walk follows the bytes of s from the root; -1 if no token begins so.
func (t *trie) walk(s string) int32 {
	node := int32(0)
	for i := 0; i < len(s) && node >= 0; i++ {
		node = t.step(node, s[i])
	}
	return node
}
