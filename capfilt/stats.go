package capfilt

import (
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"goblip/eval"
)

// Source counts the texts of one origin: the web, or a captioner.
type Source struct {
	Origin         string         `json:"origin"`
	Texts          int            `json:"texts"`
	Kept           int            `json:"kept"`
	Rejected       map[string]int `json:"rejected"` // by reason
	WordsPerText   float64        `json:"words_per_text"`
	WordsPerKept   float64        `json:"words_per_kept_text"`
	Distinct1      float64        `json:"distinct_1"` // different words / words, of a sample of the texts
	Distinct2      float64        `json:"distinct_2"` // of pairs of words
	KeptDistinct1  float64        `json:"kept_distinct_1"`
	KeptDistinct2  float64        `json:"kept_distinct_2"`
	words          int
	keptWords      int
	all, keptTexts sample
}

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

func (h *Histogram) total() (n int) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// sample keeps the texts of least hash: the same ones whatever the order, and never more than its size.
type sample struct{ texts []hashed }

type hashed struct {
	hash uint64
	text string
}

// sampleSize is how many texts diversity is measured on. Distinct words per word fall with the number of texts,
// so the origins are compared on equally many.
const sampleSize = 2000

func (s *sample) add(hash uint64, text string) {
	s.texts = append(s.texts, hashed{hash, text})
	if len(s.texts) >= 2*sampleSize {
		s.cut(sampleSize)
	}
}

func (s *sample) cut(n int) []hashed {
	slices.SortFunc(s.texts, func(a, b hashed) int {
		switch {
		case a.hash != b.hash && a.hash < b.hash:
			return -1
		case a.hash != b.hash:
			return 1
		}
		return strings.Compare(a.text, b.text)
	})
	s.texts = s.texts[:min(n, len(s.texts))]
	return s.texts
}

// distinct is the share of different n-grams among all, for 1 and 2 words.
func distinct(texts []hashed) (one, two float64) {
	words, pairs := map[string]struct{}{}, map[string]struct{}{}
	nWords, nPairs := 0, 0
	for _, t := range texts {
		tokens := strings.Fields(eval.Tokenize(t.text))
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
	zeros  int
	counts map[uint64]*repeated
}

type repeated struct {
	text  string
	times int
}

const maxDifferent = 100_000

func newRepeats() *repeats { return &repeats{counts: map[uint64]*repeated{}} }

func (r *repeats) add(text string) {
	h := hashOf(text)
	if h>>(64-r.zeros) != 0 {
		return
	}
	if c := r.counts[h]; c != nil {
		c.times++
		return
	}
	r.counts[h] = &repeated{text, 1}
	for len(r.counts) > maxDifferent {
		r.zeros++
		for h := range r.counts {
			if h>>(64-r.zeros) != 0 {
				delete(r.counts, h)
			}
		}
	}
}

// share is the part of texts that repeat one that was there before.
func (r *repeats) share() float64 {
	again, all := 0, 0
	for _, c := range r.counts {
		again, all = again+c.times-1, all+c.times
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
	for _, c := range r.counts {
		if c.times > 1 {
			out = append(out, Repeat{c.text, c.times})
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

// stats gathers what the summary and the report say.
type stats struct {
	rule     Rule
	origins  []*Source
	scores   map[string]map[string]*Histogram // filter/kind, or "decides" -> origin
	truth    map[string]*[2]*Histogram        // origin -> deciding scores of right and of wrong texts
	verdicts map[string]*Verdict              // origin, "" for all
	repeats  *repeats
	examples map[string]*exampleSet
	summary  Summary
}

func newStats(rule Rule, origins []string) *stats {
	s := &stats{rule: rule, scores: map[string]map[string]*Histogram{}, truth: map[string]*[2]*Histogram{},
		verdicts: map[string]*Verdict{}, repeats: newRepeats(), examples: map[string]*exampleSet{}}
	for _, o := range origins {
		s.origins = append(s.origins, &Source{Origin: o, Rejected: map[string]int{}})
	}
	return s
}

func (s *stats) histogram(key, origin, kind string) *Histogram {
	if s.scores[key] == nil {
		s.scores[key] = map[string]*Histogram{}
	}
	if s.scores[key][origin] == nil {
		s.scores[key][origin] = newHistogram(kind)
	}
	return s.scores[key][origin]
}

// picture counts a picture's texts and decisions.
func (s *stats) picture(l *line, decisions []Decision) {
	s.summary.Pictures++
	keptWeb, keptWritten := 0, 0
	for i, t := range l.Texts {
		d := decisions[i]
		s.text(l, t, d)
		switch {
		case d.Keep && t.Origin == Web:
			keptWeb++
		case d.Keep:
			keptWritten++
		}
	}
	s.summary.Texts += len(l.Texts)
	s.summary.Kept += keptWeb + keptWritten
	if keptWeb+keptWritten > 0 {
		s.summary.PicturesKept++
	}
	if keptWeb == 0 && keptWritten > 0 {
		s.summary.PicturesGained++
	}
	s.example(l, decisions)
}

// human counts a picture of the set that people wrote.
func (s *stats) human(l *line) {
	s.summary.HumanPictures++
	for _, t := range l.Texts {
		s.text(l, t, Decision{Keep: true, Reason: ReasonHuman})
	}
}

func (s *stats) text(l *line, t Text, d Decision) {
	o := s.origins[slices.IndexFunc(s.origins, func(o *Source) bool { return o.Origin == t.Origin })]
	words, hash := len(strings.Fields(t.Text)), hashOf(l.Record.ID, t.Origin, t.Text)
	o.Texts++
	o.words += words
	o.all.add(hash, t.Text)
	if d.Keep {
		o.Kept++
		o.keptWords += words
		o.keptTexts.add(hash, t.Text)
		s.repeats.add(plain(t.Text))
	} else {
		o.Rejected[d.Reason]++
	}
	for name, kinds := range t.Scores {
		for kind, v := range kinds {
			s.histogram(name+" "+kind, t.Origin, kind).add(v)
		}
	}
	if d.Score != nil {
		s.histogram(decides, t.Origin, s.rule.Score).add(*d.Score)
	}
	if t.Truth == "" {
		return
	}
	for _, group := range []string{t.Origin, ""} {
		if s.verdicts[group] == nil {
			s.verdicts[group] = newVerdict()
			s.truth[group] = &[2]*Histogram{newHistogram(s.rule.Score), newHistogram(s.rule.Score)}
		}
		s.verdicts[group].add(t.Truth, d.Keep)
		if d.Score == nil {
			continue
		}
		if t.Truth == Right {
			s.truth[group][0].add(*d.Score)
		} else {
			s.truth[group][1].add(*d.Score)
		}
	}
}

// decides is the key of the histograms of the score by which the rule decides.
const decides = "decides"

// finish computes what is left once all pictures were counted.
func (s *stats) finish() *Summary {
	// The smallest origin says on how many texts all are compared.
	compared := sampleSize
	for _, o := range s.origins {
		if o.Texts > 0 {
			compared = min(compared, o.Texts)
		}
	}
	for _, o := range s.origins {
		o.Distinct1, o.Distinct2 = distinct(o.all.cut(compared))
		o.KeptDistinct1, o.KeptDistinct2 = distinct(o.keptTexts.cut(compared))
		o.WordsPerText, o.WordsPerKept = per(o.words, o.Texts), per(o.keptWords, o.Kept)
		s.summary.Sources = append(s.summary.Sources, *o)
	}
	s.summary.DiversityTexts = compared
	s.summary.Duplicates = s.repeats.share()
	s.summary.MostRepeated = s.repeats.most(10)
	for group, v := range s.verdicts {
		v.finish(s.truth[group][0], s.truth[group][1])
	}
	if all := s.verdicts[""]; all != nil {
		s.summary.Truth = &Truth{All: all, Sources: map[string]*Verdict{}}
		for group, v := range s.verdicts {
			if group != "" {
				s.summary.Truth.Sources[group] = v
			}
		}
	}
	return &s.summary
}

func per(sum, n int) float64 {
	if n == 0 {
		return 0
	}
	return math.Round(100*float64(sum)/float64(n)) / 100
}
