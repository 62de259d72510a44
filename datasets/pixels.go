package datasets

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"goblip/datasets/image"
)

// LoadPixels decodes and resizes all pictures -> [records, side, side, 3] bytes,
// the same for any number of processors. The error is that of the first bad
// record and names its file. progress may be nil; its calls never overlap.
func (s *Set) LoadPixels(p image.Processor, progress func(done, total int)) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	size := p.Side() * p.Side() * 3
	pixels := make([]byte, size*len(s.Records))
	err := forEach(len(s.Records), progress, func(i int) error {
		got, err := p.Load(s.Records[i].Image)
		if err != nil {
			if origin := s.Records[i].Origin; origin != "" && origin != s.Records[i].Image {
				return fmt.Errorf("%s: %w", origin, err)
			}
			return err
		}
		copy(pixels[i*size:], got)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pixels, nil
}

// forEach calls work(0..n-1) on all processors and returns the error of the
// lowest index that failed; indices above a failure may be skipped.
func forEach(n int, progress func(done, total int), work func(i int) error) error {
	var next, done atomic.Int64
	var mu sync.Mutex
	firstBad, firstErr := n, error(nil)
	stop := func(i int) bool {
		mu.Lock()
		defer mu.Unlock()
		return i > firstBad
	}
	report := func() {
		if progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		progress(int(done.Add(1)), n)
	}
	var workers sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for {
				// Indices are handed out in order, so every index below a
				// failure has been taken by someone and will be finished.
				i := int(next.Add(1)) - 1
				if i >= n || stop(i) {
					return
				}
				if err := work(i); err != nil {
					mu.Lock()
					if i < firstBad {
						firstBad, firstErr = i, err
					}
					mu.Unlock()
					return
				}
				report()
			}
		})
	}
	workers.Wait()
	return firstErr
}
