package shapes

import (
	"strings"
	"testing"

	"goblip/datasets"
)

func questionsOf(t *testing.T, split, n int) []datasets.Question {
	t.Helper()
	scenes, err := sampleScenes(1, split, n)
	if err != nil {
		t.Fatal(err)
	}
	var all []datasets.Question
	for i, s := range scenes {
		all = append(all, Questions(s, newRand(1, split, i, streamQuestions))...)
	}
	return all
}

// A blind answerer gives the answer most frequent in training for the words of
// the question, or for its kind where training has no such question.
func TestBlindAnswererFails(t *testing.T) {
	votes := map[string]map[string]int{}
	for _, q := range questionsOf(t, splitTrain, 24000) {
		for _, key := range []string{q.Question, q.Kind} {
			if votes[key] == nil {
				votes[key] = map[string]int{}
			}
			votes[key][q.Answers[0]]++
		}
	}
	best := func(key string) string {
		answer := ""
		for a, n := range votes[key] {
			if answer == "" || n > votes[key][answer] || n == votes[key][answer] && a < answer {
				answer = a
			}
		}
		return answer
	}
	right, asked := map[string]int{}, map[string]int{}
	for _, q := range questionsOf(t, splitTest, 1000) {
		answer := best(q.Question)
		if answer == "" {
			answer = best(q.Kind)
		}
		for _, key := range []string{q.Kind, "all"} {
			asked[key]++
			if answer == q.Answers[0] {
				right[key]++
			}
		}
	}
	for key, limit := range map[string]float64{"all": 0.5, KindHowMany: 0.4, KindWhatColour: 0.27, KindIsThere: 0.6} {
		accuracy := float64(right[key]) / float64(asked[key])
		t.Logf("%s: blind accuracy %.3f of %d", key, accuracy, asked[key])
		if accuracy > limit {
			t.Errorf("%s: a blind answerer reaches %.3f, want at most %.2f", key, accuracy, limit)
		}
	}
}

func TestAnswersAreTrue(t *testing.T) {
	rng := datasets.Rand(2)
	for range 2000 {
		s := sampleScene(rng, anyPairs)
		for _, q := range Questions(s, rng) {
			if got := answerByTruth(s, q.Question); got != q.Answers[0] {
				t.Fatalf("%q of %+v: answer %q, truth %q", q.Question, s, q.Answers[0], got)
			}
		}
	}
}

// answerByTruth answers from the scene and the words alone, written apart from
// the code that makes the questions.
func answerByTruth(s Scene, question string) string {
	words := strings.Fields(question)
	last := words[len(words)-1]
	single := func(word string) string {
		for _, shape := range Shapes {
			if word == shape || word == plural(shape) {
				return shape
			}
		}
		return "?"
	}
	switch {
	case strings.HasPrefix(question, "how many"):
		switch single(words[2]) {
		case s.Main.Shape:
			return "one"
		case s.Group.Shape:
			return []string{"", "one", "two", "three"}[s.Group.Count]
		}
		return "none"
	case strings.HasPrefix(question, "what colour"):
		if single(last) == s.Main.Shape {
			return s.Main.Colour
		}
		return s.Group.Colour
	}
	for _, object := range [][2]string{{s.Main.Colour, s.Main.Shape}, {s.Group.Colour, s.Group.Shape}} {
		if last == object[1] && (len(words) == 4 || words[3] == object[0]) {
			return "yes"
		}
	}
	return "no"
}

func TestTexts(t *testing.T) {
	heldOut := false
	var first []string
	for r := range Texts(2000, 7) {
		if len(r.Captions) == 0 || len(r.Questions) == 0 {
			t.Fatalf("record %v has no captions or no questions", r)
		}
		m := ParseCaption(r.Captions[0])
		heldOut = heldOut || HeldOut(m.Main.Colour, m.Main.Shape)
		first = append(first, r.Captions[0])
	}
	if !heldOut {
		t.Error("no held-out pair in 2,000 texts")
	}
	i := 0
	for r := range Texts(100, 7) {
		if r.Captions[0] != first[i] {
			t.Fatalf("text %d differs: %q, %q", i, r.Captions[0], first[i])
		}
		i++
	}
}
