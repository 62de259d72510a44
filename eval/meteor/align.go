package meteor

import (
	"cmp"
	"slices"
)

// beam is how many partial alignments are followed.
const beam = 40

// path is a partial alignment: what was decided for the words of the reference up to some place.
type path struct {
	matches       []match // chosen so far, and those that are sure
	used, refUsed []bool
	weight        int // of matched words of the caption
	refWeight     int // and of the reference
	chunks        int
	lastEnd       int // behind the last match in the caption; -1: the word before was not matched
	distance      int // between the places of matches
}

// better orders paths: more matches, then fewer pieces, then shorter ways.
func better(a, b *path) int {
	return cmp.Or(cmp.Compare(b.weight+b.refWeight, a.weight+a.refWeight), cmp.Compare(a.chunks, b.chunks), cmp.Compare(a.distance, b.distance))
}

func (p *path) fork() *path {
	q := *p
	q.matches, q.used, q.refUsed = slices.Clone(p.matches), slices.Clone(p.used), slices.Clone(p.refUsed)
	return &q
}

func (p *path) free(m match) bool {
	return !slices.Contains(p.used[m.place:m.place+m.words], true) && !slices.Contains(p.refUsed[m.ref:m.ref+m.refs], true)
}

func (p *path) use(m match) {
	for k := range m.words {
		p.used[m.place+k] = true
	}
	for k := range m.refs {
		p.refUsed[m.ref+k] = true
	}
}

// take counts a match. Weights are whole numbers, as in the authors' program: a single word that matches by its stem
// alone adds nothing, so that such a match has to be sure, or part of a longer piece, to be chosen.
func (p *path) take(m match) {
	w := moduleWeights[m.module]
	p.weight = int(float64(p.weight) + float64(m.words)*w)
	p.refWeight = int(float64(p.refWeight) + float64(m.refs)*w)
	if p.lastEnd != -1 && m.place != p.lastEnd {
		p.chunks++
	}
	p.lastEnd = m.place + m.words
}

// skip leaves a word unmatched, which ends a piece.
func (p *path) skip() {
	if p.lastEnd != -1 {
		p.chunks++
		p.lastEnd = -1
	}
}

func wayOf(m match) int { return max(m.ref-m.place, m.place-m.ref) }

// align finds the best matches, in the order of the reference, and the number of pieces in which they lie.
func (c *candidates) align() (chosen []match, chunks int) {
	sure, start := c.sure()
	paths, next := []*path(nil), []*path{start}
	for at := range c.refs {
		paths, next = next, nil
		slices.SortStableFunc(paths, better)
		for _, p := range paths[:min(beam, len(paths))] {
			if p.refUsed[at] {
				if m := sure[at]; m.refs > 0 {
					p.take(m)
					p.matches = append(p.matches, m)
					p.distance += wayOf(m)
				}
				next = append(next, p) // else within a match that began before
				continue
			}
			for _, m := range c.at[at] {
				if !p.free(m) {
					continue
				}
				q := p.fork()
				q.use(m)
				q.take(m)
				q.matches = append(q.matches, m)
				next = append(next, q)
				p.distance += wayOf(m) // of the others, as in the authors' program
			}
			p.skip()
			next = append(next, p)
		}
	}
	slices.SortStableFunc(next, better)
	next = next[:min(beam, len(next))]
	for _, p := range next {
		p.skip() // the last piece ends
	}
	slices.SortStableFunc(next, better)
	return next[0].matches, next[0].chunks
}

// sure are the matches that share no word with another, by their place in the reference, and the path that holds them.
func (c *candidates) sure() ([]match, *path) {
	sure := make([]match, len(c.refs))
	start := &path{used: make([]bool, len(c.words)), refUsed: make([]bool, len(c.refs)), lastEnd: -1}
	alone := func(coverage []int) bool { return !slices.ContainsFunc(coverage, func(n int) bool { return n != 1 }) }
	for j, found := range c.at {
		if len(found) != 1 {
			continue
		}
		if m := found[0]; alone(c.coverage[m.place:m.place+m.words]) && alone(c.refCoverage[j:j+m.refs]) {
			sure[j] = m
			start.use(m)
		}
	}
	return sure, start
}
