package eval

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// maxOrder is the longest n-gram that BLEU and CIDEr count.
const maxOrder = 4

// gramKey is an n-gram: the numbers of its words from 1 on, 0 behind its end.
type gramKey [maxOrder]uint32

// nGram is a run of order+1 words and how often it occurs.
type nGram struct {
	key   gramKey
	id    uint32 // its number in the corpus
	order int    // number of words - 1
	count int
}

// sentence is a tokenised caption with its n-grams of all orders, in the order of their first occurrence, so that sums
// over them do not depend on the order of a map.
type sentence struct {
	text  string
	words []uint32
	grams []nGram
}

// captionCorpus is one caption an image and its references.
type captionCorpus struct {
	hyps []sentence
	refs [][]sentence

	frequency []int // n-gram -> images whose references hold it
}

// newCorpus numbers the words and counts the n-grams of tokenised captions.
func newCorpus(hyps []string, refs [][]string) (*captionCorpus, error) {
	if err := checkCaptions(hyps, refs); err != nil {
		return nil, err
	}
	numbers := map[string]uint32{}
	read := func(text string) sentence {
		s := sentence{text: text}
		for word := range strings.FieldsSeq(text) {
			n, seen := numbers[word]
			if !seen {
				n = uint32(len(numbers) + 1)
				numbers[strings.Clone(word)] = n
			}
			s.words = append(s.words, n)
		}
		return s
	}
	c := &captionCorpus{hyps: make([]sentence, len(hyps)), refs: make([][]sentence, len(refs))}
	for i, hyp := range hyps {
		c.hyps[i] = read(hyp)
		c.refs[i] = make([]sentence, len(refs[i]))
		for j, ref := range refs[i] {
			c.refs[i][j] = read(ref)
		}
	}
	parallel(len(hyps), func(i int) {
		c.hyps[i].grams = countNGrams(c.hyps[i].words)
		for j := range c.refs[i] {
			c.refs[i][j].grams = countNGrams(c.refs[i][j].words)
		}
	})
	c.numberGrams()
	return c, nil
}

// numberGrams numbers the n-grams of the corpus and counts the images whose references hold each.
func (c *captionCorpus) numberGrams() {
	numbers := map[gramKey]uint32{}
	var last []int // n-gram -> 1 + the last image that was counted for it
	number := func(g *nGram) {
		n, seen := numbers[g.key]
		if !seen {
			n = uint32(len(numbers))
			numbers[g.key] = n
			c.frequency, last = append(c.frequency, 0), append(last, 0)
		}
		g.id = n
	}
	for i := range c.refs {
		for j := range c.refs[i] {
			grams := c.refs[i][j].grams
			for k := range grams {
				number(&grams[k])
				if id := grams[k].id; last[id] != i+1 {
					last[id] = i + 1
					c.frequency[id]++
				}
			}
		}
		for k := range c.hyps[i].grams {
			number(&c.hyps[i].grams[k])
		}
	}
}

// places finds n-grams by number.
func places(grams []nGram) map[uint32]int {
	at := make(map[uint32]int, len(grams))
	for k, g := range grams {
		at[g.id] = k
	}
	return at
}

// fewWords is the length up to which looking through a caption's n-grams is faster than a map of them.
const fewWords = 24

func countNGrams(words []uint32) []nGram {
	grams := make([]nGram, 0, maxOrder*len(words))
	var index map[gramKey]int
	if len(words) > fewWords {
		index = make(map[gramKey]int, maxOrder*len(words))
	}
	for order := range maxOrder {
		first := len(grams) // of this order
		for start := 0; start+order < len(words); start++ {
			var key gramKey
			copy(key[:], words[start:start+order+1])
			at := -1
			if index == nil {
				for k := first; k < len(grams) && at < 0; k++ {
					if grams[k].key == key {
						at = k
					}
				}
			} else if k, seen := index[key]; seen {
				at = k
			}
			if at < 0 {
				at = len(grams)
				grams = append(grams, nGram{key: key, order: order})
				if index != nil {
					index[key] = at
				}
			}
			grams[at].count++
		}
	}
	return grams
}

// parallel calls fn for 0..n-1 on all processors. What fn writes must belong to its number.
func parallel(n int, fn func(i int)) {
	const block = 16
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+block-1)/block) {
		wait.Go(func() {
			for {
				from := int(next.Add(block)) - block
				if from >= n {
					return
				}
				for i := from; i < min(from+block, n); i++ {
					fn(i)
				}
			}
		})
	}
	wait.Wait()
}
