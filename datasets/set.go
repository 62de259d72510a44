package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"goblip/datasets/image"
	"goblip/datasets/image/augment"
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
	// OnBad is told of a picture that cannot be read while it is needed, once; the record is then left
	// out, see Usable. Nil: that is an error. Its calls never overlap, and must
	// not use the set.
	OnBad func(row int, why error)

	mu  sync.Mutex
	bad map[int]bool // records that OnBad was told of
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
	all := make([]int, len(s.Records))
	for i := range all {
		all[i] = i
	}
	return s.pixels(all, p, progress)
}

// LoadSome is LoadPixels for some records, in the order given.
func (s *Set) LoadSome(rows []int, p image.Processor) ([]byte, error) { return s.pixels(rows, p, nil) }

func (s *Set) pixels(rows []int, p image.Processor, progress func(done, total int)) ([]byte, error) {
	return s.gather(rows, p.Side(), progress, func(row int) ([]byte, error) { return s.Records[row].Pixels(p) })
}

// LoadAugmented is LoadSome with changes: what a record's are in an epoch is a function of seed, epoch
// and record. Transparent pictures and photos' turns are as the processor says.
func (s *Set) LoadAugmented(rows []int, p image.Processor, policy *augment.Policy, seed uint64, epoch int) ([]byte, error) {
	return s.gather(rows, policy.Size, nil, func(row int) ([]byte, error) {
		rgb, err := s.Records[row].Decode(p.Options())
		if err != nil {
			return nil, err
		}
		return policy.Apply(rgb, policy.Draw(AugmentRand(seed, epoch, row), rgb.Height, rgb.Width)), nil
	})
}

// gather makes the pictures of rows on all processors. Those that are left out are black.
func (s *Set) gather(rows []int, side int, progress func(done, total int), one func(row int) ([]byte, error)) ([]byte, error) {
	size := side * side * 3
	pixels := make([]byte, size*len(rows))
	err := forEach(len(rows), progress, func(i int) error {
		got, err := one(rows[i])
		if err != nil {
			return s.leaveOut(rows[i], err)
		}
		copy(pixels[i*size:], got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pixels, nil
}

// leaveOut is what becomes of a picture that cannot be read.
func (s *Set) leaveOut(row int, why error) error {
	if s.OnBad == nil {
		return why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.bad = map[int]bool{}
	}
	if !s.bad[row] {
		s.bad[row] = true
		s.OnBad(row, why)
	}
	if len(s.bad) == s.Len() {
		return fmt.Errorf("%s: no picture can be read; the last one: %w", s.Name, why)
	}
	return nil
}

// LeftOut counts what was left out so far, when the set was opened or since.
func (s *Set) LeftOut() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Skipped + len(s.bad)
}

// Usable are rows with the next record in place of each that was left out: a function of the data, not
// of when they were found to be bad. rows itself is not changed.
func (s *Set) Usable(rows []int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) == 0 {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		for s.bad[rows[i]] {
			rows[i] = (rows[i] + 1) % s.Len()
		}
	}
	return rows
}

// Readable leaves out the records whose pictures cannot be read, and says of
// each why. Whole pictures are decoded, or of many only the headers are read.
func (s *Set) Readable(whole bool, progress func(done, total int), say func(why error)) (*Set, error) {
	bad := make([]error, s.Len())
	_ = forEach(s.Len(), progress, func(i int) error {
		if whole {
			_, bad[i] = s.Records[i].Decode(image.Options{})
		} else {
			_, _, bad[i] = s.Records[i].Size()
		}
		return nil // all are wanted
	})
	out := &Set{Name: s.Name, Skipped: s.Skipped}
	parts := s.Parts
	if len(parts) == 0 {
		parts = []Part{{Records: s.Len()}}
	}
	at := 0
	for _, part := range parts {
		first := len(out.Records)
		for range part.Records {
			if bad[at] == nil {
				out.Records = append(out.Records, s.Records[at])
			} else {
				say(bad[at])
				out.Skipped++
			}
			at++
		}
		if part.Records = len(out.Records) - first; part.Records == 0 {
			return nil, fmt.Errorf("%s: no picture can be read", cmp.Or(part.Name, s.Name))
		}
		if len(s.Parts) > 0 {
			out.Parts = append(out.Parts, part)
		}
	}
	return out, nil
}

// Identities numbers the pictures: records that show the same one, or have the
// same id, have the number of the first of them. Nil: all are different.
func (s *Set) Identities() []int {
	byImage, byID := make(map[string]int, s.Len()), make(map[string]int, s.Len())
	out := make([]int, s.Len())
	different := len(s.Parts) == 0 // a mixture shows some records twice
	end, part := s.Len(), 0
	if len(s.Parts) > 0 {
		end = s.Parts[0].Records
	}
	for i := range s.Records {
		if i == end { // ids of another source say nothing
			part++
			end += s.Parts[part].Records
			clear(byID)
		}
		r := &s.Records[i]
		out[i] = i
		if first, ok := byID[r.ID]; ok {
			out[i], different = out[first], false
		} else if first, ok := byImage[r.Image]; ok {
			out[i], different = out[first], false
		}
		if _, ok := byImage[r.Image]; !ok {
			byImage[r.Image] = i
		}
		if _, ok := byID[r.ID]; !ok {
			byID[r.ID] = i
		}
	}
	if different {
		return nil
	}
	return out
}
