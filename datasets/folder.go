package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var pictureExtensions = map[string]bool{
	".jpg": true, ".jpeg": true, ".png": true, ".webp": true, ".gif": true, ".bmp": true,
}

// folder is every picture below a folder, in the order of their paths. The
// captions of "a/b.jpg" are the lines of "a/b.txt". A picture without a text
// file is kept: it can be captioned or searched, though not trained on.
type folder struct {
	path     string
	pictures []string // below path
}

func openFolder(path string) (Source, error) {
	f := &folder{path: path}
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") && file != path { // .git, .DS_Store, ._x.jpg
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() || !pictureExtensions[strings.ToLower(filepath.Ext(file))] {
			return nil
		}
		if len(f.pictures) >= MaxRecords {
			return fmt.Errorf("more than %d pictures", MaxRecords)
		}
		name, err := filepath.Rel(path, file)
		f.pictures = append(f.pictures, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *folder) Len() int { return len(f.pictures) }

func (f *folder) Record(i int) (Record, error) {
	path := filepath.Join(f.path, f.pictures[i])
	record := Record{ID: filepath.ToSlash(f.pictures[i]), Image: path, Origin: path}
	var err error
	record.Captions, err = readCaptions(strings.TrimSuffix(path, filepath.Ext(path)) + ".txt")
	return record, err
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
	captions, err := captionLines(io.LimitReader(file, maxCaptionBytes))
	if err != nil {
		return nil, Problem{path, err.Error()}
	}
	return captions, nil
}

// maxCaptionBytes bounds what is read of a file of captions.
const maxCaptionBytes = 16 << 20

// captionLines are the lines of a text that are not blank; there must be one.
func captionLines(r io.Reader) (captions []string, err error) {
	for l := newLiner(r, 0, 1, 4<<10); ; {
		text, err := l.next()
		switch {
		case errors.Is(err, io.EOF) && len(captions) == 0:
			return nil, errors.New("empty caption")
		case errors.Is(err, io.EOF):
			return captions, nil
		case err != nil:
			return nil, err
		case len(text) > 0:
			captions = append(captions, string(text))
		}
	}
}
