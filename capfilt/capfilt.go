// Package capfilt cleans sets of pictures with noisy texts, as BLIP did (CapFilt, section 3.3): captioners
// write new texts, filters score all texts against their pictures, a rule keeps some.
//
// The work is cut into chunks of pictures. A chunk's texts and scores depend on its pictures, the models and
// the settings alone, and its file appears when it is complete: a run that was killed goes on where it was and
// ends with the same bytes. The rule is applied after that, so another threshold needs no model.
//
//	capfilt.go   Config, Run: from a source to the finished folder
//	models.go    the models of a run, captioners; filters.go: what scores texts
//	load.go      records and their pictures, chunk by chunk
//	work.go      a chunk's texts and scores, and its file
//	identity.go  what texts and scores depend on; refuses to mix two runs
//	rule.go      scores -> decisions
//	finish.go    decisions -> manifest, data set, list of bad pictures
//	stats.go     counts of the report, in bounded memory
//	truth.go     precision and recall where the truth is known
//	report.go    capfilt-report.html (page.html, page.css, page.js); examples.go: pictures shown in it
//	rounds.go    several rounds: train captioner and filter, clean, train a new model
package capfilt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Config is one run. Captioners may be empty: then texts are only filtered.
type Config struct {
	Source     string // JSONL file or folder of pictures
	Out        string // folder
	Captioners []ModelDir
	Filters    []ModelDir
	Captions   int // that each captioner writes for a picture
	Writing    Writing
	Chunk      int // pictures in a unit of work
	Rule       Rule
	ShardSize  int // pictures in a file of the data set; more make several files
	// Human is a set written by people, all of which joins the data set; "": none.
	Human string

	Progress func(done, total int) // pictures; nil: silent
}

// ErrStopped is a run that was asked to stop; the same call continues it.
var ErrStopped = errors.New("stopped")

// Names of the files in a run's folder.
const (
	SettingsFile = "settings.json" // what texts and scores depend on
	ManifestFile = "manifest.jsonl"
	BadFile      = "bad.jsonl"
	SummaryFile  = "summary.json" // written last: where it is, all is complete
	ReportFile   = "capfilt-report.html"
	workDir      = "work"
)

// Defaults of a run's sizes.
const (
	DefaultChunk     = 128
	DefaultShardSize = 100_000
)

// Validate says which setting makes no sense, before anything is opened.
func (c *Config) Validate() error {
	switch {
	case c.Source == "" || c.Out == "":
		return errors.New("a source and a folder for the output are needed")
	case len(c.Filters) == 0 && c.Rule.needsScores():
		return errors.New("a filter is needed to score the texts")
	case c.Captions < 0 || c.Captions > MaxCaptions:
		return fmt.Errorf("captions a picture: %d is out of range 0..%d", c.Captions, MaxCaptions)
	case c.Chunk < 1 || c.Chunk > MaxChunk:
		return fmt.Errorf("pictures in a chunk: %d is out of range 1..%d", c.Chunk, MaxChunk)
	case c.ShardSize < 1:
		return fmt.Errorf("pictures in a file: %d must be 1 or more", c.ShardSize)
	}
	if err := c.Rule.Validate(); err != nil {
		return err
	}
	if len(c.Captioners) == 0 || c.Captions == 0 {
		return nil
	}
	return c.Writing.Validate(c.Captions)
}

// Bounds of a run's sizes.
const (
	MaxChunk    = 4096
	MaxCaptions = 100
)

// Run cleans a source, or goes on with it. open opens the models, and is not called where all chunks are done.
func Run(ctx context.Context, c Config, open func() (*Models, error)) (*Summary, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	id, err := identify(ctx, &c)
	if err != nil {
		return nil, err
	}
	if err := checkRule(c.Rule, c.Filters); err != nil {
		return nil, err
	}
	work := filepath.Join(c.Out, workDir)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	if err := id.claim(filepath.Join(c.Out, SettingsFile)); err != nil {
		return nil, err
	}
	chunks := chunkFiles{dir: work, count: (id.Records + c.Chunk - 1) / c.Chunk}
	if err := chunks.clean(); err != nil {
		return nil, err
	}
	if err := doChunks(ctx, &c, id, chunks, open); err != nil {
		return nil, err
	}
	return finish(ctx, &c, id, chunks)
}

// doChunks does the chunks that are missing.
func doChunks(ctx context.Context, c *Config, id *identity, chunks chunkFiles, open func() (*Models, error)) error {
	missing, err := chunks.missing()
	if err != nil || len(missing) == 0 {
		return err
	}
	models, err := open()
	if err != nil {
		return err
	}
	defer models.Finalize()
	models.batch = id.batch()
	done := 0
	for n := range chunks.count {
		if !missing[n] {
			done += chunkSize(id.Records, c.Chunk, n)
		}
	}
	report := func() {
		if c.Progress != nil {
			c.Progress(done, id.Records)
		}
	}
	report()
	for u := range loadUnits(ctx, c, missing, models.processors()) {
		if u.err != nil {
			return u.err
		}
		lines, err := models.process(ctx, u)
		if err != nil {
			return err
		}
		for i := range lines {
			if r := &lines[i].Record; r.Image != "" {
				r.Image = relative(c.Out, r.Image)
			}
		}
		if err := chunks.write(u.number, lines); err != nil {
			return err
		}
		done += len(u.entries)
		report()
	}
	if ctx.Err() != nil {
		return ErrStopped
	}
	return nil
}

// chunkSize is the number of records in chunk n.
func chunkSize(records, chunk, n int) int { return min(chunk, records-n*chunk) }
