package recipes

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAnswerBeforeItsQuestion(t *testing.T) {
	d := document{
		captions:  []weighted{{ids: []int32{1, 2}, weights: []int32{1, 1}}},
		questions: []weighted{{ids: []int32{5, 6, 7}, weights: []int32{1, 1, 10}, answer: []int32{7}}},
	}
	plain, hinted := []int32{1, 2, 5, 6, 7}, []int32{1, 2, 7, 5, 6, 7}
	rng := rand.New(rand.NewPCG(1, 1))
	count := 0
	for range 400 {
		row := d.pick(2, 0.25, rng)
		if len(row.ids) != len(row.weights) || row.weights[len(row.weights)-1] != 10 {
			t.Fatalf("%d tokens with weights %v", len(row.ids), row.weights)
		}
		switch {
		case slices.Equal(row.ids, hinted):
			count++
		case !slices.Equal(row.ids, plain):
			t.Fatalf("document %v", row.ids)
		}
	}
	if count < 60 || count > 140 {
		t.Errorf("the answer stood first in %d of 400 documents, want about 100", count)
	}
	if n := d.longest(2); n != len(hinted) {
		t.Errorf("longest is %d, want %d", n, len(hinted))
	}
}
