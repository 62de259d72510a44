package main

import (
	"sync"
	"sync/atomic"

	"goblip/capfilt"
	"goblip/internal/pjrt"
	"goblip/train/runlog"
)

// workers are those of this process, by the job: Beam makes any number of chunkFns, all of which share one set of
// models. A process of a runner lives as long as its job.
var workers struct {
	sync.Mutex
	byJob  map[string]func() (*capfilt.Worker, error)
	opened int
}

// worker is the job's in this process; its models are loaded when the first missing chunk is met.
func worker(job []byte) (*capfilt.Worker, error) {
	workers.Lock()
	open := workers.byJob[string(job)]
	if open == nil {
		open = sync.OnceValues(func() (*capfilt.Worker, error) { return newWorker(job) })
		if workers.byJob == nil {
			workers.byJob = map[string]func() (*capfilt.Worker, error){}
		}
		workers.byJob[string(job)] = open
	}
	workers.Unlock()
	return open()
}

func newWorker(encoded []byte) (*capfilt.Worker, error) {
	job, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	workers.Lock()
	workers.opened++
	workers.Unlock()
	return job.NewWorker(func() (*capfilt.Models, error) {
		backend, _, err := pjrt.Open()
		if err != nil {
			return nil, err
		}
		return capfilt.OpenModels(backend, job.Config)
	})
}

// watched is the progress bar to which chunks report, where the runner works in this process.
var watched atomic.Pointer[runlog.Bar]
