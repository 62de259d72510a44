package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// jsonl is a file of one JSON object a line. Its lines are parsed when asked
// for: opening ten million of them means finding where they begin.
type jsonl struct {
	path   string
	index  *lineIndex
	fields map[string]string
	dirty  bool // texts may be empty
}

func openJSONL(path string, o Options) (Source, error) {
	file, err := blob.Open(path)
	if err != nil {
		return nil, err
	}
	index, err := indexLines(file)
	if err != nil {
		return nil, err
	}
	return &jsonl{path, index, o.Fields, o.EmptyTexts}, nil
}

func (s *jsonl) Len() int { return s.index.records }

func (s *jsonl) Record(i int) (Record, error) {
	text, number, err := s.index.line(i)
	if err != nil {
		return Record{}, err
	}
	where := fmt.Sprintf("%s:%d", s.path, number)
	record, err := parseRecord(text, s.fields)
	if err == nil && !s.dirty {
		err = record.validateTexts()
	}
	if err != nil {
		return Record{}, Problem{where, err.Error()}
	}
	record.Origin = where
	record.Image = beside(s.path, record.Image)
	if record.Image2 != "" {
		record.Image2 = beside(s.path, record.Image2)
	}
	if record.ID == "" {
		record.ID, record.NoID = strconv.Itoa(number), true
	}
	return record, nil
}

// line is the JSON of one record. Unknown keys are ignored, so that files made
// for other programs can be read as they are.
type line struct {
	ID        json.RawMessage `json:"id"` // a string or a number
	Image     string          `json:"image"`
	Image2    string          `json:"image2"`
	Caption   texts           `json:"caption"`
	Captions  []string        `json:"captions"`
	Question  string          `json:"question"`
	Answers   answers         `json:"answers"`
	Kind      string          `json:"kind"`
	AskedAs   ID              `json:"question_id"`
	Choices   []string        `json:"choices"`
	Correct   *int            `json:"correct_choice_idx"`
	Difficult bool            `json:"difficult_direct_answer"`
	Questions []Question      `json:"questions"`
	Scene     json.RawMessage `json:"scene"`
	Noise     []string        `json:"noise"`
}

// fieldNames are what Options.Fields may name.
var fieldNames = []string{"image", "caption", "captions", "question", "answers", "kind", "question_id", "choices", "correct_choice_idx",
	"difficult_direct_answer", "questions", "id", "scene", "noise", "image2"}

func isField(name string) bool { return slices.Contains(fieldNames, name) }

// texts is a text, or a list of them.
type texts []string

// UnmarshalJSON is json.Unmarshaler.
func (t *texts) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*t = texts{""}
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// answers are texts, or people's answers as VQA's files have them: objects with an "answer".
type answers []string

// UnmarshalJSON is json.Unmarshaler.
func (a *answers) UnmarshalJSON(data []byte) error {
	var objects []struct {
		Answer *string `json:"answer"`
	}
	if !bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(data, []byte("[")), " \t\r\n"), []byte("{")) {
		return (*texts)(a).UnmarshalJSON(data)
	}
	if err := json.Unmarshal(data, &objects); err != nil {
		return err
	}
	*a = (*a)[:0]
	for i, o := range objects {
		if o.Answer == nil {
			return fmt.Errorf("answer %d has no text under \"answer\"", i)
		}
		*a = append(*a, *o.Answer)
	}
	return nil
}

// parseRecord reads one object; the record's image path is still as written,
// and its ID empty if it has none. Texts are not checked: see validateTexts.
func parseRecord(text []byte, fields map[string]string) (Record, error) {
	record, err := parsePartial(text, fields)
	if err != nil {
		return Record{}, err
	}
	if record.Image == "" {
		return Record{}, fmt.Errorf("no %q", shown(fields, "image"))
	}
	return record, nil
}

// parsePartial is parseRecord for what may lack a picture.
func parsePartial(text []byte, fields map[string]string) (Record, error) {
	if len(fields) > 0 {
		var err error
		if text, err = renameKeys(text, fields); err != nil {
			return Record{}, err
		}
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Record{}, jsonError(err, fields)
	}
	record := Record{Image: l.Image, Image2: l.Image2, Captions: l.Captions, Questions: l.Questions}
	if !bytes.Equal(l.Scene, []byte("null")) {
		record.Scene = l.Scene
	}
	var err error
	if record.ID, err = parseID(l.ID); err != nil {
		return Record{}, fmt.Errorf("%q must be a string or a number", shown(fields, "id"))
	}
	record.Captions = append(l.Caption, record.Captions...)
	if len(l.Noise) > 0 && len(l.Noise) != len(record.Captions) {
		return Record{}, fmt.Errorf("%q has %d entries for %d captions", shown(fields, "noise"), len(l.Noise), len(record.Captions))
	}
	record.Noise = l.Noise
	if l.Question != "" {
		record.Questions = append([]Question{{Question: l.Question, Answers: l.Answers, Kind: l.Kind, ID: l.AskedAs,
			Choices: l.Choices, Correct: l.Correct, Difficult: l.Difficult}}, record.Questions...)
	}
	return record, nil
}

// parseID is a string's content or a number as it is written; "" for none.
func parseID(raw json.RawMessage) (id string, err error) {
	switch {
	case len(raw) == 0 || bytes.Equal(raw, []byte("null")):
	case raw[0] == '"':
		err = json.Unmarshal(raw, &id)
	case raw[0] == '{' || raw[0] == '[':
		err = errors.New("neither a string nor a number")
	default:
		id = string(raw)
	}
	return id, err
}

// renameKeys gives an object's values the keys of our fields.
func renameKeys(text []byte, fields map[string]string) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, jsonError(err, nil)
	}
	renamed := map[string]json.RawMessage{}
	for _, field := range fieldNames {
		if value, ok := object[column(fields, field)]; ok {
			renamed[field] = value
		}
	}
	return json.Marshal(renamed)
}

// column is the source's name of a field. A column that is mapped to another field is not also the one that
// it is named like.
func column(fields map[string]string, field string) string {
	if name, ok := fields[field]; ok {
		return name
	}
	for _, name := range fields {
		if name == field {
			return "\x00" // no column's name
		}
	}
	return field
}

// shown is column for messages.
func shown(fields map[string]string, field string) string {
	if name := column(fields, field); name != "\x00" {
		return name
	}
	return field
}

// validateTexts says which text of a record is empty.
func (r *Record) validateTexts() error {
	for _, caption := range r.Captions {
		if strings.TrimSpace(caption) == "" {
			return errors.New("empty caption")
		}
	}
	for _, q := range r.Questions {
		if strings.TrimSpace(q.Question) == "" {
			return errors.New("empty question")
		}
		for _, answer := range q.Answers {
			if strings.TrimSpace(answer) == "" {
				return fmt.Errorf("empty answer to %q", q.Question)
			}
		}
		for _, choice := range q.Choices {
			if strings.TrimSpace(choice) == "" {
				return fmt.Errorf("empty choice for %q", q.Question)
			}
		}
		if q.Correct != nil && (*q.Correct < 0 || *q.Correct >= len(q.Choices)) {
			return fmt.Errorf("\"correct_choice_idx\" is %d, of %d choices for %q", *q.Correct, len(q.Choices), q.Question)
		}
	}
	return nil
}

// jsonError words a JSON error for someone who looks at the line, not at Go types.
func jsonError(err error, fields map[string]string) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%q must not be a JSON %s", shown(fields, wrong.Field), wrong.Value)
	}
	if errors.As(err, &wrong) {
		return fmt.Errorf("want a JSON object, got %s", wrong.Value)
	}
	return fmt.Errorf("bad JSON: %w", err)
}
