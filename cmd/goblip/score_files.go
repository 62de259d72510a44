package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxInput bounds what a file of captions, answers or scores may hold once unpacked.
const maxInput = 1 << 30

// readContent reads a file, gzipped or not.
func readContent(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buffered := bufio.NewReader(f)
	var in io.Reader = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		in = z
	}
	content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(content) > maxInput {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxInput)
	}
	return content, nil
}

// readJSON decodes a file that holds one JSON value and nothing else.
func readJSON(path string, value any) error {
	content, err := readContent(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("%s: %w", path, placed(err))
	}
	return nil
}

// readList decodes a file that holds a JSON list, or its records one behind the other, as lines.
func readList[T any](path string) ([]T, error) {
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	var list []T
	if !bytes.HasPrefix(bytes.TrimLeft(content, " \t\r\n"), []byte("{")) {
		if err := json.Unmarshal(content, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", path, badRecord[T](content, err))
		}
		return list, nil
	}
	for decoder := json.NewDecoder(bytes.NewReader(content)); ; {
		var record T
		err := decoder.Decode(&record)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: record %d: %w", path, len(list)+1, placed(err))
		}
		list = append(list, record)
	}
}

// badRecord says which record of a list is not as it should be.
func badRecord[T any](content []byte, err error) error {
	var list []json.RawMessage
	if json.Unmarshal(content, &list) != nil {
		return placed(err)
	}
	for i, raw := range list {
		var record T
		if err := json.Unmarshal(raw, &record); err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) && wrong.Field != "" {
				return fmt.Errorf("[%d]: %q must not be a JSON %s", i, wrong.Field, wrong.Value)
			}
			return fmt.Errorf("[%d]: %w", i, placed(err))
		}
	}
	return placed(err)
}

// placed says where in a file its JSON is broken.
func placed(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset > 0 {
		return fmt.Errorf("%w (byte %d)", err, syntax.Offset)
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("a JSON %s is not what belongs there (byte %d)", wrong.Value, wrong.Offset)
		}
		return fmt.Errorf("%q must not be a JSON %s (byte %d)", wrong.Field, wrong.Value, wrong.Offset)
	}
	return err
}

// fileID is the id of an image or a question as its file writes it: a number in COCO's files, a string in others.
type fileID string

func (id *fileID) UnmarshalJSON(b []byte) error {
	if b[0] == '"' || b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		*id = fileID(b)
		return nil
	}
	return fmt.Errorf("id %.40s is neither a number nor a string", b)
}

// quoted is the id as a text.
func (id fileID) quoted() fileID {
	if id[0] == '"' {
		return id
	}
	return `"` + id + `"`
}

// kind says how the id is written.
func (id fileID) kind() string {
	if id[0] == '"' {
		return "text"
	}
	return "number"
}

func (id fileID) MarshalJSON() ([]byte, error) { return []byte(id), nil }

// sliceValue is a field of a record as the name of a slice; absent fields and null are "".
func sliceValue(record map[string]json.RawMessage, field string) string {
	raw := record[field]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// writeJSON prints a result as indented JSON.
func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
