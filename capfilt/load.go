package capfilt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"goblip/datasets"
	"goblip/datasets/image"
)

// entry is one record of a chunk and its picture as every model wants it.
type entry struct {
	record datasets.Record
	where  string   // in the source
	bad    string   // why it cannot be used; "" if it can
	pixels [][]byte // by processor, [side, side, 3]
}

// unit is one chunk with its pictures.
type unit struct {
	number  int
	entries []entry
	err     error // of the source as a whole
}

// units reads chunks, one ahead of its reader.
func (w *Worker) units(ctx context.Context, wanted []int) iter.Seq[unit] {
	return func(yield func(unit) bool) {
		ctx, cancel := context.WithCancel(ctx)
		units := make(chan unit, 1)
		var reader sync.WaitGroup
		reader.Go(func() {
			defer close(units)
			for _, n := range wanted {
				u := w.load(n)
				select {
				case units <- u:
				case <-ctx.Done():
					return
				}
				if u.err != nil {
					return
				}
			}
		})
		defer reader.Wait()
		defer cancel()
		for u := range units {
			if ctx.Err() != nil || !yield(u) {
				return
			}
		}
	}
}

// load reads chunk n and its pictures.
func (w *Worker) load(n int) unit {
	c := &w.job.Config
	u := unit{number: n, entries: make([]entry, w.job.chunkSize(n))}
	for i := range u.entries {
		record, err := w.source.Record(n*c.Chunk + i)
		e := entry{record: record, where: record.Origin}
		var problem datasets.Problem
		switch {
		case errors.As(err, &problem):
			e.where, e.bad = problem.Where, problem.What
		case err != nil:
			return unit{err: err}
		}
		u.entries[i] = e
	}
	u.load(w.processors)
	return u
}

// load decodes the pictures of a chunk on all processors.
func (u *unit) load(processors []image.Processor) {
	next := make(chan *entry)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(u.entries)) {
		workers.Go(func() {
			for e := range next {
				if err := e.load(processors); err != nil {
					e.bad, e.pixels = err.Error(), nil
				}
			}
		})
	}
	for i := range u.entries {
		if e := &u.entries[i]; e.bad == "" {
			next <- e
		}
	}
	close(next)
	workers.Wait()
}

func (e *entry) load(processors []image.Processor) (err error) {
	defer func() { // a picture that a decoder fails on must not end a run of days
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: the decoder failed: %v", e.record.Image, r)
		}
	}()
	var picture image.RGB
	for i, p := range processors {
		if i == 0 || p.Alpha != processors[i-1].Alpha || p.Upright != processors[i-1].Upright {
			if picture, err = image.Open(e.record.Image, image.Options{Alpha: p.Alpha, Upright: p.Upright}); err != nil {
				return err
			}
		}
		e.pixels = append(e.pixels, p.Apply(picture))
	}
	if len(processors) == 0 {
		_, err = image.Open(e.record.Image, image.Options{})
	}
	return err
}
