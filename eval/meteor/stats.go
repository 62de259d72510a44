package meteor

import "math"

// METEOR 1.5 for English, tuned to rank systems (M. Denkowski and A. Lavie, 2014).
const (
	alpha = 0.85 // recall against precision
	beta  = 0.2  // shape of the penalty for pieces
	gamma = 0.6  // its weight
	delta = 0.75 // content words against function words
)

// moduleWeights weighs how two words were matched: exact, stem, synonym, paraphrase.
var moduleWeights = [4]float64{1, 0.6, 0.8, 0.6}

// Stats is what METEOR counts in the alignment of a caption with its best reference: the 23 numbers
// that its program prints. The score of a corpus comes from their sum.
type Stats struct {
	Length, RefLength     float64
	Function, RefFunction float64    // function words of each
	Matches               [4]matched // by module
	Chunks                float64
	Matched, RefMatched   float64 // words
}

// matched are matched words.
type matched struct{ content, refContent, function, refFunction float64 }

// perfect tells that all words match in one piece: no penalty.
func (s *Stats) perfect() bool {
	return s.Matched == s.Length && s.RefMatched == s.RefLength && s.Chunks == 1
}

// Add sums up the statistics of a corpus. The pieces of perfect captions do not count.
func (s *Stats) Add(other *Stats) {
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
func (s *Stats) Score() float64 {
	var hits, refHits float64
	for m, w := range moduleWeights {
		hits += w * (delta*s.Matches[m].content + (1-delta)*s.Matches[m].function)
		refHits += w * (delta*s.Matches[m].refContent + (1-delta)*s.Matches[m].refFunction)
	}
	length := delta*(s.Length-s.Function) + (1-delta)*s.Function
	refLength := delta*(s.RefLength-s.RefFunction) + (1-delta)*s.RefFunction
	if hits == 0 || refHits == 0 || length == 0 || refLength == 0 {
		return 0
	}
	precision, recall := hits/length, refHits/refLength
	mean := 1 / ((1-alpha)/precision + alpha/recall)
	if s.perfect() {
		return mean
	}
	pieces := s.Chunks / ((s.Matched + s.RefMatched) / 2)
	return mean * (1 - gamma*math.Pow(pieces, beta))
}
