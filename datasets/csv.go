package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// table is a CSV or TSV file whose first row names the columns.
type table struct {
	path    string
	comma   byte
	index   *lineIndex // of the rows after the first
	columns map[string]int
	width   int
	fields  map[string]string
}

func openCSV(path string, comma byte, o Options) (Source, error) {
	file, err := blob.Open(path)
	if err != nil {
		return nil, err
	}
	t := &table{path: path, comma: comma, index: &lineIndex{file: file}, columns: map[string]int{}, fields: o.Fields}
	rows := newRows(blob.NewWindow(file), comma, 0, 1)
	header, err := rows.next(true)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: no records", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, name := range header {
		t.columns[strings.TrimSpace(name)] = i
	}
	t.width = len(header)
	for _, field := range fieldNames {
		name, mapped := o.Fields[field]
		if _, there := t.columns[name]; mapped && !there {
			return nil, fmt.Errorf("%s: no column %q for %s; there are: %s", path, name, field, strings.Join(header, ", "))
		}
	}
	if _, ok := t.columns[column(o.Fields, "image")]; !ok {
		return nil, fmt.Errorf("%s: no column %q in its first row (%s); --map image=COLUMN names another", path, shown(o.Fields, "image"), strings.Join(header, ", "))
	}
	for {
		if _, err := rows.next(false); errors.Is(err, io.EOF) {
			return t, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if t.index.records >= maxIndexed {
			return nil, fmt.Errorf("%s: more than %d records", path, maxIndexed)
		}
		t.index.add(rows.start, rows.line)
	}
}

func (t *table) Len() int { return t.index.records }

func (t *table) Record(i int) (Record, error) {
	r, b, skip := t.index.block(i)
	rows := newRows(r, t.comma, b.offset, b.line)
	for ; skip > 0; skip-- {
		if _, err := rows.next(false); err != nil {
			return Record{}, fmt.Errorf("%s: %w", t.path, noEOF(err))
		}
	}
	cells, err := rows.next(true)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", t.path, noEOF(err))
	}
	where := fmt.Sprintf("%s:%d", t.path, rows.line)
	record, err := t.parse(cells)
	if err != nil {
		return Record{}, Problem{where, err.Error()}
	}
	record.Origin = where
	record.Image = beside(t.path, record.Image)
	if record.Image2 != "" {
		record.Image2 = beside(t.path, record.Image2)
	}
	if record.ID == "" {
		record.ID, record.NoID = strconv.Itoa(rows.line), true
	}
	return record, nil
}

// parse makes a record of a row. Lists are JSON lists in their cell.
func (t *table) parse(cells []string) (record Record, err error) {
	if len(cells) != t.width {
		return record, fmt.Errorf("%d columns, the first row has %d", len(cells), t.width)
	}
	cell := func(field string) string {
		if i, ok := t.columns[column(t.fields, field)]; ok {
			return cells[i]
		}
		return ""
	}
	list := func(field string) (values []string) {
		text := strings.TrimSpace(cell(field))
		if !strings.HasPrefix(text, "[") {
			if text != "" {
				values = []string{text}
			}
			return values
		}
		if e := json.Unmarshal([]byte(text), &values); e != nil && err == nil {
			err = fmt.Errorf("%q starts like a JSON list of texts but is none", shown(t.fields, field))
		}
		return values
	}
	record.ID, record.Image = strings.TrimSpace(cell("id")), strings.TrimSpace(cell("image"))
	if record.Image == "" {
		return record, fmt.Errorf("no %q", shown(t.fields, "image"))
	}
	_, has := t.columns[column(t.fields, "caption")]
	if has {
		record.Captions = []string{cell("caption")}
	}
	record.Captions = append(record.Captions, list("captions")...)
	if question := cell("question"); question != "" {
		q := Question{Question: question, Answers: list("answers"), Kind: strings.TrimSpace(cell("kind")), ID: ID(strings.TrimSpace(cell("question_id"))), Choices: list("choices")}
		if e := q.parseChoice(cell("correct_choice_idx"), cell("difficult_direct_answer")); e != nil && err == nil {
			err = e
		}
		record.Questions = []Question{q}
	}
	if text := strings.TrimSpace(cell("questions")); text != "" {
		var more []Question
		if e := json.Unmarshal([]byte(text), &more); e != nil && err == nil {
			err = fmt.Errorf("%q is not a JSON list of questions", shown(t.fields, "questions"))
		}
		record.Questions = append(record.Questions, more...)
	}
	if record.Noise = list("noise"); len(record.Noise) > 0 && len(record.Noise) != len(record.Captions) && err == nil {
		err = fmt.Errorf("%q has %d entries for %d captions", shown(t.fields, "noise"), len(record.Noise), len(record.Captions))
	}
	record.Image2 = strings.TrimSpace(cell("image2"))
	if text := strings.TrimSpace(cell("scene")); text != "" {
		if record.Scene = json.RawMessage(text); !json.Valid(record.Scene) {
			return record, fmt.Errorf("%q is not JSON", shown(t.fields, "scene"))
		}
	}
	if err != nil {
		return record, err
	}
	return record, record.validateTexts()
}

// parseChoice reads what tables say of a multiple-choice question; empty texts say nothing.
func (q *Question) parseChoice(correct, difficult string) error {
	if correct = strings.TrimSpace(correct); correct != "" {
		n, err := strconv.Atoi(correct)
		if err != nil {
			return fmt.Errorf("%q is %q, want a whole number", "correct_choice_idx", correct)
		}
		q.Correct = &n
	}
	if difficult = strings.TrimSpace(difficult); difficult != "" {
		yes, err := strconv.ParseBool(difficult)
		if err != nil {
			return fmt.Errorf("%q is %q, want true or false", "difficult_direct_answer", difficult)
		}
		q.Difficult = yes
	}
	return nil
}

// rows reads CSV as Python's csv module and pandas do: a cell that begins with
// a quote goes to the next single quote, with "" for a quote and line ends as
// they are; elsewhere a quote is a character like others. Blank lines are no rows.
type rows struct {
	r     *bufio.Reader
	comma byte
	at    int64 // of the next byte
	lines int   // read so far
	start int64 // of the last row given
	line  int   // number of its first line, from 1
}

func newRows(r io.Reader, comma byte, at int64, line int) *rows {
	return &rows{r: bufio.NewReaderSize(r, 8<<10), comma: comma, at: at, lines: line - 1}
}

// next reads a row; with keep, its cells.
func (w *rows) next(keep bool) (cells []string, err error) {
	var cell []byte
	add := func(c byte) {
		if keep {
			cell = append(cell, c)
		}
	}
	end := func() {
		if keep {
			cells = append(cells, string(cell))
			cell = cell[:0]
		}
	}
	if w.at == 0 {
		if mark, _ := w.r.Peek(len(byteOrderMark)); bytes.Equal(mark, byteOrderMark) {
			_, _ = w.r.Discard(len(mark))
			w.at += int64(len(mark))
		}
	}
	const (
		cellStart = iota
		plain
		quoted
		quote // inside of quotes, a quote was read
	)
	state, empty := cellStart, true
	w.start, w.line = w.at, w.lines+1
	for {
		c, err := w.r.ReadByte()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil {
			if state == quoted {
				return nil, fmt.Errorf("line %d: a quoted cell does not end", w.line)
			}
			if empty {
				return nil, io.EOF
			}
			end()
			return cells, nil
		}
		if w.at++; w.at-w.start > MaxLineBytes {
			if state == quoted {
				return nil, fmt.Errorf("line %d: a quoted cell does not end within %d bytes", w.line, MaxLineBytes)
			}
			return nil, fmt.Errorf("line %d is longer than %d bytes", w.line, MaxLineBytes)
		}
		if c == '\n' {
			w.lines++
		}
		switch {
		case state == quoted && c == '"':
			state = quote
		case state == quoted:
			add(c)
		case state == quote && c == '"':
			add(c)
			state = quoted
		case state == cellStart && c == '"':
			state, empty = quoted, false
		case c == w.comma:
			end()
			state, empty = cellStart, false
		case c == '\r' && w.ends(): // goes with the line's end
		case c == '\n':
			if empty {
				w.start, w.line, state, cell = w.at, w.lines+1, cellStart, cell[:0]
				continue
			}
			end()
			return cells, nil
		default:
			add(c)
			state, empty = plain, empty && (c == ' ' || c == '\t')
		}
	}
}

// ends says whether a line end, or the end, follows.
func (w *rows) ends() bool {
	next, _ := w.r.Peek(1)
	return len(next) == 0 || slices.Contains(next, '\n')
}
