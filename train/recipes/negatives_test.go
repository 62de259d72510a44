package recipes

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestWrongCaptionDiffersInOneFittingToken(t *testing.T) {
	// 1 ... 2 are the ends; 10 and 11 stand between the same neighbours, 12 too but is the record's own.
	captions := [][][]int32{
		{{1, 5, 10, 6, 2}, {1, 5, 12, 7, 2}},
		{{1, 5, 11, 6, 2}},
		{{1, 5, 12, 6, 2}},
	}
	s := newSubstitutes(captions)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		got := s.wrong(captions[0][0], 0, rng)
		if want := []int32{1, 5, 11, 6, 2}; !slices.Equal(got, want) {
			t.Fatalf("wrong caption %v, want %v: the only token that fits and is not of the same picture", got, want)
		}
	}
	if captions[0][0][2] != 10 {
		t.Error("the right caption was changed")
	}
	if got := s.wrong([]int32{1, 8, 9, 2}, 1, rng); !slices.Equal(got, []int32{1, 9, 8, 2}) {
		t.Errorf("caption without a fitting token became %v, want its inner tokens reversed", got)
	}
}
