package meteor

import "strings"

// module is a way in which words match.
type module int

const (
	exact module = iota
	byStem
	bySynonym
	byParaphrase
)

// match is a phrase of a caption that may be matched with one of its reference: places and numbers of their words.
type match struct {
	module       module
	ref, refs    int
	place, words int
}

// word is one of a caption, with all that decides what it matches.
type word struct {
	text, stem string
	synonyms   map[uint32]bool
	function   bool
}

// candidates are the matches of a caption with its reference, by the place where they begin in the reference, in the
// order in which they were found, and how many of them each word has.
type candidates struct {
	words, refs           []*word
	at                    [][]match
	coverage, refCoverage []int
}

func newCandidates(words, refs []*word, table paraphrases) *candidates {
	c := &candidates{words: words, refs: refs, at: make([][]match, len(refs)), coverage: make([]int, len(words)), refCoverage: make([]int, len(refs))}
	c.pairs(exact, func(a, b *word) bool { return a == b })
	if same(words, refs) { // nothing is left for the others
		return c
	}
	c.pairs(byStem, func(a, b *word) bool { return a != b && a.stem == b.stem })
	c.pairs(bySynonym, func(a, b *word) bool { return a != b && overlap(a.synonyms, b.synonyms) })
	if len(table) > 0 {
		c.paraphrases(table)
	}
	return c
}

// same tells that two texts have the same words, of which there is one each.
func same(a, b []*word) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func overlap(a, b map[uint32]bool) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for id := range a {
		if b[id] {
			return true
		}
	}
	return false
}

// pairs finds the single words that match.
func (c *candidates) pairs(m module, fit func(a, b *word) bool) {
	for j, ref := range c.refs {
		for i, w := range c.words {
			if fit(w, ref) {
				c.add(match{m, j, 1, i, 1})
			}
		}
	}
}

func (c *candidates) add(m match) {
	c.at[m.ref] = append(c.at[m.ref], m)
	for k := range m.words {
		c.coverage[m.place+k]++
	}
	for k := range m.refs {
		c.refCoverage[m.ref+k]++
	}
}

// paraphrases finds phrases of the reference that the table has for phrases of the caption, and then the reverse: an entry
// that is there both ways gives two matches, neither of which is sure.
func (c *candidates) paraphrases(table paraphrases) {
	inWords := phrasesOf(c.words)
	eachPhrase(c.refs, func(phrase string, j, n int) {
		for _, other := range table[phrase] {
			for _, i := range inWords[other] {
				c.add(match{byParaphrase, j, n, i, strings.Count(other, " ") + 1})
			}
		}
	})
	inRefs := phrasesOf(c.refs)
	eachPhrase(c.words, func(phrase string, i, n int) {
		for _, other := range table[phrase] {
			for _, j := range inRefs[other] {
				c.add(match{byParaphrase, j, strings.Count(other, " ") + 1, i, n})
			}
		}
	})
}

// eachPhrase visits the phrases of a text, by place and length.
func eachPhrase(words []*word, visit func(phrase string, at, length int)) {
	for i := range words {
		phrase := words[i].text
		for n := 1; ; n++ {
			visit(phrase, i, n)
			if n == longestPhrase || i+n == len(words) {
				break
			}
			phrase += " " + words[i+n].text
		}
	}
}

func phrasesOf(words []*word) map[string][]int {
	places := map[string][]int{}
	eachPhrase(words, func(phrase string, at, _ int) { places[phrase] = append(places[phrase], at) })
	return places
}
