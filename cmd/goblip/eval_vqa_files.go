package main

import (
	"bufio"
	"bytes"
	"fmt"
	"iter"
	"strings"

	"goblip/datasets"
)

// answered is a prediction of "eval vqa" and "eval pope", in the layout that "score vqa" reads.
type answered struct {
	QuestionID datasets.ID `json:"question_id"`
	ImageID    datasets.ID `json:"image_id,omitempty"`
	Image      string      `json:"image"`
	Question   string      `json:"question"`
	Kind       string      `json:"kind,omitempty"`
	Answer     string      `json:"answer"`
	Accuracy   *float64    `json:"accuracy,omitempty"`

	layout string
}

// resultLayouts are those that official() has.
var resultLayouts = []string{"vqav2", "vizwiz", "gqa", "aokvqa"}

func (a answered) official() any {
	switch a.layout {
	case "vizwiz": // its question is its picture
		return struct {
			Image  string `json:"image"`
			Answer string `json:"answer"`
		}{string(a.QuestionID), a.Answer}
	case "gqa": // ids are texts there
		return struct {
			QuestionID string `json:"questionId"`
			Prediction string `json:"prediction"`
		}{string(a.QuestionID), a.Answer}
	case "aokvqa":
		return keyed{string(a.QuestionID), a.Answer}
	}
	return struct {
		QuestionID datasets.ID `json:"question_id"`
		Answer     string      `json:"answer"`
	}{a.QuestionID, a.Answer}
}

// answersGiven are the predictions of all questions; each, and what is in it, may be nil.
func answersGiven(set *datasets.Set, asked []askedOf, each []*float64, layout string) iter.Seq[any] {
	return func(yield func(any) bool) {
		for i, q := range asked {
			r := set.Records[q.image]
			a := answered{QuestionID: q.id, ImageID: datasets.ID(r.ID), Image: r.Image, Question: q.question, Kind: q.QuestionType, Answer: q.given, layout: layout}
			if each != nil {
				a.Accuracy = each[i]
			}
			if !yield(a) {
				return
			}
		}
	}
}

// readAnswerList reads the lines of a file, without repetitions; no file is no list.
func readAnswerList(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !seen[line] {
			seen[line] = true
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no answers, one a line", path)
	}
	return out, nil
}
