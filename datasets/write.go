package datasets

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
)

// WriteJSONL writes a set as one record a line. Picture paths are written
// relative to the file, so that the folder can be moved; pictures that lie in
// shards or tables have none, and are refused. The file appears under its name
// only when it is complete.
func WriteJSONL(path string, records []Record) error {
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	return atomically(path, func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		for i, record := range records {
			if record.Stored() {
				return fmt.Errorf("%s: the picture %s is no file of its own", path, record.Image)
			}
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
		return nil
	})
}
