package capfilt

import (
	"slices"
	"strconv"
	"testing"
)

func TestDecide(t *testing.T) {
	text := func(words string, scores ...float64) Text { // of filters a, b, ...
		t := Text{Text: words, Scores: map[string]map[string]float64{}}
		for i, s := range scores {
			t.Scores[string(rune('a'+i))] = map[string]float64{ITM: s, CLIP: -s}
		}
		return t
	}
	half := 0.5
	texts := []Text{text("one", 0.5, 0.4), text("two", 0.9, 0.2), text("ONE  "), text(" "), text("three", 0.45, 0.6), text("four", 0.55, 0.55)}
	for _, test := range []struct {
		name string
		rule Rule
		want []string
	}{
		{"mean", Rule{Score: ITM, Ensemble: Mean, Threshold: &half}, []string{ReasonLow, ReasonMatches, ReasonDuplicate, ReasonEmpty, ReasonMatches, ReasonMatches}},
		{"all must agree", Rule{Score: ITM, Ensemble: Min, Threshold: &half}, []string{ReasonLow, ReasonLow, ReasonDuplicate, ReasonEmpty, ReasonLow, ReasonMatches}},
		{"one is enough", Rule{Score: ITM, Ensemble: Max, Threshold: &half}, []string{ReasonMatches, ReasonMatches, ReasonDuplicate, ReasonEmpty, ReasonMatches, ReasonMatches}},
		{"best two", Rule{Score: ITM, Ensemble: Mean, TopK: 2}, []string{ReasonRank, ReasonMatches, ReasonDuplicate, ReasonEmpty, ReasonRank, ReasonMatches}},
		{"best of another score", Rule{Score: CLIP, Ensemble: Mean, TopK: 1}, []string{ReasonMatches, ReasonRank, ReasonDuplicate, ReasonEmpty, ReasonRank, ReasonRank}},
		{"threshold and best", Rule{Score: ITM, Ensemble: Mean, Threshold: &half, TopK: 2}, []string{ReasonLow, ReasonMatches, ReasonDuplicate, ReasonEmpty, ReasonRank, ReasonMatches}},
		{"no filter", KeepAll(), []string{ReasonMatches, ReasonMatches, ReasonDuplicate, ReasonEmpty, ReasonMatches, ReasonMatches}},
	} {
		texts := slices.Clone(texts)
		screen(texts)
		for i, d := range test.rule.Decide(texts) {
			if d.Reason != test.want[i] || d.Keep != (d.Reason == ReasonMatches) {
				t.Errorf("%s: text %d: %v %s, want %s", test.name, i, d.Keep, d.Reason, test.want[i])
			}
		}
	}
	// Of equal scores the earlier text is better.
	same := []Text{text("one", 0.7), text("two", 0.7), text("three", 0.7)}
	if d := (Rule{Score: ITM, Ensemble: Mean, TopK: 2}).Decide(same); !d[0].Keep || !d[1].Keep || d[2].Keep {
		t.Errorf("ties: %+v", d)
	}
}

func TestParseModels(t *testing.T) {
	got, err := ParseModels([]string{"runs/captioner/final", "models/clip/", "x=other/final", "more/clip"})
	want := []ModelDir{{"captioner", "runs/captioner/final"}, {"clip", "models/clip/"}, {"x", "other/final"}, {"clip-2", "more/clip"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a=", "=dir", "web=dir"} {
		if m, err := ParseModels([]string{bad}); err == nil {
			t.Errorf("%q was read as %v", bad, m)
		}
	}
}

// TestVerdict compares precision, recall and AUC with what they are by hand.
func TestVerdict(t *testing.T) {
	v, right, wrong := newVerdict(), newHistogram(ITM), newHistogram(ITM)
	for _, x := range []struct {
		truth string
		score float64
	}{{Right, 0.9}, {Right, 0.8}, {Right, 0.3}, {"swapped", 0.7}, {"swapped", 0.1}, {"cut", 0.3}} {
		v.add(x.truth, x.score >= 0.5)
		if x.truth == Right {
			right.add(x.score)
		} else {
			wrong.add(x.score)
		}
	}
	v.finish(right, wrong)
	if *v.Precision != 0.666667 || *v.Recall != 0.666667 || *v.AUC != round(7.5/9) {
		t.Errorf("precision %g, recall %g, AUC %g", *v.Precision, *v.Recall, *v.AUC)
	}
	if k := v.Kinds["swapped"]; k.Texts != 2 || k.Rejected != 1 {
		t.Errorf("swapped %+v", k)
	}
	if empty := newVerdict(); true {
		if empty.finish(nil, nil); empty.Precision != nil || empty.Recall != nil || empty.AUC != nil {
			t.Error("nothing has shares")
		}
	}
}

// TestRepeats: counts are exact while they fit, and close beyond.
func TestRepeats(t *testing.T) {
	r := newRepeats()
	for i := range 3 * maxDifferent {
		text := strconv.Itoa(i)
		if r.add(text, 1); i%2 == 0 {
			r.add(text, 1) // a third of all texts repeat another
		}
	}
	if len(r.Counts) > maxDifferent || r.Zeros == 0 {
		t.Errorf("%d texts held", len(r.Counts))
	}
	if s := r.share(); s < 0.32 || s > 0.345 {
		t.Errorf("share %g, want a third", s)
	}
}
