package datasets

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// WriteJSONL writes a set as one record a line. Picture paths are written
// relative to the file, so that the folder can be moved. The file appears
// under its name only when it is complete.
func WriteJSONL(path string, records []Record) (err error) {
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".writing-*.jsonl")
	if err != nil {
		return err
	}
	defer func() {
		file.Close()
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	w := bufio.NewWriter(file)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for i, record := range records {
		for _, picture := range []*string{&record.Image, &record.Image2} {
			if *picture == "" {
				continue
			}
			absolute, err := filepath.Abs(*picture)
			if err != nil {
				return err
			}
			if relative, err := filepath.Rel(folder, absolute); err == nil {
				absolute = relative
			}
			*picture = filepath.ToSlash(absolute)
		}
		if err := encoder.Encode(record); err != nil {
			return fmt.Errorf("%s: record %d: %w", path, i, err)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
