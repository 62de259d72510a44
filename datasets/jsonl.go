package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MaxLineBytes bounds one line of a text source.
const MaxLineBytes = 1 << 20

// line is the JSON of one line. Unknown keys are ignored, so that files made
// for other programs can be read as they are.
type line struct {
	ID        json.RawMessage `json:"id"` // a string or a number
	Image     string          `json:"image"`
	Image2    string          `json:"image2"`
	Caption   *string         `json:"caption"`
	Captions  []string        `json:"captions"`
	Question  string          `json:"question"`
	Answers   []string        `json:"answers"`
	Questions []Question      `json:"questions"`
	Scene     json.RawMessage `json:"scene"`
}

func readJSONL(path string) (*Set, []Problem, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	set := &Set{Name: path}
	var problems []Problem
	folder := filepath.Dir(path)
	err = eachLine(file, func(number int, text []byte) error {
		where := fmt.Sprintf("%s:%d", path, number)
		if len(set.Records) >= MaxRecords {
			return fmt.Errorf("%s: more than %d records", where, MaxRecords)
		}
		record, err := parseRecord(text)
		if err != nil {
			problems = append(problems, Problem{where, err.Error()})
			return nil
		}
		record.Origin = where
		if !filepath.IsAbs(record.Image) {
			record.Image = filepath.Join(folder, record.Image)
		}
		if record.Image2 != "" && !filepath.IsAbs(record.Image2) {
			record.Image2 = filepath.Join(folder, record.Image2)
		}
		if record.ID == "" {
			record.ID, record.NoID = strconv.Itoa(number), true
		}
		set.Records = append(set.Records, record)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return set, problems, nil
}

// parseRecord reads one line; the record's image path is still as written.
func parseRecord(text []byte) (Record, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return Record{}, jsonError(err)
	}
	record := Record{Image: l.Image, Image2: l.Image2, Captions: l.Captions, Questions: l.Questions}
	if !bytes.Equal(l.Scene, []byte("null")) {
		record.Scene = l.Scene
	}
	switch {
	case len(l.ID) == 0 || bytes.Equal(l.ID, []byte("null")):
	case l.ID[0] == '"':
		if err := json.Unmarshal(l.ID, &record.ID); err != nil {
			return Record{}, jsonError(err)
		}
	case l.ID[0] == '{' || l.ID[0] == '[':
		return Record{}, errors.New(`"id" must be a string or a number`)
	default:
		record.ID = string(l.ID)
	}
	if l.Image == "" {
		return Record{}, errors.New(`no "image"`)
	}
	if l.Caption != nil {
		record.Captions = append([]string{*l.Caption}, record.Captions...)
	}
	for _, caption := range record.Captions {
		if strings.TrimSpace(caption) == "" {
			return Record{}, errors.New("empty caption")
		}
	}
	if l.Question != "" {
		record.Questions = append([]Question{{Question: l.Question, Answers: l.Answers}}, record.Questions...)
	}
	for _, q := range record.Questions {
		if strings.TrimSpace(q.Question) == "" {
			return Record{}, errors.New("empty question")
		}
		for _, answer := range q.Answers {
			if strings.TrimSpace(answer) == "" {
				return Record{}, fmt.Errorf("empty answer to %q", q.Question)
			}
		}
	}
	return record, nil
}

// jsonError words a JSON error for someone who looks at the line, not at Go types.
func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%q must not be a JSON %s", wrong.Field, wrong.Value)
	}
	if errors.As(err, &wrong) {
		return fmt.Errorf("want a JSON object, got %s", wrong.Value)
	}
	return fmt.Errorf("bad JSON: %w", err)
}

// eachLine calls use for every line that is not blank; numbers start at 1.
func eachLine(r io.Reader, use func(number int, text []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	number := 0
	for scanner.Scan() {
		number++
		text := scanner.Bytes()
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // byte order mark
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if err := use(number, text); err != nil {
			return err
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", number+1, MaxLineBytes)
	}
	return scanner.Err()
}
