package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"goblip/datasets/blob"
)

// Source is an opened data source. Its records are read when they are asked
// for, by any number of goroutines; what it keeps in memory is where they lie.
type Source interface {
	Len() int
	// Record reads record i. A Problem as error means this record alone.
	Record(i int) (Record, error)
}

// Options say how sources are read.
type Options struct {
	// Fields maps a field of a record (image, caption, captions, question,
	// answers, question_id, kind, id) to the name that the source has for it.
	Fields map[string]string
	// SkipBad leaves out shards that cannot be read or end too early, and
	// records that cannot be understood, instead of failing; Set.Skipped
	// counts them.
	SkipBad bool
	// EmptyTexts lets captions of JSONL be empty, for data that is yet to be cleaned.
	EmptyTexts bool
	// Note is told what was left out; may be nil.
	Note func(what string)
}

func (o *Options) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, args...))
	}
}

// OpenSource opens a source by its name; see ParseSpec for what a name may say.
// No record has been read then, except where the format needs it.
func OpenSource(name string, o Options) (Source, error) {
	for field := range o.Fields {
		if !isField(field) {
			return nil, fmt.Errorf("unknown field %q; there are: %s", field, strings.Join(fieldNames, ", "))
		}
	}
	spec, err := ParseSpec(name)
	if err != nil {
		return nil, err
	}
	source, err := openSpec(spec, o)
	if err != nil {
		return nil, err
	}
	if spec.Shares > 1 {
		source = shareOf(source, spec.Share, spec.Shares)
	}
	return source, nil
}

func openSpec(spec Spec, o Options) (Source, error) {
	path := spec.Path
	if !blob.IsRemote(path) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if len(o.Fields) > 0 {
				return nil, fmt.Errorf("%s: a folder of pictures has no columns to map", path)
			}
			return openFolder(path)
		}
	}
	switch kind := extension(path); kind {
	case ".jsonl":
		return openText(path, func(path string) (Source, error) { return openJSONL(path, o) })
	case ".csv":
		return openText(path, func(path string) (Source, error) { return openCSV(path, ',', o) })
	case ".tsv":
		return openText(path, func(path string) (Source, error) { return openCSV(path, '\t', o) })
	case ".json":
		return openJSON(spec, o)
	case ".tar", ".tar.gz", ".tgz":
		return openTar(path, o)
	case ".parquet":
		return openParquet(path, o)
	}
	if !blob.IsRemote(path) {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("data path does not exist: %s", path)
		}
	}
	return nil, fmt.Errorf("%s: not a data source: want a folder of pictures, or .jsonl, .csv, .tsv, .json (COCO, Karpathy, VQA), .tar, .tar.gz, .parquet", path)
}

// extension is that of a path or address, in lower case; ".tar.gz" is one.
func extension(path string) string {
	if blob.IsRemote(path) {
		path, _, _ = strings.Cut(path, "?")
	}
	path = strings.ToLower(path)
	kind := filepath.Ext(path)
	if kind == ".gz" && strings.HasSuffix(path, ".tar.gz") {
		return ".tar.gz"
	}
	return kind
}

// beside is a picture's path as a file names it: relative to that file.
func beside(file, picture string) string {
	if filepath.IsAbs(picture) || blob.IsRemote(picture) {
		return picture
	}
	return filepath.Join(filepath.Dir(file), picture)
}
