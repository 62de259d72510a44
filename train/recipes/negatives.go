package recipes

import (
	"math/rand/v2"
	"slices"
)

// substitutes makes wrong captions that read like right ones: one token is replaced by another that
// the data set has between the same two neighbours, "the LEFT side" by "the RIGHT side". A token
// that any caption of the same picture holds is never put in, which keeps out most synonyms.
//
// Pictures of a small batch mostly differ in what is easiest to see; without such texts a tower
// that is trained briefly learns that and little else.
type substitutes struct {
	between map[[2]int32][]int32 // (left, right) -> tokens seen between them, ascending
	own     [][]int32            // tokens of all captions of a record, ascending
}

// newSubstitutes reads the captions of all records: [records][captions] token ids.
func newSubstitutes(captions [][][]int32) *substitutes {
	s := &substitutes{between: map[[2]int32][]int32{}}
	for _, record := range captions {
		var own []int32
		for _, ids := range record {
			own = append(own, ids...)
			for i := 1; i+1 < len(ids); i++ {
				key := [2]int32{ids[i-1], ids[i+1]}
				seen := s.between[key]
				if at, found := slices.BinarySearch(seen, ids[i]); !found {
					s.between[key] = slices.Insert(seen, at, ids[i])
				}
			}
		}
		slices.Sort(own)
		s.own = append(s.own, slices.Compact(own))
	}
	return s
}

// wrong is a caption of a record with one token replaced, or, where no token can be, a copy whose
// inner tokens are reversed.
func (s *substitutes) wrong(ids []int32, record int, rng *rand.Rand) []int32 {
	out := slices.Clone(ids)
	if len(ids) < 3 {
		return out
	}
	for _, i := range rng.Perm(len(ids) - 2) {
		i++ // not the first and not the last token
		var fit []int32
		for _, id := range s.between[[2]int32{ids[i-1], ids[i+1]}] {
			if _, own := slices.BinarySearch(s.own[record], id); !own {
				fit = append(fit, id)
			}
		}
		if len(fit) > 0 {
			out[i] = fit[rng.IntN(len(fit))]
			return out
		}
	}
	slices.Reverse(out[1 : len(out)-1])
	return out
}
