package datasets

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"goblip/datasets/image"
)

// MaxCaptionWords is the length above which Check calls a text too long:
// BLIP's text encoders keep 30 to 40 tokens and silently cut the rest.
const MaxCaptionWords = 64

// CheckOptions say what Check finds wrong.
type CheckOptions struct {
	MinSide  int // pixels; a shorter side is tiny
	MaxSide  int // pixels; a longer one is absurd
	MaxWords int // of a text
	Distance int // bits of 128 in which pictures may differ that are called similar; -1: do not look
	// Against is what must not share pictures with the source: the test set. May be nil.
	Against  Source
	Progress func(done, total int) // may be nil
}

// DefaultCheck is what goblip data check uses.
func DefaultCheck() CheckOptions {
	return CheckOptions{MinSide: 16, MaxSide: 10_000, MaxWords: MaxCaptionWords, Distance: 2}
}

// Kind groups findings.
type Kind string

// Kinds of findings.
const (
	KindBroken     Kind = "broken record"
	KindUnreadable Kind = "unreadable picture"
	KindTiny       Kind = "tiny picture"
	KindLarge      Kind = "large picture"
	KindSame       Kind = "duplicate picture"
	KindSimilar    Kind = "similar picture"
	KindLongText   Kind = "long text"
	KindSameText   Kind = "duplicate text"
	KindNoText     Kind = "no text"
	KindNoAnswer   Kind = "no answer"
	KindSameID     Kind = "duplicate id"
	KindLeak       Kind = "leak"
	KindShard      Kind = "damaged shard" // see Verify
)

// Finding is a problem of a kind. Record is its number in the source, Other
// that of the record it is the same as, -1 if there is none; for a leak Other
// is of Against.
type Finding struct {
	Problem
	Kind          Kind
	Record, Other int
}

// MaxFindings bounds how many are kept; Counts has them all.
const MaxFindings = 100_000

// Checked is what Check found.
type Checked struct {
	Records  int
	Findings []Finding // by record
	Counts   map[Kind]int
}

func (c *Checked) add(kind Kind, record, other int, where, format string, args ...any) {
	c.Counts[kind]++
	if len(c.Findings) < MaxFindings {
		c.Findings = append(c.Findings, Finding{Problem{where, fmt.Sprintf(format, args...)}, kind, record, other})
	}
}

// seen is what Check keeps of a record.
type seen struct {
	found   []Finding
	id      uint64
	image   uint64 // of its name: several records may show one picture
	content uint64
	texts   []uint64 // of the picture's name and a caption
	print   fingerprint
	decoded bool
}

// Check reads a source as training will and reports records that cannot be
// understood, pictures that are missing, damaged, tiny, absurdly large, or the
// same as another or nearly so, texts that are empty, very long or repeated,
// questions without an answer, and repeated ids, in the order of the records.
func Check(source Source, o CheckOptions) (*Checked, error) {
	records, err := look(source, o)
	if err != nil {
		return nil, err
	}
	c := &Checked{Records: len(records), Counts: map[Kind]int{}}
	for i := range records {
		for _, f := range records[i].found {
			c.add(f.Kind, i, f.Other, f.Where, "%s", f.What)
		}
	}
	place := func(s Source, i int) string {
		r, err := s.Record(i)
		if err != nil {
			return fmt.Sprintf("record %d", i)
		}
		return r.Place()
	}
	for _, p := range repeated(records, func(r *seen) uint64 { return r.id }) {
		r, err := source.Record(p.later)
		if err != nil {
			return nil, err
		}
		c.add(KindSameID, p.later, p.first, r.Place(), "id %q was used before (%s)", r.ID, place(source, p.first))
	}
	if err := c.sameTexts(source, records); err != nil {
		return nil, err
	}
	same := map[int]bool{}
	for _, p := range repeated(records, func(r *seen) uint64 { return r.content }) {
		if records[p.first].image != records[p.later].image {
			same[p.later] = true
			c.add(KindSame, p.later, p.first, place(source, p.later), "the same picture as %s", place(source, p.first))
		}
	}
	if o.Distance >= 0 {
		for _, p := range similar(records, o.Distance) {
			a, b := &records[p.first], &records[p.later]
			if !same[p.later] && a.image != b.image && a.content != b.content {
				c.add(KindSimilar, p.later, p.first, place(source, p.later), "nearly the same picture as %s", place(source, p.first))
			}
		}
	}
	if o.Against != nil {
		if err := c.leaks(source, records, o); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int { return a.Record - b.Record })
	return c, nil
}

// look reads all records and decodes their pictures.
func look(source Source, o CheckOptions) ([]seen, error) {
	records := make([]seen, source.Len())
	err := forEach(len(records), o.Progress, func(i int) error {
		r, err := source.Record(i)
		if p, ok := problemOf(err); ok {
			records[i].found = []Finding{{p, KindBroken, i, -1}}
			return nil
		}
		if err != nil {
			return err
		}
		records[i] = lookAt(&r, o)
		return nil
	})
	return records, err
}

func lookAt(r *Record, o CheckOptions) (s seen) {
	add := func(kind Kind, format string, args ...any) {
		s.found = append(s.found, Finding{Problem{r.Place(), fmt.Sprintf(format, args...)}, kind, 0, -1})
	}
	s.id, s.image = hashText(r.ID), hashText(r.Image)
	data, err := r.PictureFile()
	var rgb image.RGB
	if err == nil {
		s.content = hashBytes(data)
		if rgb, err = image.Decode(data, image.Options{}); err != nil {
			err = fmt.Errorf("%s: %w", r.Image, err)
		}
	}
	if err != nil {
		add(KindUnreadable, "%s", err) // names the picture; Where is the record's place
	} else {
		s.print, s.decoded = fingerprintOf(rgb), true
		if min(rgb.Width, rgb.Height) < o.MinSide {
			add(KindTiny, "picture of %dx%d pixels", rgb.Width, rgb.Height)
		}
		if max(rgb.Width, rgb.Height) > o.MaxSide {
			add(KindLarge, "picture of %dx%d pixels", rgb.Width, rgb.Height)
		}
	}
	if len(r.Captions) == 0 && len(r.Questions) == 0 {
		add(KindNoText, "neither caption nor question")
	}
	for _, caption := range r.Captions {
		s.texts = append(s.texts, hashCaption(r, caption))
		if n := len(strings.Fields(caption)); n > o.MaxWords {
			add(KindLongText, "caption of %d words: models keep fewer than %d", n, o.MaxWords)
		}
	}
	for _, q := range r.Questions {
		if n := len(strings.Fields(q.Question)); n > o.MaxWords {
			add(KindLongText, "question of %d words: models keep fewer than %d", n, o.MaxWords)
		}
		if len(q.Answers) == 0 {
			add(KindNoAnswer, "question %q has no answer", q.Question)
		}
	}
	return s
}

// sameTexts finds captions that a picture had before, in the same record or another.
func (c *Checked) sameTexts(source Source, records []seen) error {
	type text struct {
		hash   uint64
		record int
	}
	var all []text
	for i := range records {
		for _, h := range records[i].texts {
			all = append(all, text{h, i})
		}
	}
	slices.SortFunc(all, func(a, b text) int { return cmp.Or(cmp.Compare(a.hash, b.hash), a.record-b.record) })
	first := 0
	for k, t := range all {
		if t.hash != all[first].hash {
			first = k
		}
		if k == first {
			continue
		}
		r, err := source.Record(t.record)
		if err != nil {
			return err
		}
		before, err := source.Record(all[first].record)
		if err != nil {
			return err
		}
		for _, caption := range r.Captions {
			if hashCaption(&r, caption) == t.hash {
				c.add(KindSameText, t.record, all[first].record, r.Place(), "duplicate: this picture had the caption %q before (%s)", caption, before.Place())
				break
			}
		}
	}
	return nil
}

// hashCaption is equal for captions that differ in case and blanks alone.
func hashCaption(r *Record, caption string) uint64 {
	return hashBytes([]byte(r.Image + "\x00" + strings.Join(strings.Fields(strings.ToLower(caption)), " ")))
}

// leaks finds pictures of the source that Against has too.
func (c *Checked) leaks(source Source, records []seen, o CheckOptions) error {
	others, err := look(o.Against, o)
	if err != nil {
		return err
	}
	// The other set comes first, so that every pair with it has it as its first.
	all := append(slices.Clone(others), records...)
	n := len(others)
	found := map[int]bool{}
	report := func(pairs []pair, what string) error {
		for _, p := range pairs {
			if p.first >= n || p.later < n || found[p.later] {
				continue
			}
			found[p.later] = true
			mine, err := source.Record(p.later - n)
			if err != nil {
				return err
			}
			theirs, err := o.Against.Record(p.first)
			if err != nil {
				return err
			}
			c.add(KindLeak, p.later-n, p.first, mine.Place(), "%s %s of the other set", what, theirs.Place())
		}
		return nil
	}
	if err := report(repeated(all, func(r *seen) uint64 { return r.content }), "the same picture as"); err != nil {
		return err
	}
	if o.Distance < 0 {
		return nil
	}
	return report(similar(all, o.Distance), "nearly the same picture as")
}

// pair is two records that are alike in something.
type pair struct{ first, later int }

// repeated pairs every record with the first that has the same hash; 0 is none.
func repeated(records []seen, hash func(*seen) uint64) (pairs []pair) {
	order := make([]int, 0, len(records))
	for i := range records {
		if hash(&records[i]) != 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := hash(&records[a]), hash(&records[b])
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	first := 0
	for k := range order {
		if hash(&records[order[k]]) != hash(&records[order[first]]) {
			first = k
		}
		if k > first {
			pairs = append(pairs, pair{order[first], order[k]})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return a.later - b.later })
	return pairs
}

func hashText(s string) uint64 {
	if s == "" {
		return 0
	}
	return hashBytes([]byte(s))
}

func hashBytes(data []byte) uint64 {
	h := fnv.New64a()
	h.Write(data) // never fails
	return h.Sum64()
}
