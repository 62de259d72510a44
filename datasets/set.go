package datasets

import (
	"errors"
	"fmt"

	"goblip/datasets/image"
)

// Set is a source read into memory; pictures stay where they are.
type Set struct {
	Name    string // the path it was opened by
	Records []Record

	// Parts are the sources that a mixture was made of, in the order of their
	// records; empty for one source.
	Parts []Part
	// Skipped counts what was left out because it could not be read.
	Skipped int
}

// Len is the number of pictures.
func (s *Set) Len() int { return len(s.Records) }

// Record returns a record; a Set is a Source.
func (s *Set) Record(i int) (Record, error) { return s.Records[i], nil }

// Load reads a source's records into memory. What is wrong with them is an
// error, of which the first is told, or left out, as the options say.
func Load(source Source, name string, o Options) (*Set, error) {
	if source.Len() > MaxRecords {
		return nil, fmt.Errorf("%s: more than %d records", name, MaxRecords)
	}
	records := make([]Record, source.Len())
	problems := make([]error, source.Len())
	err := forEach(len(records), nil, func(i int) (err error) {
		records[i], err = source.Record(i)
		if problem := (Problem{}); errors.As(err, &problem) {
			problems[i], err = problem, nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	set := &Set{Name: name, Records: records[:0]}
	for i := range records {
		if problems[i] == nil {
			set.Records = append(set.Records, records[i])
		}
	}
	bad := len(records) - len(set.Records)
	if bad > 0 && !o.SkipBad {
		more := ""
		if bad > 1 {
			more = fmt.Sprintf(" (and %d more problems; goblip data check lists them)", bad-1)
		}
		for _, err := range problems {
			if err != nil {
				return nil, fmt.Errorf("%w%s", err, more)
			}
		}
	}
	set.Skipped = bad
	if left, ok := source.(interface{ leftOut() int }); ok {
		set.Skipped += left.leftOut()
	}
	if len(set.Records) == 0 {
		return nil, fmt.Errorf("%s: no records", name)
	}
	return set, nil
}

// LoadPixels decodes and resizes all pictures -> [records, side, side, 3] bytes,
// the same for any number of processors. The error is that of the first bad
// record and names its file. progress may be nil; its calls never overlap.
func (s *Set) LoadPixels(p image.Processor, progress func(done, total int)) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	size := p.Side() * p.Side() * 3
	pixels := make([]byte, size*len(s.Records))
	err := forEach(len(s.Records), progress, func(i int) error {
		got, err := s.Records[i].Pixels(p)
		if err != nil {
			return err
		}
		copy(pixels[i*size:], got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pixels, nil
}
