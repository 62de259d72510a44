package main

import (
	"context"
	"encoding/json"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"goblip/capfilt"
)

func init() {
	register.DoFn3x0[context.Context, int, func(int, int)](&chunksFn{})
	register.DoFn4x1[context.Context, int, int, func(int, int), error](&chunkFn{})
	register.DoFn3x2[context.Context, int, func(*int) bool, []byte, error](&partFn{})
	register.DoFn2x2[context.Context, []byte, string, error](&concludeFn{})
	register.Function2x2(merge)
	register.Emitter2[int, int]()
	register.Iter1[int]()
}

// pipeline is a job's: numbers of parts -> numbers of chunks, each done where there is a worker -> parts whose chunks
// are all done, written -> their counts merged -> report and summary. Pictures, texts and scores go from and to files:
// what runs through Beam are numbers and counts, so no runner has to hold a data set.
func pipeline(job *capfilt.Job) (*beam.Pipeline, error) {
	encoded, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	p, s := beam.NewPipelineWithRoot()
	parts := make([]int, job.Parts())
	for i := range parts {
		parts[i] = i
	}
	chunks := beam.ParDo(s.Scope("Chunks"), &chunksFn{Job: encoded}, beam.CreateList(s, parts))
	done := beam.ParDo(s.Scope("CaptionAndScore"), &chunkFn{Job: encoded}, beam.Reshuffle(s, chunks))
	counts := beam.ParDo(s.Scope("WriteParts"), &partFn{Job: encoded}, beam.GroupByKey(s, done))
	beam.ParDo(s.Scope("Conclude"), &concludeFn{Job: encoded}, beam.Combine(s, merge, counts))
	return p, nil
}

// decode reads the job that each step carries as JSON: Beam wants to know the types of all fields of a step, and has no
// name for some of a job's.
func decode(data []byte) (*capfilt.Job, error) {
	job := &capfilt.Job{}
	return job, json.Unmarshal(data, job)
}

// chunksFn gives the chunks of a part.
type chunksFn struct {
	Job []byte
	job *capfilt.Job
}

// Setup reads the job.
func (f *chunksFn) Setup() (err error) {
	f.job, err = decode(f.Job)
	return err
}

// ProcessElement is part -> (part, chunk).
func (f *chunksFn) ProcessElement(_ context.Context, part int, emit func(int, int)) {
	from, to := f.job.PartChunks(part)
	for n := from; n < to; n++ {
		emit(part, n)
	}
}

// chunkFn does chunks that are missing: texts, scores, and the chunk's file. It reads the pictures of one while the
// models compute for the one before.
type chunkFn struct {
	Job     []byte
	job     *capfilt.Job
	pending *pending
}

// Setup reads the job.
func (f *chunkFn) Setup() (err error) {
	f.job, err = decode(f.Job)
	return err
}

type pending struct {
	part, chunk int
	finish      func(context.Context) error
}

// ProcessElement is (part, chunk) -> the same, when the chunk is done.
func (f *chunkFn) ProcessElement(ctx context.Context, part, n int, emit func(int, int)) error {
	missing, err := f.job.Missing(n, n+1)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		emit(part, n)
		return nil
	}
	w, err := worker(f.Job)
	if err != nil {
		return err
	}
	next := &pending{part, n, w.Start(n)}
	if err := f.flush(ctx, emit); err != nil {
		return err
	}
	f.pending = next
	return nil
}

// FinishBundle does the last chunk.
func (f *chunkFn) FinishBundle(ctx context.Context, emit func(int, int)) error {
	return f.flush(ctx, emit)
}

var pictures = beam.NewCounter("capfilt", "pictures")

func (f *chunkFn) flush(ctx context.Context, emit func(int, int)) error {
	p := f.pending
	if p == nil {
		return nil
	}
	f.pending = nil
	if err := p.finish(ctx); err != nil {
		return err
	}
	records := f.job.RecordsOf([]int{p.chunk})
	pictures.Inc(ctx, int64(records))
	watched.Load().Add(records)
	emit(p.part, p.chunk)
	return nil
}

// partFn writes the outputs of parts.
type partFn struct {
	Job []byte
	job *capfilt.Job
}

// Setup reads the job.
func (f *partFn) Setup() (err error) {
	f.job, err = decode(f.Job)
	return err
}

// ProcessElement is (part, its chunks) -> its counts, as JSON.
func (f *partFn) ProcessElement(ctx context.Context, part int, _ func(*int) bool) ([]byte, error) {
	stats, err := f.job.WritePart(ctx, part)
	if err != nil {
		return nil, err
	}
	return json.Marshal(stats)
}

// merge adds the counts of two groups of parts.
func merge(a, b []byte) ([]byte, error) {
	var to, from capfilt.Stats
	for data, s := range map[*[]byte]*capfilt.Stats{&a: &to, &b: &from} {
		if err := json.Unmarshal(*data, s); err != nil {
			return nil, err
		}
	}
	to.Merge(&from)
	return json.Marshal(&to)
}

// concludeFn writes report and summary.
type concludeFn struct {
	Job []byte
	job *capfilt.Job
}

// Setup reads the job.
func (f *concludeFn) Setup() (err error) {
	f.job, err = decode(f.Job)
	return err
}

// ProcessElement is the counts of all parts -> the folder, which is complete.
func (f *concludeFn) ProcessElement(_ context.Context, counts []byte) (string, error) {
	var stats capfilt.Stats
	if err := json.Unmarshal(counts, &stats); err != nil {
		return "", err
	}
	_, err := f.job.Conclude(&stats)
	return f.job.Config.Out, err
}
