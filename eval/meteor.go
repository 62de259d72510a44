package eval

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// METEOR 1.5 for English, tuned to rank systems (M. Denkowski and A. Lavie, 2014).
const (
	meteorAlpha = 0.85 // recall against precision
	meteorBeta  = 0.2  // shape of the penalty for pieces
	meteorGamma = 0.6  // its weight
	meteorDelta = 0.75 // content words against function words
)

// meteorModules weighs how two words were matched: exact, stem, synonym, paraphrase.
var meteorModules = [4]float64{1, 0.6, 0.8, 0.6}

// MeteorStats is what METEOR counts in the alignment of a caption with its best reference: the numbers of the reference
// program's SCORE lines. The score of a corpus comes from their sum.
type MeteorStats struct {
	Length, RefLength     float64
	Function, RefFunction float64    // function words of each
	Matches               [4]matched // by module
	Chunks                float64
	Matched, RefMatched   float64 // words
}

// matched are matched words.
type matched struct{ content, refContent, function, refFunction float64 }

// ParseMeteorStats reads the 23 numbers of a SCORE line.
func ParseMeteorStats(line string) (s MeteorStats, err error) {
	fields := strings.Fields(line)
	if len(fields) != 23 {
		return s, fmt.Errorf("METEOR statistics %q: %d numbers, want 23", line, len(fields))
	}
	var n [23]float64
	for i, f := range fields {
		if n[i], err = strconv.ParseFloat(f, 64); err != nil || n[i] < 0 || math.IsNaN(n[i]) || math.IsInf(n[i], 0) {
			return s, fmt.Errorf("METEOR statistics %q: %q is not a count", line, f)
		}
	}
	s = MeteorStats{Length: n[0], RefLength: n[1], Function: n[2], RefFunction: n[3], Chunks: n[20], Matched: n[21], RefMatched: n[22]}
	for m := range s.Matches {
		s.Matches[m] = matched{n[4+4*m], n[5+4*m], n[6+4*m], n[7+4*m]}
	}
	return s, nil
}

// perfect tells that all words match in one piece: no penalty.
func (s *MeteorStats) perfect() bool {
	return s.Matched == s.Length && s.RefMatched == s.RefLength && s.Chunks == 1
}

func (s *MeteorStats) add(other *MeteorStats) {
	s.Length += other.Length
	s.RefLength += other.RefLength
	s.Function += other.Function
	s.RefFunction += other.RefFunction
	for m := range s.Matches {
		s.Matches[m].content += other.Matches[m].content
		s.Matches[m].refContent += other.Matches[m].refContent
		s.Matches[m].function += other.Matches[m].function
		s.Matches[m].refFunction += other.Matches[m].refFunction
	}
	if !other.perfect() {
		s.Chunks += other.Chunks
	}
	s.Matched += other.Matched
	s.RefMatched += other.RefMatched
}

// Score is METEOR, 0 to 1.
func (s *MeteorStats) Score() float64 {
	var hits, refHits float64
	for m, w := range meteorModules {
		hits += w * (meteorDelta*s.Matches[m].content + (1-meteorDelta)*s.Matches[m].function)
		refHits += w * (meteorDelta*s.Matches[m].refContent + (1-meteorDelta)*s.Matches[m].refFunction)
	}
	length := meteorDelta*(s.Length-s.Function) + (1-meteorDelta)*s.Function
	refLength := meteorDelta*(s.RefLength-s.RefFunction) + (1-meteorDelta)*s.RefFunction
	if hits == 0 || refHits == 0 || length == 0 || refLength == 0 {
		return 0
	}
	precision, recall := hits/length, refHits/refLength
	mean := 1 / ((1-meteorAlpha)/precision + meteorAlpha/recall)
	if s.perfect() {
		return mean
	}
	pieces := s.Chunks / ((s.Matched + s.RefMatched) / 2)
	return mean * (1 - meteorGamma*math.Pow(pieces, meteorBeta))
}

// MeteorMetric is METEOR of images, from the statistics of each.
func MeteorMetric(stats []MeteorStats) CaptionMetric {
	images := make([]float64, len(stats))
	for i := range stats {
		images[i] = stats[i].Score()
	}
	return CaptionMetric{"METEOR", func(draw []int) float64 {
		var total MeteorStats
		if draw == nil {
			for i := range stats {
				total.add(&stats[i])
			}
		}
		for _, i := range draw {
			total.add(&stats[i])
		}
		return total.Score()
	}, images}
}
