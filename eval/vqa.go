package eval

import (
	"fmt"
	"strconv"
	"strings"
)

// VQARule says how an answer is compared with those of people.
type VQARule int

const (
	// VQAv2 is the official rule of VQA v2 and OK-VQA: with each of the answers left out in turn, a third for every
	// other one that agrees, at most 1; the mean of these. Answers are brought to one form (see [VQAAnswer]) only if
	// people do not all say the same. "The others" are the records that differ from the one left out in any field.
	VQAv2 VQARule = iota
	// VizWiz is the same by position: its records have no number, and equal ones are different people's.
	VizWiz
	// ExactAnswer is 1 for an answer that equals the only one, or one of them, after [VQAAnswer]: GQA.
	ExactAnswer
	// DirectAnswer is A-OKVQA's rule: a third for everyone who gave this very answer, at most 1. No answer is
	// processed, and none left out.
	DirectAnswer
	// ChosenAnswer is 1 for the very text of the right choice: multiple choice.
	ChosenAnswer
)

// HumanAnswer is one of the answers that people gave. Record tells it from the others: all that its record holds beside
// the answer, in any form.
type HumanAnswer struct{ Answer, Record string }

// VQAQuestion is a question with the answers of people and the answer that was given.
type VQAQuestion struct {
	QuestionType, AnswerType string // may be empty
	Answers                  []HumanAnswer
	Given                    string
}

// Accuracy is the question's score, 0 to 1.
func (q *VQAQuestion) Accuracy(rule VQARule) (float64, error) {
	if len(q.Answers) == 0 {
		return 0, fmt.Errorf("no answers of people")
	}
	if rule == ExactAnswer {
		given := VQAAnswer(q.Given)
		for _, a := range q.Answers {
			if VQAAnswer(a.Answer) == given {
				return 1, nil
			}
		}
		return 0, nil
	}
	if rule == DirectAnswer || rule == ChosenAnswer {
		same := 0
		for _, a := range q.Answers {
			if a.Answer == q.Given {
				same++
			}
		}
		if rule == ChosenAnswer {
			return min(1, float64(same)), nil
		}
		return min(1, float64(same)/3), nil
	}
	given, answers, unanimous := vqaStrip(q.Given), make([]HumanAnswer, len(q.Answers)), true
	for i, a := range q.Answers {
		answers[i] = HumanAnswer{vqaStrip(a.Answer), a.Record}
		unanimous = unanimous && answers[i].Answer == answers[0].Answer
	}
	if !unanimous {
		given = vqaWords(vqaPunctuation(given))
		for i := range answers {
			answers[i].Answer = vqaWords(vqaPunctuation(answers[i].Answer))
		}
	}
	sum := 0.0
	for i := range answers {
		matches := 0
		for j := range answers {
			other := i != j
			if rule == VQAv2 {
				other = answers[i] != answers[j]
			}
			if other && answers[j].Answer == given {
				matches++
			}
		}
		sum += min(1, float64(matches)/3)
	}
	return sum / float64(len(answers)), nil
}

// VQAScores is the accuracy of a set of questions in percent, to two decimals as the official program gives it.
type VQAScores struct {
	Overall         float64            `json:"overall"`
	PerQuestionType map[string]float64 `json:"perQuestionType"`
	PerAnswerType   map[string]float64 `json:"perAnswerType"`
}

// ScoreVQA returns the accuracy of all questions and of each, 0 to 1.
func ScoreVQA(questions []VQAQuestion, rule VQARule) (VQAScores, []float64, error) {
	if len(questions) == 0 {
		return VQAScores{}, nil, fmt.Errorf("no questions to score")
	}
	each := make([]float64, len(questions))
	byQuestion, byAnswer := map[string][]float64{}, map[string][]float64{}
	for i := range questions {
		q := &questions[i]
		accuracy, err := q.Accuracy(rule)
		if err != nil {
			return VQAScores{}, nil, fmt.Errorf("question %d: %w", i, err)
		}
		each[i] = accuracy
		byQuestion[q.QuestionType] = append(byQuestion[q.QuestionType], accuracy)
		byAnswer[q.AnswerType] = append(byAnswer[q.AnswerType], accuracy)
	}
	return VQAScores{percentOf(each), percentsOf(byQuestion), percentsOf(byAnswer)}, each, nil
}

func percentsOf(groups map[string][]float64) map[string]float64 {
	out := map[string]float64{}
	for name, values := range groups {
		out[name] = percentOf(values)
	}
	return out
}

// percentOf is a mean in percent, to two decimals.
func percentOf(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(100*sum/float64(len(values)), 'f', 2, 64), 64)
	if err != nil {
		panic(err) // it was printed just now
	}
	return rounded
}

// YesNo is the score of yes-or-no questions such as POPE's about objects that a picture may not show.
type YesNo struct {
	Questions int     `json:"questions"`
	Accuracy  float64 `json:"accuracy"`  // percent
	Precision float64 `json:"precision"` // percent of "yes" that are right
	Recall    float64 `json:"recall"`    // percent of the true "yes" that are said
	F1        float64 `json:"f1"`        // percent
	YesRatio  float64 `json:"yes_ratio"` // percent of answers that are "yes"; 50 where questions are balanced
}

// IsYes reads an answer as POPE's evaluation does: by its first sentence, "no" where that holds a "no" or a "not".
func IsYes(answer string) bool {
	first, _, _ := strings.Cut(answer, ".")
	for word := range strings.SplitSeq(strings.ReplaceAll(first, ",", ""), " ") {
		if word == "No" || word == "no" || word == "not" {
			return false
		}
	}
	return true
}

// ScoreYesNo compares answers with the truth. Precision, recall and F1 are 0 where they are undefined.
func ScoreYesNo(said, truth []bool) (YesNo, error) {
	if len(said) != len(truth) || len(said) == 0 {
		return YesNo{}, fmt.Errorf("%d answers to %d questions", len(said), len(truth))
	}
	var right, yes, trueYes, both float64
	for i := range said {
		if said[i] == truth[i] {
			right++
		}
		if said[i] {
			yes++
		}
		if truth[i] {
			trueYes++
		}
		if said[i] && truth[i] {
			both++
		}
	}
	n := float64(len(said))
	s := YesNo{Questions: len(said), Accuracy: 100 * right / n, YesRatio: 100 * yes / n}
	if yes > 0 {
		s.Precision = 100 * both / yes
	}
	if trueYes > 0 {
		s.Recall = 100 * both / trueYes
	}
	if s.Precision+s.Recall > 0 {
		s.F1 = 2 * s.Precision * s.Recall / (s.Precision + s.Recall)
	}
	return s, nil
}
