package datasets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var pictureExtensions = map[string]bool{
	".jpg": true, ".jpeg": true, ".png": true, ".webp": true, ".gif": true, ".bmp": true,
}

// readFolder takes every picture below a folder, in the order of their paths.
// The captions of "a/b.jpg" are the lines of "a/b.txt". A picture without a
// text file is kept: it can be captioned or searched, though not trained on.
func readFolder(folder string) (*Set, []Problem, error) {
	set := &Set{Name: folder}
	var problems []Problem
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") && path != folder { // .git, .DS_Store, ._x.jpg
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() || !pictureExtensions[strings.ToLower(filepath.Ext(path))] {
			return nil
		}
		if len(set.Records) >= MaxRecords {
			return fmt.Errorf("more than %d pictures", MaxRecords)
		}
		id, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		record := Record{ID: filepath.ToSlash(id), Image: path, Origin: path}
		record.Captions, err = readCaptions(strings.TrimSuffix(path, filepath.Ext(path)) + ".txt")
		var problem Problem
		if errors.As(err, &problem) {
			problems = append(problems, problem)
			return nil
		}
		if err != nil {
			return err
		}
		set.Records = append(set.Records, record)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", folder, err)
	}
	return set, problems, nil
}

// readCaptions returns the non-blank lines of a text file, none if it is absent.
func readCaptions(path string) ([]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var captions []string
	err = eachLine(file, func(_ int, text []byte) error {
		captions = append(captions, string(text))
		return nil
	})
	if err != nil {
		return nil, Problem{path, err.Error()}
	}
	if len(captions) == 0 {
		return nil, Problem{path, "empty caption"}
	}
	return captions, nil
}

// Error makes a Problem an error, so that a reader can return it as one.
func (p Problem) Error() string { return p.String() }
