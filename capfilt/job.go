package capfilt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"goblip/datasets"
	"goblip/datasets/image"
)

// Job is a run with its work cut into chunks, which may be done in any order and by any number of processes that
// see the same files. As JSON it tells a process all it needs to know.
type Job struct {
	Config Config    `json:"config"`
	ID     *identity `json:"identity"`
	People int       `json:"people"` // pictures of the set that people wrote
}

// NewJob checks a config, reads the whole source once, and takes the folder of the results for this run: one that
// holds another run is refused. What a killed process left half-written is removed, so no other may be at work.
func NewJob(ctx context.Context, c Config) (*Job, error) {
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
	people, err := countRecords(ctx, c.Human)
	if err != nil {
		return nil, err
	}
	j := &Job{c, id, people}
	if err := os.MkdirAll(filepath.Join(c.Out, workDir), 0o755); err != nil {
		return nil, err
	}
	if err := id.claim(filepath.Join(c.Out, SettingsFile)); err != nil {
		return nil, err
	}
	return j, j.files().clean()
}

// Chunks is the number of chunks.
func (j *Job) Chunks() int { return (j.ID.Records + j.Config.Chunk - 1) / j.Config.Chunk }

// Records is the number of records of the source, bad ones too.
func (j *Job) Records() int { return j.ID.Records }

// chunkSize is the number of records in chunk n.
func (j *Job) chunkSize(n int) int { return min(j.Config.Chunk, j.ID.Records-n*j.Config.Chunk) }

// RecordsOf is the number of records in some chunks.
func (j *Job) RecordsOf(chunks []int) (records int) {
	for _, n := range chunks {
		records += j.chunkSize(n)
	}
	return records
}

func (j *Job) files() chunkFiles {
	return chunkFiles{dir: filepath.Join(j.Config.Out, workDir), count: j.Chunks()}
}

// Missing are those of the chunks from number from on, to before number to, that are not done.
func (j *Job) Missing(from, to int) ([]int, error) {
	var missing []int
	for n := from; n < to; n++ {
		done, err := j.files().done(n)
		if err != nil {
			return nil, err
		}
		if !done {
			missing = append(missing, n)
		}
	}
	return missing, nil
}

// doMissing does the chunks that are missing, in order.
func (j *Job) doMissing(ctx context.Context, open func() (*Models, error)) error {
	missing, err := j.Missing(0, j.Chunks())
	if err != nil || len(missing) == 0 {
		return err
	}
	w, err := j.NewWorker(open)
	if err != nil {
		return err
	}
	defer w.Finalize()
	done := j.Records() - j.RecordsOf(missing)
	report := func() {
		if j.Config.Progress != nil {
			j.Config.Progress(done, j.Records())
		}
	}
	report()
	for u := range w.units(ctx, missing) {
		if err := w.do(ctx, u); err != nil {
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

// Worker does chunks of a job. Any number of goroutines may use one: pictures are read beside each other, the
// models compute for one at a time.
type Worker struct {
	job        *Job
	source     datasets.Source
	models     *Models
	processors []image.Processor
	computing  sync.Mutex
}

// NewWorker opens the source and the models; the caller finalizes it.
func (j *Job) NewWorker(open func() (*Models, error)) (*Worker, error) {
	source, err := datasets.OpenSource(j.Config.Source, datasets.Options{EmptyTexts: true})
	if err != nil {
		return nil, err
	}
	if source.Len() != j.ID.Records {
		return nil, fmt.Errorf("%s: %d records, %d when the run began", j.Config.Source, source.Len(), j.ID.Records)
	}
	models, err := open()
	if err != nil {
		return nil, err
	}
	models.batch = j.ID.batch()
	return &Worker{job: j, source: source, models: models, processors: models.processors()}, nil
}

// Finalize frees the models.
func (w *Worker) Finalize() { w.models.Finalize() }

// Start begins to read the pictures of chunk n, and returns what does the rest. A chunk that is done twice, even at
// once, gets the same bytes.
func (w *Worker) Start(n int) (finish func(context.Context) error) {
	loaded := make(chan unit, 1)
	go func() { loaded <- w.load(n) }()
	return func(ctx context.Context) error { return w.do(ctx, <-loaded) }
}

func (w *Worker) do(ctx context.Context, u unit) error {
	if u.err != nil {
		return u.err
	}
	w.computing.Lock()
	lines, err := w.models.process(ctx, u)
	w.computing.Unlock()
	if err != nil {
		return err
	}
	for i := range lines {
		if r := &lines[i].Record; r.Image != "" {
			r.Image = relative(w.job.Config.Out, r.Image)
		}
	}
	return w.job.files().write(u.number, lines)
}
