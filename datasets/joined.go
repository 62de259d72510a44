package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// joined are several text files that are read as one, in the order of their names.
type joined struct {
	sources []Source
	first   []int // number of each one's first record
	total   int
}

// openText opens one text file, or several by one name: "kept-{00000..00019}-of-00020.jsonl", "kept-*.jsonl".
func openText(name string, open func(path string) (Source, error)) (Source, error) {
	names, err := textFiles(name)
	if err != nil {
		return nil, err
	}
	if len(names) == 1 {
		return open(names[0])
	}
	s := &joined{sources: make([]Source, len(names)), first: make([]int, len(names))}
	err = forEach(len(names), nil, func(i int) (err error) {
		s.sources[i], err = open(names[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, source := range s.sources {
		s.first[i] = s.total
		if s.total += source.Len(); s.total > maxIndexed {
			return nil, fmt.Errorf("%s: more than %d records", name, maxIndexed)
		}
	}
	return s, nil
}

// textFiles are the files that a name stands for; one that is there stands for itself, whatever is in it.
func textFiles(name string) ([]string, error) {
	if !strings.ContainsAny(name, "{*") {
		return []string{name}, nil
	}
	if !blob.IsRemote(name) {
		if _, err := os.Stat(name); err == nil {
			return []string{name}, nil
		}
	}
	names, err := expandBraces(name)
	if err != nil || blob.IsRemote(name) || !strings.Contains(name, "*") {
		return names, err
	}
	var files []string
	for _, pattern := range names {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("data path does not exist: no file is named like %s", name)
	}
	return files, nil
}

func (s *joined) Len() int { return s.total }

func (s *joined) Record(i int) (Record, error) {
	// Of files that begin with the same record all but the last are empty.
	file := sort.SearchInts(s.first, i+1) - 1
	record, err := s.sources[file].Record(i - s.first[file])
	if record.NoID {
		record.ID = strconv.Itoa(i + 1) // a line's number says little when there are several files
	}
	return record, err
}
