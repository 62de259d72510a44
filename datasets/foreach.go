package datasets

import (
	"runtime"
	"sync"
	"sync/atomic"
)

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
