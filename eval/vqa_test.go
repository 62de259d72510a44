package eval

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestVQAOfficial compares with the official program on 200 invented questions.
func TestVQAOfficial(t *testing.T) {
	var c struct {
		Annotations []struct {
			QuestionID   int    `json:"question_id"`
			QuestionType string `json:"question_type"`
			AnswerType   string `json:"answer_type"`
			Answers      []map[string]any
		}
		Results []struct {
			QuestionID int `json:"question_id"`
			Answer     string
		}
		Expected struct {
			Accuracy    VQAScores
			PerQuestion []struct {
				QuestionID int `json:"question_id"`
				Accuracy   float64
			} `json:"per_question"`
			Normalisation []struct{ In, Stripped, Punct, Out string }
		}
	}
	readGzip(t, "testdata/vqa.json.gz", &c)
	for _, n := range c.Expected.Normalisation {
		stripped := vqaStrip(n.In)
		punct := vqaPunctuation(stripped)
		if out := vqaWords(punct); stripped != n.Stripped || punct != n.Punct || out != n.Out {
			t.Errorf("%q -> %q, %q, %q; want %q, %q, %q", n.In, stripped, punct, out, n.Stripped, n.Punct, n.Out)
		}
	}
	given := map[int]string{}
	for _, r := range c.Results {
		given[r.QuestionID] = r.Answer
	}
	var questions []VQAQuestion
	for _, a := range c.Annotations {
		q := VQAQuestion{QuestionType: a.QuestionType, AnswerType: a.AnswerType, Given: given[a.QuestionID]}
		for _, record := range a.Answers {
			answer := record["answer"].(string)
			delete(record, "answer")
			rest, err := json.Marshal(record)
			if err != nil {
				t.Fatal(err)
			}
			q.Answers = append(q.Answers, HumanAnswer{answer, string(rest)})
		}
		questions = append(questions, q)
	}
	scores, each, err := ScoreVQA(questions, VQAv2)
	if err != nil {
		t.Fatal(err)
	}
	if scores.Overall != c.Expected.Accuracy.Overall {
		t.Errorf("overall %v, want %v", scores.Overall, c.Expected.Accuracy.Overall)
	}
	for name, want := range c.Expected.Accuracy.PerQuestionType {
		if got := scores.PerQuestionType[name]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range c.Expected.Accuracy.PerAnswerType {
		if got := scores.PerAnswerType[name]; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	want := map[int]float64{}
	for _, q := range c.Expected.PerQuestion {
		want[q.QuestionID] = q.Accuracy
	}
	for i, a := range c.Annotations {
		if math.Abs(each[i]-want[a.QuestionID]) > 1e-9 {
			t.Errorf("question %d: %v, want %v", a.QuestionID, each[i], want[a.QuestionID])
		}
	}
}

func TestVQARules(t *testing.T) {
	answers := func(texts ...string) (out []HumanAnswer) {
		for _, s := range texts {
			out = append(out, HumanAnswer{Answer: s})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		q     VQAQuestion
		rule  VQARule
		wants float64
	}{
		{"equal records are one person's", VQAQuestion{Answers: answers("a cat", "a cat", "a cat", "dog"), Given: "cat"}, VQAv2, (3*0 + 1) / 4.0},
		{"equal records are different people's", VQAQuestion{Answers: answers("a cat", "a cat", "a cat", "dog"), Given: "cat"}, VizWiz, (3*2/3.0 + 1) / 4},
		{"exact after processing", VQAQuestion{Answers: answers("The Two"), Given: "2."}, ExactAnswer, 1},
		{"exact, wrong", VQAQuestion{Answers: answers("left"), Given: "right"}, ExactAnswer, 0},
		{"a third for each", VQAQuestion{Answers: answers("cab", "taxi", "cab", "Cab"), Given: "cab"}, DirectAnswer, 2 / 3.0},
		{"at most 1, and none is left out", VQAQuestion{Answers: answers("cab", "cab", "cab", "cab", "bus"), Given: "cab"}, DirectAnswer, 1},
		{"the right choice", VQAQuestion{Answers: answers("The cab"), Given: "The cab"}, ChosenAnswer, 1},
		{"choices are not processed", VQAQuestion{Answers: answers("The cab"), Given: "cab"}, ChosenAnswer, 0},
		{"unanimous answers are compared as they are", VQAQuestion{Answers: answers("Yes.", "Yes."), Given: "yes"}, VizWiz, 0},
	} {
		got, err := c.q.Accuracy(c.rule)
		if err != nil || math.Abs(got-c.wants) > 1e-12 {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.wants)
		}
	}
	if _, err := (&VQAQuestion{}).Accuracy(VQAv2); err == nil {
		t.Error("no answers: no error")
	}
	if _, _, err := ScoreVQA(nil, VQAv2); err == nil {
		t.Error("no questions: no error")
	}
}

func TestVQAPoints(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{strings.Repeat(".", 40) + "x", strings.Repeat(".", 8) + "x"}, // 32 go
		{"v1.5 end.", "v1.5 end"},
		{"1,000 a/b", "1000 ab"},
		{"a/b", "a b"},
	} {
		if got := vqaPunctuation(c.in); got != c.want {
			t.Errorf("%q -> %q, want %q", c.in, got, c.want)
		}
	}
}

func TestYesNo(t *testing.T) {
	said := []bool{IsYes("Yes, there is."), IsYes("yes"), IsYes("No, not here. Yes."), IsYes("there is not a dog"), IsYes("a knot. no")}
	truth := []bool{true, false, false, true, true}
	got, err := ScoreYesNo(said, truth)
	if err != nil {
		t.Fatal(err)
	}
	want := YesNo{Questions: 5, Accuracy: 60, Precision: 200.0 / 3, Recall: 200.0 / 3, F1: 200.0 / 3, YesRatio: 60}
	if math.Abs(got.F1-want.F1) > 1e-9 || got.Accuracy != want.Accuracy || got.YesRatio != want.YesRatio || got.Precision != want.Precision || got.Recall != want.Recall {
		t.Errorf("%+v, want %+v", got, want)
	}
	if all, err := ScoreYesNo([]bool{false}, []bool{false}); err != nil || all.F1 != 0 || all.Accuracy != 100 {
		t.Errorf("only no: %+v, %v", all, err)
	}
}

func TestPairedBootstrap(t *testing.T) {
	a, b := make([]float64, 60), make([]float64, 60)
	for i := range a {
		a[i] = float64(i % 7)
		b[i] = a[i] + 0.5 + float64(i%3)
	}
	one, err := PairedBootstrap(60, MeanOf(b), MeanOf(a), 500, 7)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := PairedBootstrap(60, MeanOf(b), MeanOf(a), 500, 7); again != one {
		t.Errorf("the same seed gives %+v and %+v", one, again)
	}
	if !(one.Low > 0 && one.P < 0.01 && math.Abs(one.Difference-1.5) < 1e-9) {
		t.Errorf("b is better by 1.5: %+v", one)
	}
	if same, _ := PairedBootstrap(60, MeanOf(a), MeanOf(a), 500, 7); same.P != 1 || same.Low != 0 || same.High != 0 {
		t.Errorf("a against itself: %+v", same)
	}
	if _, err := PairedBootstrap(0, MeanOf(nil), MeanOf(nil), 500, 7); err == nil {
		t.Error("nothing to compare: no error")
	}
	interval := BootstrapOf(60, MeanOf(a), 300, 3)
	if again := BootstrapOf(60, MeanOf(a), 300, 3); again != interval || !(interval.Low < interval.Mean && interval.Mean < interval.High) {
		t.Errorf("intervals %+v and %+v", interval, again)
	}
}

func FuzzVQAAnswer(f *testing.F) {
	f.Add("The 1,000 cats. isn't \xff")
	f.Fuzz(func(t *testing.T, s string) {
		once := VQAAnswer(s)
		if again := VQAAnswer(s); again != once {
			t.Errorf("%q: %q and %q", s, once, again)
		}
	})
}
