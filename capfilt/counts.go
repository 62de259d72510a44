package capfilt

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	"goblip/eval"
)

// Histogram counts scores in equal bins.
type Histogram struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Counts []int   `json:"counts"`
}

const bins = 200

func newHistogram(kind string) *Histogram {
	h := &Histogram{Low: -1, High: 1, Counts: make([]int, bins)}
	if kind == ITM {
		h.Low = 0
	}
	return h
}

func (h *Histogram) add(v float64) {
	i := int((v - h.Low) / (h.High - h.Low) * bins)
	h.Counts[min(max(i, 0), bins-1)]++
}

func (h *Histogram) merge(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
}

func (h *Histogram) total() (n int) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// sample keeps the texts of least hash: the same ones whatever the order, and never more than its size.
type sample struct {
	Texts []hashed `json:"texts"`
}

type hashed struct {
	Hash uint64 `json:"hash"`
	Text string `json:"text"`
}

// sampleSize is how many texts diversity is measured on. Distinct words per word fall with the number of texts,
// so the origins are compared on equally many.
const sampleSize = 2000

func (s *sample) add(hash uint64, text string) {
	s.Texts = append(s.Texts, hashed{hash, text})
	if len(s.Texts) >= 2*sampleSize {
		s.cut(sampleSize)
	}
}

func (s *sample) merge(o sample) {
	s.Texts = append(s.Texts, o.Texts...)
	if len(s.Texts) >= 2*sampleSize {
		s.cut(sampleSize)
	}
}

func (s *sample) cut(n int) []hashed {
	slices.SortFunc(s.Texts, func(a, b hashed) int {
		return cmp.Or(cmp.Compare(a.Hash, b.Hash), strings.Compare(a.Text, b.Text))
	})
	s.Texts = s.Texts[:min(n, len(s.Texts))]
	return s.Texts
}

// distinct is the share of different n-grams among all, for 1 and 2 words.
func distinct(texts []hashed) (one, two float64) {
	words, pairs := map[string]struct{}{}, map[string]struct{}{}
	nWords, nPairs := 0, 0
	for _, t := range texts {
		tokens := strings.Fields(eval.Tokenize(t.Text))
		for i, w := range tokens {
			words[w] = struct{}{}
			nWords++
			if i > 0 {
				pairs[tokens[i-1]+" "+w] = struct{}{}
				nPairs++
			}
		}
	}
	ratio := func(n, of int) float64 {
		if of == 0 {
			return 0
		}
		return round(float64(n) / float64(of))
	}
	return ratio(len(words), nWords), ratio(len(pairs), nPairs)
}

// repeats counts how often texts occur, exactly up to a number of different texts, of a fair sample beyond: it
// keeps those whose hash has so many zeros in front.
type repeats struct {
	Zeros  int                `json:"zeros"`
	Counts map[uint64]*Repeat `json:"counts"` // by hash
}

const maxDifferent = 100_000

func newRepeats() *repeats { return &repeats{Counts: map[uint64]*Repeat{}} }

func (r *repeats) add(text string, times int) {
	h := hashOf(text)
	if !r.wants(h) {
		return
	}
	if c := r.Counts[h]; c != nil {
		c.Times += times
		return
	}
	r.Counts[h] = &Repeat{text, times}
	for len(r.Counts) > maxDifferent {
		r.Zeros++
		r.cut()
	}
}

func (r *repeats) wants(hash uint64) bool { return hash>>(64-r.Zeros) == 0 }

func (r *repeats) cut() {
	for h := range r.Counts {
		if !r.wants(h) {
			delete(r.Counts, h)
		}
	}
}

// merge adds other texts; the outcome is that of counting all of them here.
func (r *repeats) merge(o *repeats) {
	r.Zeros = max(r.Zeros, o.Zeros)
	r.cut()
	for _, c := range o.Counts {
		r.add(c.Text, c.Times)
	}
}

// share is the part of texts that repeat one that was there before.
func (r *repeats) share() float64 {
	again, all := 0, 0
	for _, c := range r.Counts {
		again, all = again+c.Times-1, all+c.Times
	}
	if all == 0 {
		return 0
	}
	return round(float64(again) / float64(all))
}

// Repeat is a text that occurs more than once.
type Repeat struct {
	Text  string `json:"text"`
	Times int    `json:"times"`
}

// most are the texts that occur most often.
func (r *repeats) most(n int) []Repeat {
	out := []Repeat{}
	for _, c := range r.Counts {
		if c.Times > 1 {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b Repeat) int {
		if a.Times != b.Times {
			return b.Times - a.Times
		}
		return strings.Compare(a.Text, b.Text)
	})
	return out[:min(n, len(out))]
}

// hashOf mixes FNV's hash of the parts, whose upper bits alone are not even.
func hashOf(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p)) // never fails
		h.Write([]byte{0})
	}
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
