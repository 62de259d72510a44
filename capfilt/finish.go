package capfilt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets"
)

// Summary is what a run comes to: the content of summary.json.
type Summary struct {
	Pictures       int      `json:"pictures"`     // usable ones
	BadPictures    int      `json:"bad_pictures"` // named in bad.jsonl
	Texts          int      `json:"texts"`        // of the web and written
	Kept           int      `json:"kept"`
	PicturesKept   int      `json:"pictures_kept"`   // with a text that was kept
	HumanPictures  int      `json:"human_pictures"`  // of the set that people wrote, not counted above
	PicturesGained int      `json:"pictures_gained"` // of them those that only a captioner gave one
	Rule           Rule     `json:"rule"`
	Sources        []Source `json:"sources"`
	DiversityTexts int      `json:"diversity_texts"` // on how many texts of each source diversity was measured
	Duplicates     float64  `json:"duplicates"`      // share of the kept texts that say what another picture's says
	MostRepeated   []Repeat `json:"most_repeated"`
	Truth          *Truth   `json:"truth,omitempty"` // where it is known
	Files          []string `json:"files"`           // of the data set
}

// paths are the files of the data set, in a run's folder; the set that people wrote is among them.
func (s *Summary) paths(out string) []string {
	paths := make([]string, len(s.Files))
	for i, f := range s.Files {
		paths[i] = filepath.Join(out, f)
	}
	return paths
}

// Truth compares the decisions with the truth.
type Truth struct {
	All     *Verdict            `json:"all"`
	Sources map[string]*Verdict `json:"sources"`
}

// manifestLine is what manifest.jsonl says of one text.
type manifestLine struct {
	ID     string                        `json:"id"`
	Image  string                        `json:"image"`
	Text   string                        `json:"text"`
	Origin string                        `json:"origin"`
	Scores map[string]map[string]float64 `json:"scores,omitempty"`
	Score  *float64                      `json:"score,omitempty"`
	Keep   bool                          `json:"keep"`
	Reason string                        `json:"reason"`
	Truth  string                        `json:"truth,omitempty"`
}

type badLine struct {
	ID    string `json:"id,omitempty"`
	Image string `json:"image,omitempty"`
	Where string `json:"where"`
	Error string `json:"error"`
}

// finish applies the rule to all chunks and writes the outputs, each when it is complete.
func finish(ctx context.Context, c *Config, id *identity, chunks chunkFiles) (_ *Summary, err error) {
	if err := os.Remove(filepath.Join(c.Out, SummaryFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	origins := []string{Web}
	for _, m := range c.Captioners {
		if c.Captions > 0 {
			origins = append(origins, m.Name)
		}
	}
	human, err := countRecords(ctx, c.Human)
	if err != nil {
		return nil, err
	}
	if human > 0 {
		origins = append(origins, Human)
	}
	out := outputs{out: c.Out, shardSize: c.ShardSize, sharded: id.Records+human > c.ShardSize}
	defer out.abort()
	if out.manifest, err = newLines(filepath.Join(c.Out, ManifestFile)); err != nil {
		return nil, err
	}
	if out.bad, err = newLines(filepath.Join(c.Out, BadFile)); err != nil {
		return nil, err
	}
	s := newStats(c.Rule, origins)
	for n := range chunks.count {
		if ctx.Err() != nil {
			return nil, ErrStopped
		}
		records := 0
		err := chunks.read(n, func(l line) error {
			records++
			return out.line(&l, c.Rule, s)
		})
		if err != nil {
			return nil, err
		}
		if want := chunkSize(id.Records, c.Chunk, n); records != want {
			return nil, fmt.Errorf("%s: damaged (%d records instead of %d); remove the file and run again", chunks.path(n), records, want)
		}
	}
	if err := out.human(ctx, c.Human, s); err != nil {
		return nil, err
	}
	summary := s.finish()
	summary.Rule = c.Rule
	if err := out.commit(); err != nil {
		return nil, err
	}
	summary.Files = out.files
	if err := removeOldShards(c.Out, out.files); err != nil {
		return nil, err
	}
	if err := writeReport(filepath.Join(c.Out, ReportFile), c, id, s); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return nil, err
	}
	return summary, checkpoints.WriteFile(filepath.Join(c.Out, SummaryFile), append(data, '\n'))
}

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

// outputs are the files of a run while they are written.
type outputs struct {
	out           string
	shardSize     int
	sharded       bool
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
	name := keptPrefix + keptSuffix
	if o.sharded {
		name = fmt.Sprintf("%s-%05d%s", keptPrefix, len(o.files), keptSuffix)
	}
	o.files, o.inShard = append(o.files, name), 0
	o.kept, err = newLines(filepath.Join(o.out, name))
	return err
}

// The data set is kept.jsonl, or kept-00000.jsonl and so on.
const (
	keptPrefix = "kept"
	keptSuffix = ".jsonl"
)

// line writes what one record comes to.
func (o *outputs) line(l *line, rule Rule, s *stats) error {
	if l.Bad != "" {
		s.summary.BadPictures++
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
	if o.kept == nil || o.sharded && o.inShard == o.shardSize {
		if err := o.nextShard(); err != nil {
			return err
		}
	}
	o.inShard++
	return o.kept.encoder.Encode(kept)
}

// countRecords counts a set that people wrote, in which nothing may be wrong; 0 if there is none.
func countRecords(ctx context.Context, path string) (n int, err error) {
	if path == "" {
		return 0, nil
	}
	for r, err := range datasets.Stream(path) {
		if err != nil {
			return 0, err
		}
		if len(r.Captions) == 0 {
			return 0, fmt.Errorf("%s: no caption", r.Origin)
		}
		if ctx.Err() != nil {
			return 0, ErrStopped
		}
		n++
	}
	return n, nil
}

// human adds the set that people wrote, unfiltered.
func (o *outputs) human(ctx context.Context, path string, s *stats) error {
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

// relative is the path of a picture as seen from a run's folder, so that both can be moved together.
func relative(out, path string) string {
	from, err := filepath.Abs(out)
	if err != nil {
		return path
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(r)
	}
	return path
}

// removeOldShards removes files of a data set that an earlier rule made larger.
func removeOldShards(dir string, files []string) error {
	have, err := filepath.Glob(filepath.Join(escape(dir), keptPrefix+"*"+keptSuffix))
	if err != nil {
		return err
	}
	current := map[string]bool{}
	for _, f := range files {
		current[f] = true
	}
	for _, path := range have {
		if !current[filepath.Base(path)] {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// escape makes a folder's name mean itself in a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
