package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxRecords bounds how many records a source may hold in memory.
const MaxRecords = 20_000_000

// Open reads a JSONL file, or a folder of pictures with captions beside them.
func Open(path string) (*Set, error) {
	set, problems, err := read(path)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		more := ""
		if len(problems) > 1 {
			more = fmt.Sprintf(" (and %d more problems; goblip data check lists them)", len(problems)-1)
		}
		return nil, fmt.Errorf("%s%s", problems[0], more)
	}
	return set, nil
}

// read returns the usable records of a source and what is wrong with the rest;
// an error is a source that cannot be read at all.
func read(path string) (*Set, []Problem, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("data path does not exist: %s", path)
	}
	if err != nil {
		return nil, nil, err
	}
	var set *Set
	var problems []Problem
	switch {
	case info.IsDir():
		set, problems, err = readFolder(path)
	case strings.EqualFold(filepath.Ext(path), ".jsonl"):
		set, problems, err = readJSONL(path)
	default:
		return nil, nil, fmt.Errorf("%s: not a data source: want a .jsonl file or a folder of pictures", path)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(set.Records) == 0 && len(problems) == 0 {
		return nil, nil, fmt.Errorf("%s: no records", path)
	}
	return set, problems, nil
}

// Problem is one thing that is wrong with a source.
type Problem struct {
	Where string // "train.jsonl:17" or a file's path
	What  string
}

func (p Problem) String() string { return p.Where + ": " + p.What }
