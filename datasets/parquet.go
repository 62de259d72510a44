package datasets

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"goblip/datasets/blob"
	"goblip/datasets/image"
	"goblip/datasets/parquet"
)

// parquetFiles are tables in the layout of Hugging Face's datasets: "image" is
// a structure of bytes and path, or a column of paths or of bytes; texts are
// texts or lists of them. Rows are read by the page that holds them.
type parquetFiles struct {
	files []*parquetFile
	first []int // record that each file begins with
	total int
}

// parquetFile is one table with the columns that are used; nil where there is none.
type parquetFile struct {
	name        string
	file        blob.Blob
	bytes, path *parquet.Column

	id, caption, captions                  *parquet.Column
	question, answers, kind, questionID    *parquet.Column
	choices, correctChoice, onlyWithChoice *parquet.Column
}

func openParquet(pattern string, o Options) (Source, error) {
	names, err := expandBraces(pattern)
	if err != nil {
		return nil, err
	}
	s := &parquetFiles{}
	for _, name := range names {
		file, rows, err := openParquetFile(name, o.Fields)
		if err != nil {
			return nil, err
		}
		s.files, s.first = append(s.files, file), append(s.first, s.total)
		if s.total += int(rows); s.total > maxIndexed {
			return nil, fmt.Errorf("%s: more than %d records", pattern, maxIndexed)
		}
	}
	if s.total == 0 {
		return nil, fmt.Errorf("%s: no records", pattern)
	}
	return s, nil
}

func openParquetFile(name string, fields map[string]string) (*parquetFile, int64, error) {
	file, err := blob.Open(name)
	if err != nil {
		return nil, 0, err
	}
	table, err := parquet.Open(file, file.Size())
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	p := &parquetFile{name: name, file: file}
	open := func(field string, parts ...string) *parquet.Column {
		for _, part := range parts {
			if i := table.Find(column(fields, field) + part); i >= 0 && err == nil {
				var c *parquet.Column
				c, err = table.Open(i)
				return c
			}
		}
		if want, mapped := fields[field]; mapped && err == nil && field != "image" {
			err = fmt.Errorf("no column %q for %s; there are: %s", want, field, strings.Join(table.Columns(), ", "))
		}
		return nil
	}
	p.bytes, p.path = open("image", ".bytes"), open("image", ".path")
	if p.bytes == nil && p.path == nil {
		p.path = open("image", "")
	}
	p.id, p.caption, p.captions = open("id", ""), open("caption", ""), open("captions", "")
	p.question, p.answers, p.kind, p.questionID = open("question", ""), open("answers", "", ".answer"), open("kind", ""), open("question_id", "")
	p.choices, p.correctChoice, p.onlyWithChoice = open("choices", ""), open("correct_choice_idx", ""), open("difficult_direct_answer", "")
	for _, field := range []string{"questions", "scene", "noise", "image2"} {
		if _, mapped := fields[field]; mapped && err == nil {
			err = fmt.Errorf("%s is not read out of a table; JSONL has it", field)
		}
	}
	if err == nil && p.bytes == nil && p.path == nil {
		err = fmt.Errorf("no column %q; there are: %s; --map image=COLUMN names another", shown(fields, "image"), strings.Join(table.Columns(), ", "))
	}
	if err == nil && table.Rows > 0 {
		err = p.settle()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return p, table.Rows, nil
}

func (s *parquetFiles) Len() int { return s.total }

func (s *parquetFiles) Record(i int) (Record, error) {
	n := sort.SearchInts(s.first, i+1) - 1
	return s.files[n].record(int64(i-s.first[n]), i)
}

// record reads one row; number is the record's in the whole source.
func (p *parquetFile) record(row int64, number int) (Record, error) {
	record := Record{ID: strconv.Itoa(number), NoID: true, Origin: fmt.Sprintf("%s: row %d", p.name, row)}
	var failed error
	texts := func(c *parquet.Column) (list []string) {
		if c == nil || failed != nil {
			return nil
		}
		values, err := c.Row(row)
		failed = err
		for _, v := range values {
			list = append(list, string(v))
		}
		return list
	}
	if id := texts(p.id); len(id) > 0 {
		record.ID, record.NoID = id[0], false
	}
	one := func(c *parquet.Column) string { return strings.Join(texts(c), " ") }
	record.Captions = append(texts(p.caption), texts(p.captions)...)
	if question := texts(p.question); len(question) > 0 {
		q := Question{Question: question[0], Answers: texts(p.answers), Kind: one(p.kind), ID: ID(one(p.questionID)), Choices: texts(p.choices)}
		correct, difficult := one(p.correctChoice), one(p.onlyWithChoice)
		if failed == nil {
			failed = q.parseChoice(correct, difficult)
		}
		record.Questions = []Question{q}
	}
	path := texts(p.path)
	if failed == nil {
		failed = p.picture(&record, row, path)
	}
	if failed == nil {
		failed = record.validateTexts()
	}
	if failed != nil {
		return Record{}, Problem{record.Origin, failed.Error()}
	}
	return record, nil
}

// picture says where a row's picture lies. Bytes win over a path, which then is a name.
func (p *parquetFile) picture(record *Record, row int64, path []string) error {
	if p.bytes != nil {
		record.picture, record.Image = cell{p.file, p.bytes, row}, record.Origin
		if len(path) > 0 && path[0] != "" {
			record.Image += " (" + path[0] + ")"
		}
		return nil
	}
	if len(path) == 0 || path[0] == "" {
		return errors.New("no picture")
	}
	record.Image = beside(p.name, path[0])
	return nil
}

// settle finds out by the first row whether pictures lie in the table: a column of bytes may be
// empty beside one of paths, and one without a structure may have either.
func (p *parquetFile) settle() error {
	if p.bytes == nil {
		first, err := p.path.Row(0)
		if err == nil && len(first) > 0 && image.IsPicture(first[0]) {
			p.bytes, p.path = p.path, nil
		}
		return err
	}
	if p.path == nil {
		return nil
	}
	first, err := p.bytes.Row(0)
	if err == nil && len(first) == 0 {
		p.bytes = nil
	}
	return err
}

// cell is a picture in a table.
type cell struct {
	file   blob.Blob
	column *parquet.Column
	row    int64
}

func (c cell) stamp() (string, bool) { return storedStamp(c.file, fmt.Sprint(c.row)) }

func (c cell) read() ([]byte, error) {
	values, err := c.column.Row(c.row)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, errors.New("no picture")
	}
	return values[0], nil
}
