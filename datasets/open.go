package datasets

import "errors"

// MaxRecords bounds how many records a source may hold in memory.
const MaxRecords = 20_000_000

// Open reads the records of a source into memory: a folder of pictures with
// captions beside them, JSONL, CSV or TSV files, COCO, Karpathy or VQA JSON,
// tar shards, Parquet. OpenSource leaves them where they are.
func Open(name string) (*Set, error) { return OpenWith(name, Options{}) }

// OpenWith is Open with options.
func OpenWith(name string, o Options) (*Set, error) {
	source, err := OpenSource(name, o)
	if err != nil {
		return nil, err
	}
	return Load(source, name, o)
}

// Problem is one thing that is wrong with a source.
type Problem struct {
	Where string // "train.jsonl:17" or a file's path
	What  string
}

func (p Problem) String() string { return p.Where + ": " + p.What }

// Error makes a Problem an error, so that a reader can return it as one.
func (p Problem) Error() string { return p.String() }

// problemOf returns the Problem that an error is; ok is false for other errors,
// which are not of one record alone.
func problemOf(err error) (p Problem, ok bool) {
	ok = errors.As(err, &p)
	return p, ok
}
