package capfilt

import (
	"math"
	"slices"
	"strings"
)

// Source counts the texts of one origin: the web, or a captioner.
type Source struct {
	Origin        string         `json:"origin"`
	Texts         int            `json:"texts"`
	Kept          int            `json:"kept"`
	Rejected      map[string]int `json:"rejected"` // by reason
	WordsPerText  float64        `json:"words_per_text"`
	WordsPerKept  float64        `json:"words_per_kept_text"`
	Distinct1     float64        `json:"distinct_1"` // different words / words, of a sample of the texts
	Distinct2     float64        `json:"distinct_2"` // of pairs of words
	KeptDistinct1 float64        `json:"kept_distinct_1"`
	KeptDistinct2 float64        `json:"kept_distinct_2"`
}

// tally is what a Source is computed from.
type tally struct {
	Source    Source `json:"source"`
	Words     int    `json:"words"`
	KeptWords int    `json:"kept_words"`
	All       sample `json:"all"`
	KeptTexts sample `json:"kept_texts"`
}

// Stats gathers what the summary and the report say of some of a run's pictures, in bounded memory. Stats of parts
// can be merged in any order; the fields are for encoding alone.
type Stats struct {
	Rule     Rule                             `json:"rule"`
	Origins  []*tally                         `json:"origins"`
	Scores   map[string]map[string]*Histogram `json:"scores"`   // filter/kind, or "decides" -> origin
	Truth    map[string]*[2]*Histogram        `json:"truth"`    // origin -> deciding scores of right and of wrong texts
	Verdicts map[string]*Verdict              `json:"verdicts"` // origin, "" for all
	Repeats  *repeats                         `json:"repeats"`
	Examples map[string]*exampleSet           `json:"examples"`
	Summary  Summary                          `json:"summary"`
}

func newStats(rule Rule, origins []string) *Stats {
	s := &Stats{Rule: rule, Scores: map[string]map[string]*Histogram{}, Truth: map[string]*[2]*Histogram{},
		Verdicts: map[string]*Verdict{}, Repeats: newRepeats(), Examples: map[string]*exampleSet{}}
	for _, o := range origins {
		s.Origins = append(s.Origins, &tally{Source: Source{Origin: o, Rejected: map[string]int{}}})
	}
	return s
}

func (s *Stats) histogram(key, origin, kind string) *Histogram {
	if s.Scores[key] == nil {
		s.Scores[key] = map[string]*Histogram{}
	}
	if s.Scores[key][origin] == nil {
		s.Scores[key][origin] = newHistogram(kind)
	}
	return s.Scores[key][origin]
}

// picture counts a picture's texts and decisions.
func (s *Stats) picture(l *line, decisions []Decision) {
	s.Summary.Pictures++
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
	s.Summary.Texts += len(l.Texts)
	s.Summary.Kept += keptWeb + keptWritten
	if keptWeb+keptWritten > 0 {
		s.Summary.PicturesKept++
	}
	if keptWeb == 0 && keptWritten > 0 {
		s.Summary.PicturesGained++
	}
	s.example(l, decisions)
}

// human counts a picture of the set that people wrote.
func (s *Stats) human(l *line) {
	s.Summary.HumanPictures++
	for _, t := range l.Texts {
		s.text(l, t, Decision{Keep: true, Reason: ReasonHuman})
	}
}

func (s *Stats) origin(name string) *tally {
	return s.Origins[slices.IndexFunc(s.Origins, func(o *tally) bool { return o.Source.Origin == name })]
}

func (s *Stats) verdict(group string) *Verdict {
	if s.Verdicts[group] == nil {
		s.Verdicts[group] = newVerdict()
		s.Truth[group] = &[2]*Histogram{newHistogram(s.Rule.Score), newHistogram(s.Rule.Score)}
	}
	return s.Verdicts[group]
}

func (s *Stats) text(l *line, t Text, d Decision) {
	o := s.origin(t.Origin)
	words, hash := len(strings.Fields(t.Text)), hashOf(l.Record.ID, t.Origin, t.Text)
	o.Source.Texts++
	o.Words += words
	o.All.add(hash, t.Text)
	if d.Keep {
		o.Source.Kept++
		o.KeptWords += words
		o.KeptTexts.add(hash, t.Text)
		s.Repeats.add(plain(t.Text), 1)
	} else {
		o.Source.Rejected[d.Reason]++
	}
	for name, kinds := range t.Scores {
		for kind, v := range kinds {
			s.histogram(name+" "+kind, t.Origin, kind).add(v)
		}
	}
	if d.Score != nil {
		s.histogram(decides, t.Origin, s.Rule.Score).add(*d.Score)
	}
	if t.Truth == "" {
		return
	}
	for _, group := range []string{t.Origin, ""} {
		s.verdict(group).add(t.Truth, d.Keep)
		if d.Score == nil {
			continue
		}
		if t.Truth == Right {
			s.Truth[group][0].add(*d.Score)
		} else {
			s.Truth[group][1].add(*d.Score)
		}
	}
}

// decides is the key of the histograms of the score by which the rule decides.
const decides = "decides"

// finish computes what is left once all pictures were counted.
func (s *Stats) finish() *Summary {
	// The smallest origin says on how many texts all are compared.
	compared := sampleSize
	for _, o := range s.Origins {
		if o.Source.Texts > 0 {
			compared = min(compared, o.Source.Texts)
		}
	}
	for _, o := range s.Origins {
		source := o.Source
		source.Distinct1, source.Distinct2 = distinct(o.All.cut(compared))
		source.KeptDistinct1, source.KeptDistinct2 = distinct(o.KeptTexts.cut(compared))
		source.WordsPerText, source.WordsPerKept = per(o.Words, source.Texts), per(o.KeptWords, source.Kept)
		s.Summary.Sources = append(s.Summary.Sources, source)
	}
	s.Summary.DiversityTexts = compared
	s.Summary.Duplicates = s.Repeats.share()
	s.Summary.MostRepeated = s.Repeats.most(10)
	for group, v := range s.Verdicts {
		v.finish(s.Truth[group][0], s.Truth[group][1])
	}
	if all := s.Verdicts[""]; all != nil {
		s.Summary.Truth = &Truth{All: all, Sources: map[string]*Verdict{}}
		for group, v := range s.Verdicts {
			if group != "" {
				s.Summary.Truth.Sources[group] = v
			}
		}
	}
	return &s.Summary
}

func per(sum, n int) float64 {
	if n == 0 {
		return 0
	}
	return math.Round(100*float64(sum)/float64(n)) / 100
}
