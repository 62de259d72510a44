// Package capfilt cleans sets of pictures with noisy texts, as BLIP did (CapFilt, section 3.3): captioners
// write new texts, filters score all texts against their pictures, a rule keeps some.
//
// The work is cut into chunks of pictures. A chunk's texts and scores depend on its pictures, the models and
// the settings alone, and its file appears when it is complete: a run that was killed goes on where it was and
// ends with the same bytes. The rule is applied after that, so another threshold needs no model.
//
//	capfilt.go   Config, Run: from a source to the finished folder
//	flags.go     a Config's flags, of every program that has them
//	job.go       a run cut into chunks, and Worker, which does some: here in order, in capfilt/beam on many machines
//	models.go    the models of a run, captioners; filters.go: what scores texts
//	load.go      records and their pictures, chunk by chunk
//	work.go      a chunk's texts and scores, and its file
//	identity.go  what texts and scores depend on; refuses to mix two runs
//	rule.go      scores -> decisions
//	finish.go    decisions -> manifest, data set, list of bad pictures, in one piece or in parts; outputs.go: the files
//	stats.go     what the report counts, in bounded memory; counts.go: histograms, samples; merge.go: of several parts
//	truth.go     precision and recall where the truth is known
//	report.go    capfilt-report.html (page.html, page.css, page.js); examples.go: pictures shown in it
//	rounds.go    several rounds: train captioner and filter, clean, train a new model
package capfilt

import (
	"context"
	"errors"
	"fmt"
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

	Progress func(done, total int) `json:"-"` // pictures; nil: silent
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
	j, err := NewJob(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := j.doMissing(ctx, open); err != nil {
		return nil, err
	}
	return j.finish(ctx)
}
