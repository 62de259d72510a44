package datasets

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// vqa is VQA v2 and OK-VQA: a file of questions and one of annotations with ten answers
// to each. A record is a picture with all its questions; what kind an answer
// is of ("yes/no", "number", "other") is the question's Kind.
type vqa struct {
	*document
	images  []int64 // ids, in the order of their first question
	answers blob.Blob
	of      []keyed // annotations by question id
	name    string  // format of a picture's name
}

func (d *document) vqa() (Source, error) {
	v := &vqa{document: d}
	if id, twice := twiceIn(d.questions); twice {
		return nil, fmt.Errorf("%s: \"question_id\" %d is there twice", d.spec.Path, id)
	}
	d.questions = nil
	seen := map[int64]bool{}
	for _, q := range d.texts {
		if !seen[q.id] {
			seen[q.id] = true
			v.images = append(v.images, q.id)
		}
	}
	byID(d.texts)
	if err := v.openAnswers(); err != nil {
		return nil, err
	}
	v.findNames()
	return v, nil
}

// openAnswers reads where the annotations lie: in the file that was named, or
// in the one that VQA's own names let expect.
func (v *vqa) openAnswers() error {
	name := v.spec.Annotations
	if name == "" {
		base := filepath.Base(v.spec.Path)
		guess := strings.Replace(strings.Replace(strings.Replace(base, "OpenEnded_", "", 1), "MultipleChoice_", "", 1), "questions", "annotations", 1)
		if guess == base {
			return nil
		}
		name = filepath.Join(filepath.Dir(v.spec.Path), guess)
		if _, err := os.Stat(name); err != nil {
			return nil // a test set has none
		}
	} else if _, err := os.Stat(name); err != nil {
		name = beside(v.spec.Path, name)
	}
	file, err := blob.Open(name)
	if err != nil {
		return err
	}
	v.answers = file
	err = eachElement(file, func(e element) error {
		if e.key != "annotations" || !e.inList {
			return nil
		}
		if e.number >= maxElements {
			return fmt.Errorf("more than %d annotations", maxElements)
		}
		var ids struct {
			QuestionID json.RawMessage `json:"question_id"`
		}
		if err := json.Unmarshal(e.text, &ids); err != nil {
			return Problem{fmt.Sprintf("%s: annotations %d", name, e.number), jsonError(err, nil).Error()}
		}
		id, err := wholeID(ids.QuestionID, "question_id", fmt.Sprintf("%s: annotations %d", name, e.number))
		if err != nil {
			return err
		}
		v.of = append(v.of, keyed{id, e.place})
		return nil
	})
	if err == nil && len(v.of) == 0 {
		err = fmt.Errorf("%s: no annotations", name)
	}
	if err != nil {
		return err
	}
	byID(v.of)
	for i := 1; i < len(v.of); i++ {
		if v.of[i].id == v.of[i-1].id {
			return fmt.Errorf("%s: \"question_id\" %d is there twice", name, v.of[i].id)
		}
	}
	return nil
}

// findNames finds which of COCO's two ways pictures are named, by the first one.
func (v *vqa) findNames() {
	formats := []string{"%012d.jpg"}
	if v.subtype != "" {
		formats = slices.Insert(formats, 0, "COCO_"+v.subtype+"_%012d.jpg")
	}
	v.name = formats[0]
	for _, format := range formats {
		name := fmt.Sprintf(format, v.images[0])
		v.pictures = findPictures(v.spec, v.subtype, name)
		if _, err := os.Stat(v.pictures.path(name)); err == nil {
			v.name = format
			return
		}
	}
	v.pictures = findPictures(v.spec, v.subtype, fmt.Sprintf(v.name, v.images[0]))
}

func (v *vqa) Len() int { return len(v.images) }

func (v *vqa) Record(i int) (Record, error) {
	id := v.images[i]
	record := Record{
		ID: strconv.FormatInt(id, 10), Image: v.pictures.path(fmt.Sprintf(v.name, id)),
		Origin: fmt.Sprintf("%s: image %d", v.spec.Path, id),
	}
	for _, k := range withID(v.texts, id) {
		var q struct {
			ID       json.Number `json:"question_id"`
			Question string      `json:"question"`
		}
		if err := v.unmarshal(k.place, &q); err != nil {
			return record, Problem{record.Origin, err.Error()}
		}
		question := Question{Question: q.Question, ID: ID(q.ID.String())}
		if err := v.answer(q.ID, &question); err != nil {
			return record, Problem{record.Origin, err.Error()}
		}
		record.Questions = append(record.Questions, question)
	}
	if err := record.validateTexts(); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	return record, nil
}

// answer adds a question's answers, all ten as people gave them, those that
// agree with the most frequent first.
func (v *vqa) answer(id json.Number, q *Question) error {
	if v.answers == nil {
		return nil
	}
	number, err := strconv.ParseInt(id.String(), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", "question_id")
	}
	found := withID(v.of, number)
	if len(found) == 0 {
		return fmt.Errorf("question %d has no annotation in %s", number, v.answers.Name())
	}
	text, err := found[0].place.read(v.answers)
	if err != nil {
		return err
	}
	var a struct {
		Kind    string `json:"answer_type"`
		Most    string `json:"multiple_choice_answer"`
		Answers []struct {
			Answer string `json:"answer"`
		} `json:"answers"`
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("%s: byte %d: %w", v.answers.Name(), found[0].place.offset, jsonError(err, nil))
	}
	q.Kind = a.Kind
	given := make([]string, len(a.Answers))
	for i, answer := range a.Answers {
		given[i] = answer.Answer
	}
	q.Answers = mostFrequentFirst(given, a.Most)
	if len(q.Answers) == 0 && a.Most != "" {
		q.Answers = []string{a.Most}
	}
	return nil
}
