package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"goblip/checkpoints"
)

// saveSecondsEvery is how much of a phase's time a kill can lose.
const saveSecondsEvery = 5 * time.Second

// phaseClock counts the seconds of each phase over all attempts at it, in a small file: a phase that
// was interrupted and continued took the time of both.
type phaseClock struct {
	path   string
	mu     sync.Mutex
	phases map[string]phaseTime
}

type phaseTime struct {
	Seconds  float64 `json:"seconds"`
	Finished bool    `json:"finished"`
}

func openPhaseClock(path string) (*phaseClock, error) {
	c := &phaseClock{path: path, phases: map[string]phaseTime{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &c.phases); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// seconds of a phase so far.
func (c *phaseClock) seconds(name string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phases[name].Seconds
}

// measure runs an attempt at a phase. A phase that had finished is being done anew and begins at 0.
func (c *phaseClock) measure(name string, run func() error) error {
	began, before := time.Now(), c.phases[name].Seconds
	if c.phases[name].Finished {
		before = 0
	}
	save := func(finished bool) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.phases[name] = phaseTime{before + time.Since(began).Seconds(), finished}
		data, err := json.MarshalIndent(c.phases, "", "  ")
		if err != nil {
			return err
		}
		return checkpoints.WriteFile(c.path, data)
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(saveSecondsEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = save(false) // the last one reports a disk that cannot be written
			case <-quit:
				return
			}
		}
	}()
	err := run()
	close(quit)
	<-ended
	if saveErr := save(err == nil); err == nil {
		err = saveErr
	}
	return err
}
