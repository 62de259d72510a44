package capfilt

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/capfilt/capfilttest"
	"goblip/datasets"
	"goblip/internal/golden"
	"goblip/models/blip"
)

// tinyConfig cleans a source with two captioners and two filters of different picture sizes.
func tinyConfig(t testing.TB, source string) Config {
	w := DefaultWriting()
	w.Options.MaxNewTokens, w.Options.MinNewTokens = 6, 2
	return Config{
		Source: source, Out: filepath.Join(t.TempDir(), "out"), Captions: 2, Writing: w, Chunk: 4, ShardSize: 1000, Rule: BLIPRule(),
		Captioners: []ModelDir{tiny(t, "alpha", blip.CaptionClass, 8, 1), tiny(t, "beta", blip.CaptionClass, 12, 2)},
		Filters:    []ModelDir{tiny(t, "itm", blip.RetrievalClass, 8, 3), tiny(t, "second", blip.RetrievalClass, 12, 4)},
	}
}

func run(t testing.TB, ctx context.Context, c Config) (*Summary, error) {
	t.Helper()
	return Run(ctx, c, func() (*Models, error) { return OpenModels(golden.Go(t), c) })
}

func mustRun(t testing.TB, c Config) *Summary {
	t.Helper()
	s, err := run(t, context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outputsOf reads every file of a run but settings.json, which names paths.
func outputsOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == SettingsFile {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func manifest(t testing.TB, dir string) []manifestLine {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []manifestLine
	for s := bufio.NewScanner(f); s.Scan(); {
		var l manifestLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// TestTotals: every text is in the manifest once, every picture is good or bad, the data set holds what was kept.
func TestTotals(t *testing.T) {
	const n = 14
	broken := []int{0, 5, 13}
	c := tinyConfig(t, capfilttest.Pictures(t, n, broken...))
	mustRun(t, c)
	var scores []float64
	for _, l := range manifest(t, c.Out) {
		if l.Score != nil {
			scores = append(scores, *l.Score)
		}
	}
	slices.Sort(scores)
	middle := scores[len(scores)/2] // so that random filters keep some and reject some
	c.Rule.Threshold = &middle
	s := mustRun(t, c)
	if s.Pictures != n-len(broken) || s.BadPictures != len(broken) {
		t.Errorf("%d good and %d bad pictures of %d", s.Pictures, s.BadPictures, n)
	}
	set, err := datasets.Open(c.Source)
	if err != nil {
		t.Fatal(err)
	}
	texts := 0
	for i, r := range set.Records {
		if !slices.Contains(broken, i) {
			texts += len(r.Captions) + c.Captions*len(c.Captioners)
		}
	}
	lines := manifest(t, c.Out)
	if len(lines) != texts || s.Texts != texts {
		t.Errorf("%d lines, %d texts counted, %d in", len(lines), s.Texts, texts)
	}
	kept, scored := 0, 0
	for _, l := range lines {
		if l.Keep {
			kept++
		}
		if l.Score != nil {
			scored++
			mean := (l.Scores["itm"][ITM] + l.Scores["second"][ITM]) / 2
			if math.Abs(*l.Score-mean) > 1e-6 || l.Keep != (*l.Score >= middle) {
				t.Errorf("%+v: mean %g", l, mean)
			}
		} else if l.Reason != ReasonDuplicate && l.Reason != ReasonEmpty {
			t.Errorf("not scored: %+v", l)
		}
	}
	if kept != s.Kept || kept == 0 || kept == scored {
		t.Errorf("%d kept, %d counted, %d scored: want some of each", kept, s.Kept, scored)
	}
	bySource := 0
	for _, source := range s.Sources {
		bySource += source.Kept
		for _, times := range source.Rejected {
			bySource += times
		}
	}
	if bySource != texts {
		t.Errorf("sources sum to %d of %d texts", bySource, texts)
	}
	clean, err := datasets.Open(filepath.Join(c.Out, "kept.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range clean.Records {
		kept -= len(r.Captions)
		if _, err := os.Stat(r.Image); err != nil {
			t.Error(err)
		}
	}
	if kept != 0 || clean.Len() != s.PicturesKept {
		t.Errorf("the data set lacks %d texts; %d records, %d pictures kept", kept, clean.Len(), s.PicturesKept)
	}
	bad, err := os.ReadFile(filepath.Join(c.Out, BadFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range broken {
		if !strings.Contains(string(bad), fmt.Sprintf("p%03d", i)) {
			t.Errorf("bad.jsonl does not name picture %d: %s", i, bad)
		}
	}
	if s.Truth == nil || s.Truth.All.Texts == 0 || s.Truth.All.Right == 0 || s.Truth.All.Right == s.Truth.All.Texts {
		t.Errorf("truth %+v", s.Truth)
	}
}

// TestResume stops runs at many places, goes on, and wants the bytes of a run that was left alone.
func TestResume(t *testing.T) {
	c := tinyConfig(t, capfilttest.Pictures(t, 18, 3))
	mustRun(t, c)
	want := outputsOf(t, c.Out)
	rng := rand.New(rand.NewPCG(1, 1))
	for try := range 4 {
		c.Out = filepath.Join(t.TempDir(), "out")
		stops := 0
		for {
			ctx, cancel := context.WithCancel(context.Background())
			left := 30 + rng.IntN(50) // reading the source and the models' files asks some forty times
			_, err := run(t, &countdown{ctx, &left, cancel}, c)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, ErrStopped) {
				t.Fatal(err)
			}
			// What a kill in the middle of a file leaves.
			if err := os.MkdirAll(filepath.Join(c.Out, workDir, "0000"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, junk := range []string{".kept.jsonl.tmp-12", filepath.Join(workDir, "0000", ".0000001.jsonl.tmp-3")} {
				if err := os.WriteFile(filepath.Join(c.Out, junk), []byte("half"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if stops++; stops > 100 {
				t.Fatal("runs do not get on")
			}
		}
		got := outputsOf(t, c.Out)
		// Paths of pictures are relative to the folder, and all folders of a test lie beside each other.
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("try %d, %d stops: %s differs", try, stops, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("try %d: %d files, want %d", try, len(got), len(want))
		}
	}
}

// countdown is a context that is cancelled when it was asked so many times.
type countdown struct {
	context.Context
	left   *int
	cancel func()
}

func (c *countdown) Err() error {
	if *c.left--; *c.left < 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// TestChunkSize: texts and scores do not depend on how the work is cut, but for the last digits of floats.
func TestChunkSize(t *testing.T) {
	source := capfilttest.Pictures(t, 11, 2)
	var want []manifestLine
	for _, chunk := range []int{1, 3, 8, 64} {
		c := tinyConfig(t, source)
		c.Chunk = chunk
		mustRun(t, c)
		got := manifest(t, c.Out)
		if want == nil {
			want = got
			continue
		}
		for i := range want {
			w, g := want[i], got[i]
			if w.Text != g.Text || w.Keep != g.Keep || w.ID != g.ID || w.Score != nil && math.Abs(*w.Score-*g.Score) > 1e-5 {
				t.Errorf("chunks of %d: %+v, want %+v", chunk, g, w)
			}
		}
	}
}

// TestOrder: what is written for a picture does not depend on its place in the source.
func TestOrder(t *testing.T) {
	source := capfilttest.Pictures(t, 9)
	set, err := datasets.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	c := tinyConfig(t, source)
	mustRun(t, c)
	slices.Reverse(set.Records)
	c.Source, c.Out = filepath.Join(filepath.Dir(source), "reversed.jsonl"), filepath.Join(t.TempDir(), "out")
	if err := datasets.WriteJSONL(c.Source, set.Records); err != nil {
		t.Fatal(err)
	}
	first := map[string]string{}
	for _, l := range manifest(t, mustOut(t, tinyConfig(t, source))) {
		first[l.ID+l.Origin] += l.Text + "|"
	}
	different := map[string]bool{}
	for _, l := range manifest(t, mustOut(t, c)) {
		if text, ok := strings.CutPrefix(first[l.ID+l.Origin], l.Text+"|"); ok {
			first[l.ID+l.Origin] = text
		} else {
			t.Errorf("%s, %s: %q, want %q", l.ID, l.Origin, l.Text, first[l.ID+l.Origin])
		}
		different[l.Text] = true
	}
	if len(different) < 20 {
		t.Errorf("only %d different texts: this proves little", len(different))
	}
}

func mustOut(t testing.TB, c Config) string {
	t.Helper()
	mustRun(t, c)
	return c.Out
}

// TestAnotherRule: another rule on finished work opens no model and gives what it would have given at first; other
// settings are refused.
func TestAnotherRule(t *testing.T) {
	c := tinyConfig(t, capfilttest.Pictures(t, 7))
	c.ShardSize = 2
	mustRun(t, c)
	other := c
	other.Rule = Rule{Score: ITC, Ensemble: Min, TopK: 1}
	s, err := Run(context.Background(), other, func() (*Models, error) { return nil, errors.New("a model was opened") })
	if err != nil {
		t.Fatal(err)
	}
	if s.Kept != 7 || len(s.Files) != 4 {
		t.Errorf("top 1 of 7 pictures keeps %d in %q", s.Kept, s.Files)
	}
	fresh := other
	fresh.Out = filepath.Join(t.TempDir(), "out")
	mustRun(t, fresh)
	want, got := outputsOf(t, fresh.Out), outputsOf(t, c.Out)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs from that of a fresh run", name)
		}
	}
	none := 2.0
	other.Rule = Rule{Score: ITM, Ensemble: Mean, Threshold: &none}
	if s = mustRun(t, other); s.Kept != 0 || !slices.Equal(s.Files, []string{"kept-00000.jsonl"}) {
		t.Errorf("threshold 2 keeps %d in %q", s.Kept, s.Files)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Out, "kept*")); len(left) != 1 {
		t.Errorf("old files of the data set: %q", left)
	}
	for name, change := range map[string]func(c *Config){
		"captions a picture": func(c *Config) { c.Captions = 1 },
		"captioners":         func(c *Config) { c.Captioners = c.Captioners[:1] },
		"filters":            func(c *Config) { c.Filters[0] = tiny(t, "other", blip.RetrievalClass, 8, 9) },
		"chunks of":          func(c *Config) { c.Chunk = 5 },
		"texts written with": func(c *Config) { c.Writing.Options.Seed = 99 },
		"records":            func(c *Config) { c.Source = capfilttest.Pictures(t, 6) },
	} {
		changed := c
		changed.Filters = slices.Clone(c.Filters)
		change(&changed)
		if _, err := run(t, context.Background(), changed); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// TestBadConfigs wants one clear error before any work.
func TestBadConfigs(t *testing.T) {
	source := capfilttest.Pictures(t, 3)
	for want, change := range map[string]func(c *Config){
		"a filter is needed":               func(c *Config) { c.Filters = nil },
		"the rule decides by clip":         func(c *Config) { c.Rule = BLIP2Rule() },
		"captions a picture need sampling": func(c *Config) { c.Writing.Options.DoSample = false },
		"top-k -1":                         func(c *Config) { c.Rule.TopK = -1 },
		"chunk: 0 is out of range":         func(c *Config) { c.Chunk = 0 },
		"does not exist":                   func(c *Config) { c.Source += "x" },
		"a filter is a":                    func(c *Config) { c.Filters = c.Captioners },
		"this needs a":                     func(c *Config) { c.Captioners = c.Filters },
	} {
		c := tinyConfig(t, source)
		change(&c)
		if _, err := run(t, context.Background(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestDirtyLines: records that cannot be read and empty texts end no run.
func TestDirtyLines(t *testing.T) {
	source := capfilttest.Pictures(t, 2)
	data, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	dirty := "{\n" + string(data) + `{"image":"000.png","captions":["", "a  RED circle","a red circle"],"id":"x"}` + "\n"
	if err := os.WriteFile(source, []byte(dirty), 0o644); err != nil {
		t.Fatal(err)
	}
	c := tinyConfig(t, source)
	c.Captioners = nil
	s := mustRun(t, c)
	if s.Pictures != 3 || s.BadPictures != 1 {
		t.Errorf("%d good, %d bad", s.Pictures, s.BadPictures)
	}
	if r := s.Sources[0].Rejected; r[ReasonEmpty] != 1 || r[ReasonDuplicate] != 1 {
		t.Errorf("rejected %v", r)
	}
}
