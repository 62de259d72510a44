package datasets

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Stream reads a source record by record, in its order, for sets that are too large for memory or too dirty
// for Open: a record that cannot be read comes as an error of type Problem, after which reading goes on, and
// captions may be empty. Any other error ends the stream. A folder's paths are listed first; a JSONL file is
// never held in memory.
func Stream(path string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		info, err := os.Stat(path)
		if err == nil && !info.IsDir() && strings.EqualFold(filepath.Ext(path), ".jsonl") {
			streamJSONL(path, yield)
			return
		}
		set, problems, err := read(path)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, record := range set.Records {
			if !yield(record, nil) {
				return
			}
		}
		for _, problem := range problems {
			if !yield(Record{}, problem) {
				return
			}
		}
	}
}

// errEnough ends a stream whose reader wants no more.
var errEnough = errors.New("enough")

func streamJSONL(path string, yield func(Record, error) bool) {
	file, err := os.Open(path)
	if err != nil {
		yield(Record{}, err)
		return
	}
	defer file.Close()
	err = eachLine(file, func(number int, text []byte) error {
		record, err := decodeRecord(text)
		if err != nil {
			err = Problem{fmt.Sprintf("%s:%d", path, number), err.Error()}
		} else {
			record.place(path, number)
		}
		if !yield(record, err) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		yield(Record{}, fmt.Errorf("%s: %w", path, err))
	}
}
