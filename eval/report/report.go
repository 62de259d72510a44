// Package report writes what a run produced for people and for programs: report.html, one page without outside files,
// and results.json.
//
// In reading order:
//
//	report.go   Report, what the page shows, and Write
//	results.go  Results, the figures of results.json, and the headline figures made of them
//	page.go     Report -> the strings and numbers that the template places
//	chart.go    logged steps -> the lines of a small chart
//	curves.go   the same as a picture of its own
//	page.html, parts.html, page.css   the template, what pages share, their style; embedded
package report

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"time"

	"goblip/eval"
	"goblip/train/runlog"
)

// Report is what the page shows. All parts are optional: a part that is empty is left out of the page.
type Report struct {
	Title     string // "goblip quickstart" if empty
	Summary   string // one or two sentences under the title
	Created   time.Time
	Headlines []Headline
	Pictures  []Picture
	Captions  []CaptionRow
	Questions []eval.Accuracy // the first may have an empty Kind: all questions
	Retrieval []RetrievalRow
	// RetrievalNote says what was searched: "1,000 pictures, 5,000 captions".
	RetrievalNote string
	TextQueries   []TextQuery
	ImageQueries  []ImageQuery
	Phases        []Phase
	Run           Run
}

// Headline is one of the large figures at the top.
type Headline struct {
	Label string // "Image to text, R@1"
	Value string // "62.3 %"
	Note  string // "chance 0.1 %"
}

// Picture is a picture with its generated caption beside the truth.
type Picture struct {
	PNG     []byte
	Caption string   // generated
	Truth   []string // captions written for it
	Marks   []Mark
	Answers []Mark // to questions, each instead of an attribute
	Novel   bool   // shows a combination of attributes that training never showed
}

// Mark is an attribute that the generated caption was checked for.
type Mark struct {
	Attribute string // "colour"
	Said      string // what the caption says; empty if it says nothing
	Truth     string
	Right     bool
}

// CaptionRow is a row of the table of captions: one model.
type CaptionRow struct {
	Name       string         // "goblip", "without stage 1"
	CIDEr      *eval.Interval // 0 to 10
	BLEU4      *eval.Interval // 0 to 1
	Attributes []Attribute    // columns, by name; rows may have different ones
}

// Attribute is how often captions state an attribute rightly.
type Attribute struct {
	Name  string        // "colour"
	Share eval.Interval // percent
}

// RetrievalRow is a row of the table of retrieval: one way to score pairs.
type RetrievalRow struct {
	Name        string           // "ITC + ITM re-ranking"
	ImageToText [3]eval.Interval // percent at 1, 5, 10; an interval of no width is shown as the mean alone
	TextToImage [3]eval.Interval
	Chance      bool // the row is the chance level
}

// TextQuery is a text and the pictures found for it, best first.
type TextQuery struct {
	Text     string
	Pictures []FoundPicture
	Rank     int // rank of the right picture, from 1; 0 if not known
}

// FoundPicture is a picture that was found.
type FoundPicture struct {
	PNG   []byte
	Right bool
}

// ImageQuery is a picture and the texts found for it, best first.
type ImageQuery struct {
	PNG   []byte
	Texts []FoundText
}

// FoundText is a text that was found.
type FoundText struct {
	Text  string
	Right bool
}

// Phase is a part of the run.
type Phase struct {
	Name            string // "Stage 1"
	Note            string // one line of explanation
	Steps           []runlog.Step
	Seconds         float64
	PeakMemoryBytes uint64
}

// Run says how the run can be repeated.
type Run struct {
	Command string
	Facts   []Fact // "Backend", "Devices", "Seed", versions, in the order to show them
}

// Fact is a named line of text.
type Fact struct{ Name, Value string }

// Write writes the page to path, replacing it in one step.
func Write(path string, r *Report) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WritePage(path, pageTemplate, newPage(r))
}

// WritePage fills a template and writes it to path, replacing it in one step.
func WritePage(path string, t *template.Template, data any) error {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, page.Bytes())
}

// validate finds pictures that no browser would show.
func (r *Report) validate() error {
	check := func(b []byte, format string, arguments ...any) error {
		if _, err := png.DecodeConfig(bytes.NewReader(b)); err != nil {
			return fmt.Errorf("%s is not a PNG: %w", fmt.Sprintf(format, arguments...), err)
		}
		return nil
	}
	var errs []error
	for i, p := range r.Pictures {
		errs = append(errs, check(p.PNG, "picture %d", i))
	}
	for i, q := range r.ImageQueries {
		errs = append(errs, check(q.PNG, "image query %d", i))
	}
	for i, q := range r.TextQueries {
		for j, p := range q.Pictures {
			errs = append(errs, check(p.PNG, "text query %d, picture %d", i, j))
		}
	}
	return errors.Join(errs...)
}

// EncodePNG encodes a square picture of size*size RGB bytes, as the data packages hold them.
func EncodePNG(rgb []byte, size int) ([]byte, error) {
	if size < 1 || len(rgb) != size*size*3 {
		return nil, fmt.Errorf("picture of %d bytes is not %d x %d RGB", len(rgb), size, size)
	}
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i := range size * size {
		copy(picture.Pix[4*i:], rgb[3*i:3*i+3])
		picture.Pix[4*i+3] = 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeFile replaces path in one step: a reader sees the old content or the new.
func writeFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails after the rename, as it should
	if _, err := temporary.Write(content); err != nil {
		temporary.Close()
		return err
	}
	if err := errors.Join(temporary.Chmod(0o644), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
