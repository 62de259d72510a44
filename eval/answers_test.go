package eval

import "testing"

func TestNormalizeAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		"Two": "2", " a Red  circle. ": "red circle", "The dog": "dog", "yes!": "yes", "": "", "none": "0",
	} {
		if got := NormalizeAnswer(answer); got != want {
			t.Errorf("NormalizeAnswer(%q) = %q, want %q", answer, got, want)
		}
	}
}

func TestScoreAnswers(t *testing.T) {
	blind := NewBlind()
	blind.Learn("count", "how many circles?", []string{"one"})
	blind.Learn("count", "how many circles?", []string{"one"})
	blind.Learn("count", "how many squares?", []string{"3"})
	blind.Learn("colour", "what colour is it?", []string{"red"})
	overall, kinds := ScoreAnswers([]Answered{
		{Question: "How many circles", Kind: "count", Answers: []string{"1"}, Given: "two"},                // blind is right
		{Question: "how many stars?", Kind: "count", Answers: []string{"2"}, Given: "Two."},                // blind falls back to 1
		{Question: "what colour is it?", Kind: "colour", Answers: []string{"blue", "navy"}, Given: "navy"}, // blind: red
		{Question: "is it?", Kind: "other", Answers: []string{"yes"}, Given: ""},                           // blind knows nothing
	}, blind, 1)
	if overall.Questions != 4 || overall.Share.Mean != 50 || *overall.Blind != 25 {
		t.Errorf("overall %+v blind %v, want 50 of 4 and 25", overall, *overall.Blind)
	}
	want := []struct {
		kind         string
		share, blind float64
	}{{"colour", 100, 0}, {"count", 50, 50}, {"other", 0, 0}}
	for i, w := range want {
		if k := kinds[i]; k.Kind != w.kind || k.Share.Mean != w.share || *k.Blind != w.blind {
			t.Errorf("kind %d: %+v blind %v, want %+v", i, k, *k.Blind, w)
		}
	}
	if overall, _ := ScoreAnswers(nil, nil, 1); overall.Questions != 0 || overall.Blind != nil {
		t.Errorf("no questions: %+v", overall)
	}
}
