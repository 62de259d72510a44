package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/eval"
)

// Files of predictions: what "eval" measured, one JSON object a line.

// open opens a data set whose every record has a caption.
func (e *evaluation) open() (*datasets.Set, error) {
	set, err := e.openAny()
	if err != nil {
		return nil, err
	}
	return set, captioned(set)
}

// openAny opens a data set.
func (e *evaluation) openAny() (*datasets.Set, error) {
	if err := e.checkPredictions(); err != nil {
		return nil, err
	}
	if err := e.reading.check(); err != nil {
		return nil, err
	}
	return datasets.OpenWith(e.data, e.reading.options(nil))
}

// checkPredictions looks whether the predictions have a place before hours of work are put into them.
func (e *evaluation) checkPredictions() error {
	if e.predictions == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(e.predictions)); err != nil || !info.IsDir() {
		return usagef("--predictions %s: there is no folder %s", e.predictions, filepath.Dir(e.predictions))
	}
	if e.official() && !e.resultsFile {
		return usagef("--predictions %s: they are one JSON object a line, so that the name must not end in .json; .jsonl, say", e.predictions)
	}
	return nil
}

// official tells that the predictions are wanted as the official programs read them.
func (e *evaluation) official() bool { return filepath.Ext(e.predictions) == ".json" }

// result is a prediction that files of results can hold.
type result interface {
	official() any // its record in such a file
}

// keyed is a record of a file of results that is not a list but an object.
type keyed struct{ key, value string }

// writePredictions writes one JSON object a line or, under a name in .json, the list that official programs and servers
// read, if there is a file to write to.
func (e *evaluation) writePredictions(lines iter.Seq[any]) error {
	if e.predictions == "" {
		return nil
	}
	var b bytes.Buffer
	if e.official() {
		list, table := []any{}, map[string]string{}
		for line := range lines {
			record := line.(result).official()
			if k, isKeyed := record.(keyed); isKeyed {
				table[k.key] = k.value
				continue
			}
			list = append(list, record)
		}
		var file any = list
		if len(table) > 0 {
			file = table
		}
		if err := writeJSON(&b, file); err != nil {
			return fmt.Errorf("%s: %w", e.predictions, err)
		}
		return checkpoints.WriteFile(e.predictions, b.Bytes())
	}
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for line := range lines {
		if err := encoder.Encode(line); err != nil {
			return fmt.Errorf("%s: %w", e.predictions, err)
		}
	}
	return checkpoints.WriteFile(e.predictions, b.Bytes())
}

// shownHits is how many hits of a search a prediction lists.
const shownHits = 10

// search is a prediction of "eval retrieval".
type search struct {
	Query string `json:"query"` // "image" or "text"
	ID    string `json:"id,omitempty"`
	Image string `json:"image,omitempty"`
	Text  string `json:"text,omitempty"`
	Rank  int    `json:"rank"` // of the first right answer, from 1; equal scores rank before it
	Found []hit  `json:"found"`
}

type hit struct {
	Text  string  `json:"text,omitempty"`
	Image string  `json:"image,omitempty"`
	Score float32 `json:"score"`
	Right bool    `json:"right"`
}

// predictions are all searches, by picture and then by text, in the order that ITM gave the best top if it was asked.
func (f *retrieval) predictions(set *datasets.Set, top int) (iter.Seq[any], error) {
	byImage, byText, shown := f.itc, transpose(f.itc), shownHits
	if f.byImage != nil {
		byImage, byText, shown = f.byImage, f.byText, min(shownHits, top)
	}
	ofImage, err := eval.ImageToTextRanks(byImage, f.imageOfText, eval.Pessimistic)
	if err != nil {
		return nil, err
	}
	ofText, err := eval.TextToImageRanks(byText, f.imageOfText, eval.Pessimistic)
	if err != nil {
		return nil, err
	}
	return func(yield func(any) bool) {
		for i, r := range set.Records {
			s := search{Query: "image", ID: r.ID, Image: r.Image, Rank: ofImage[i] + 1}
			for _, t := range eval.Top(byImage[i], shown) {
				s.Found = append(s.Found, hit{Text: f.texts[t], Score: byImage[i][t], Right: f.imageOfText[t] == i})
			}
			if !yield(s) {
				return
			}
		}
		for t, text := range f.texts {
			s := search{Query: "text", Text: text, Rank: ofText[t] + 1}
			for _, i := range eval.Top(byText[t], shown) {
				s.Found = append(s.Found, hit{Image: set.Records[i].Image, Score: byText[t][i], Right: f.imageOfText[t] == i})
			}
			if !yield(s) {
				return
			}
		}
	}, nil
}

// said is a prediction of "eval caption", in the layout that "score caption" reads.
type said struct {
	ImageID    datasets.ID     `json:"image_id"`
	ID         string          `json:"id,omitempty"`
	Image      string          `json:"image"`
	Caption    string          `json:"caption"`
	References []string        `json:"references"`
	CIDEr      float64         `json:"cider"`
	Attributes map[string]bool `json:"attributes,omitempty"` // whether the caption states it rightly
	Questions  []answer        `json:"questions,omitempty"`
}

func (s said) official() any {
	return struct {
		ImageID datasets.ID `json:"image_id"`
		Caption string      `json:"caption"`
	}{s.ImageID, s.Caption}
}

type answer struct {
	Question string   `json:"question"`
	Kind     string   `json:"kind,omitempty"`
	Answers  []string `json:"answers"`
	Given    string   `json:"given"`
	Right    bool     `json:"right"`
}

// predictions are one line a picture.
func (w *written) predictions(set *datasets.Set) iter.Seq[any] {
	return func(yield func(any) bool) {
		asked := w.questions // in the order of the records
		for i, r := range set.Records {
			s := said{ImageID: idOr(r.ID, i), ID: r.ID, Image: r.Image, Caption: w.captions[i], References: r.Captions, CIDEr: w.perImage[i].CIDEr}
			if w.attributes != nil {
				s.Attributes = map[string]bool{}
				for a, name := range shapes.Attributes {
					s.Attributes[name] = w.attributes[i][a]
				}
			}
			var mine []eval.Answered
			mine, asked = asked[:len(r.Questions)], asked[len(r.Questions):]
			for _, q := range mine {
				s.Questions = append(s.Questions, answer{q.Question, q.Kind, q.Answers, q.Given, q.Right()})
			}
			if !yield(s) {
				return
			}
		}
	}
}

// idOr is an id, or else the place of what has none.
func idOr[T ~string](id T, place int) datasets.ID {
	if id == "" {
		return datasets.ID(strconv.Itoa(place))
	}
	return datasets.ID(id)
}
