package capfilt

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets"
)

// lines is a JSONL file that appears when it is complete.
type lines struct {
	file    *checkpoints.FileWriter
	encoder *json.Encoder
}

func newLines(path string) (*lines, error) {
	f, err := checkpoints.CreateFile(path)
	if err != nil {
		return nil, err
	}
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	return &lines{f, e}, nil
}

// outputs are the files of a run, or of a part of it, while they are written.
type outputs struct {
	out           string
	part          string // in the names of a part's files
	shardSize     int    // pictures in a file of the data set; 0: all in one
	manifest, bad *lines
	kept          *lines
	inShard       int
	files         []string // of the data set, by name
}

func (o *outputs) abort() {
	for _, l := range []*lines{o.manifest, o.bad, o.kept} {
		if l != nil {
			l.file.Abort()
		}
	}
}

func (o *outputs) commit() error {
	if o.kept == nil { // an empty data set is a file too
		if err := o.nextShard(); err != nil {
			return err
		}
	}
	for _, l := range []*lines{o.kept, o.bad, o.manifest} {
		if err := l.file.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (o *outputs) nextShard() (err error) {
	if o.kept != nil {
		if err := o.kept.file.Commit(); err != nil {
			return err
		}
	}
	base := keptBase
	if o.shardSize > 0 {
		base = fmt.Sprintf("%s-%05d", keptBase, len(o.files))
	}
	path := o.path(base)
	o.files, o.inShard = append(o.files, filepath.Base(path)), 0
	o.kept, err = newLines(path)
	return err
}

func (o *outputs) path(base string) string { return filepath.Join(o.out, base+o.part+extension) }

// The files are kept.jsonl, kept-00000.jsonl and so on, or those of parts: kept-00000-of-00020.jsonl.
const (
	keptBase     = "kept"
	manifestBase = "manifest"
	badBase      = "bad"
	extension    = ".jsonl"
)

// line writes what one record comes to.
func (o *outputs) line(l *line, rule Rule, s *Stats) error {
	if l.Bad != "" {
		s.Summary.BadPictures++
		return o.bad.encoder.Encode(badLine{l.Record.ID, l.Record.Image, l.Where, l.Bad})
	}
	decisions := rule.Decide(l.Texts)
	s.picture(l, decisions)
	return o.write(l, decisions)
}

// write adds a picture's texts to the manifest, and those that are kept to the data set.
func (o *outputs) write(l *line, decisions []Decision) error {
	kept, known := l.Record, true
	for i, t := range l.Texts {
		d := decisions[i]
		if err := o.manifest.encoder.Encode(manifestLine{l.Record.ID, l.Record.Image, t.Text, t.Origin, t.Scores, d.Score, d.Keep, d.Reason, t.Truth}); err != nil {
			return err
		}
		if d.Keep {
			kept.Captions = append(kept.Captions, t.Text)
			kept.Noise = append(kept.Noise, strings.TrimPrefix(t.Truth, Right))
			known = known && t.Truth != ""
		}
	}
	if len(kept.Captions) == 0 {
		return nil
	}
	if !known {
		kept.Noise = nil
	}
	if o.kept == nil || o.shardSize > 0 && o.inShard == o.shardSize {
		if err := o.nextShard(); err != nil {
			return err
		}
	}
	o.inShard++
	return o.kept.encoder.Encode(kept)
}

// human adds the set that people wrote, unfiltered.
func (o *outputs) human(ctx context.Context, path string, s *Stats) error {
	if path == "" {
		return nil
	}
	for r, err := range datasets.Stream(path) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ErrStopped
		}
		l := line{Record: r, Where: r.Origin}
		l.Record.Image, l.Record.Captions, l.Record.Noise = relative(o.out, r.Image), nil, nil
		decisions := make([]Decision, len(r.Captions))
		for i, c := range r.Captions {
			l.Texts = append(l.Texts, Text{Text: c, Origin: Human})
			decisions[i] = Decision{Keep: true, Reason: ReasonHuman}
		}
		s.human(&l)
		if err := o.write(&l, decisions); err != nil {
			return err
		}
	}
	return nil
}

// removeOld removes files of outputs that were cut in another way: files names those of the data set.
func removeOld(dir string, files []string) error {
	current := map[string]bool{}
	for _, f := range files {
		current[f] = true
		// What is beside them has the same parts, or none.
		part := ""
		if at := strings.LastIndex(f, "-of-"); at > 0 {
			part = strings.TrimSuffix(f[len(keptBase):], extension)
		}
		current[manifestBase+part+extension], current[badBase+part+extension] = true, true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if outputFile.MatchString(e.Name()) && !current[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// outputFile is a name that outputs may have.
var outputFile = regexp.MustCompile(`^(kept|manifest|bad)(-\d{5,})?(-of-\d{5,})?\.jsonl$`)
