package capfilt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/internal/bounded"
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

// maxSummaryBytes is more than any summary has: a few lines a source and a filter.
const maxSummaryBytes = 64 << 20

// ReadSummary reads the summary of a finished run's folder.
func ReadSummary(out string) (*Summary, error) {
	path := filepath.Join(out, SummaryFile)
	data, err := bounded.ReadFile(path, maxSummaryBytes)
	if err != nil {
		return nil, err
	}
	s := &Summary{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Print says what one pass came to; dir is its folder.
func (s *Summary) Print(w io.Writer, dir string) {
	for _, source := range s.Sources {
		fmt.Fprintf(w, "%-20s %d of %d texts kept\n", source.Origin, source.Kept, source.Texts)
	}
	if v := s.Truth; v != nil && v.All.Precision != nil && v.All.Recall != nil {
		fmt.Fprintf(w, "against the truth: %.1f %% of the kept texts are right, %.1f %% of the right ones are kept\n", 100**v.All.Precision, 100**v.All.Recall)
	}
	if s.BadPictures > 0 {
		bad := filepath.Join(dir, BadFile)
		if _, err := os.Stat(bad); err != nil {
			bad = filepath.Join(dir, badBase+"-*"+extension)
		}
		fmt.Fprintf(w, "%d pictures cannot be used: %s\n", s.BadPictures, bad)
	}
	data := keptBase + "-*" + extension // as one source
	if len(s.Files) == 1 {
		data = s.Files[0]
	}
	fmt.Fprintf(w, "the data set: %s\n", filepath.Join(dir, data))
	fmt.Fprintf(w, "the report: %s\n", filepath.Join(dir, ReportFile))
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
func (j *Job) finish(ctx context.Context) (*Summary, error) {
	if err := j.Reopen(); err != nil {
		return nil, err
	}
	out := outputs{out: j.Config.Out}
	if j.Records()+j.People > j.Config.ShardSize {
		out.shardSize = j.Config.ShardSize
	}
	s, err := j.write(ctx, &out, 0, j.Chunks(), true)
	if err != nil {
		return nil, err
	}
	return j.Conclude(s)
}

// Reopen removes the summary: until Conclude writes another the outputs are not complete.
func (j *Job) Reopen() error {
	if err := os.Remove(filepath.Join(j.Config.Out, SummaryFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Parts is into how many parts the outputs are cut where many processes write them: about a shard each.
func (j *Job) Parts() int {
	return min(j.Chunks(), (j.Records()+j.Config.ShardSize-1)/j.Config.ShardSize)
}

// PartChunks are the chunks of a part, from number from on to before number to.
func (j *Job) PartChunks(part int) (from, to int) {
	return j.Chunks() * part / j.Parts(), j.Chunks() * (part + 1) / j.Parts()
}

// WritePart applies the rule to a part's chunks, which must be done, and writes its files, "kept-00003-of-00020.jsonl"
// and so on. The last part has the set that people wrote too.
func (j *Job) WritePart(ctx context.Context, part int) (*Stats, error) {
	out := outputs{out: j.Config.Out, part: fmt.Sprintf("-%05d-of-%05d", part, j.Parts())}
	from, to := j.PartChunks(part)
	return j.write(ctx, &out, from, to, part == j.Parts()-1)
}

// write writes the outputs of some chunks.
func (j *Job) write(ctx context.Context, out *outputs, from, to int, people bool) (_ *Stats, err error) {
	defer out.abort()
	if out.manifest, err = newLines(out.path(manifestBase)); err != nil {
		return nil, err
	}
	if out.bad, err = newLines(out.path(badBase)); err != nil {
		return nil, err
	}
	s := newStats(j.Config.Rule, j.origins())
	chunks := j.files()
	for n := from; n < to; n++ {
		if ctx.Err() != nil {
			return nil, ErrStopped
		}
		records := 0
		err := chunks.read(n, func(l line) error {
			records++
			return out.line(&l, j.Config.Rule, s)
		})
		if err != nil {
			return nil, err
		}
		if want := j.chunkSize(n); records != want {
			return nil, fmt.Errorf("%s: damaged (%d records instead of %d); remove the file and run again", chunks.path(n), records, want)
		}
	}
	if people {
		if err := out.human(ctx, j.Config.Human, s); err != nil {
			return nil, err
		}
	}
	if err := out.commit(); err != nil {
		return nil, err
	}
	s.Summary.Files = out.files
	return s, nil
}

// origins are where texts can come from.
func (j *Job) origins() []string {
	origins := []string{Web}
	for _, m := range j.Config.Captioners {
		if j.Config.Captions > 0 {
			origins = append(origins, m.Name)
		}
	}
	if j.People > 0 {
		origins = append(origins, Human)
	}
	return origins
}

// Conclude writes the report and the summary of all parts together.
func (j *Job) Conclude(s *Stats) (*Summary, error) {
	summary := s.finish()
	summary.Rule = j.Config.Rule
	slices.Sort(summary.Files)
	if err := removeOld(j.Config.Out, summary.Files); err != nil {
		return nil, err
	}
	if err := writeReport(filepath.Join(j.Config.Out, ReportFile), j, s); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return nil, err
	}
	return summary, checkpoints.WriteFile(filepath.Join(j.Config.Out, SummaryFile), append(data, '\n'))
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
