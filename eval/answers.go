package eval

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Answered is a question with its accepted answers and the answer that was given.
type Answered struct {
	Question string
	Kind     string // "count", "colour", ...; may be empty
	Answers  []string
	Given    string
}

// Right tells whether the answer that was given equals an accepted one after [NormalizeAnswer].
func (a *Answered) Right() bool { return isAccepted(a.Given, a.Answers) }

// Accuracy is the share of right answers of one kind of question, in percent with its confidence interval, and of the
// blind baseline where there is one.
type Accuracy struct {
	Kind      string
	Questions int
	Share     Interval
	Blind     *float64 // percent; nil without a baseline
}

// ScoreAnswers returns the accuracy of all questions (with an empty Kind) and of each kind in alphabetical order; see
// [Answered.Right]. blind may be nil.
func ScoreAnswers(answered []Answered, blind *Blind, seed uint64) (overall Accuracy, kinds []Accuracy) {
	byKind := map[string][]Answered{}
	for _, a := range answered {
		byKind[a.Kind] = append(byKind[a.Kind], a)
	}
	for kind, questions := range byKind {
		kinds = append(kinds, accuracyOf(kind, questions, blind, seed))
	}
	slices.SortFunc(kinds, func(a, b Accuracy) int { return cmp.Compare(a.Kind, b.Kind) })
	return accuracyOf("", answered, blind, seed), kinds
}

func accuracyOf(kind string, answered []Answered, blind *Blind, seed uint64) Accuracy {
	right, blindRight := make([]float64, len(answered)), 0
	for i, a := range answered {
		if a.Right() {
			right[i] = 100
		}
		if blind != nil && isAccepted(blind.Answer(a.Kind, a.Question), a.Answers) {
			blindRight++
		}
	}
	accuracy := Accuracy{Kind: kind, Questions: len(answered), Share: Bootstrap(right, seed)}
	if blind != nil && len(answered) > 0 {
		share := 100 * float64(blindRight) / float64(len(answered))
		accuracy.Blind = &share
	}
	return accuracy
}

func isAccepted(given string, answers []string) bool {
	given = NormalizeAnswer(given)
	return slices.ContainsFunc(answers, func(a string) bool { return NormalizeAnswer(a) == given })
}

var numberWords = map[string]string{
	"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
	"seven": "7", "eight": "8", "nine": "9", "ten": "10",
}

// NormalizeAnswer makes answers comparable that mean the same: lower case, no punctuation, no articles, digits for the
// numbers to ten, single spaces. It is a plain exact match, not the official VQA rule.
func NormalizeAnswer(answer string) string {
	words := strings.FieldsFunc(strings.ToLower(answer), func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsPunct(c)
	})
	kept := words[:0]
	for _, word := range words {
		if word == "a" || word == "an" || word == "the" {
			continue
		}
		if digits, ok := numberWords[word]; ok {
			word = digits
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// Blind answers questions without looking at the picture: what a model must beat before it can be said to see.
type Blind struct {
	byQuestion, byKind map[string]map[string]int // -> normalised answer -> count in training
}

// NewBlind returns an empty baseline; [Blind.Learn] fills it.
func NewBlind() *Blind {
	return &Blind{byQuestion: map[string]map[string]int{}, byKind: map[string]map[string]int{}}
}

// Learn counts a question of the training set and its answers.
func (b *Blind) Learn(kind, question string, answers []string) {
	question = NormalizeAnswer(question)
	for _, answer := range answers {
		answer = NormalizeAnswer(answer)
		count(b.byQuestion, question, answer)
		count(b.byKind, kind, answer)
	}
}

func count(table map[string]map[string]int, key, answer string) {
	if table[key] == nil {
		table[key] = map[string]int{}
	}
	table[key][answer]++
}

// Answer returns the most frequent training answer to the same question, else to questions of that kind, else "".
// Among equally frequent answers the first of the alphabet wins.
func (b *Blind) Answer(kind, question string) string {
	counts := b.byQuestion[NormalizeAnswer(question)]
	if counts == nil {
		counts = b.byKind[kind]
	}
	best := ""
	for answer, n := range counts {
		if n > counts[best] || n == counts[best] && answer < best {
			best = answer
		}
	}
	return best
}
