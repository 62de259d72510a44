package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestPhaseClock wants the time of a phase to be that of all attempts at it, and one that was finished
// to begin at 0 when it is done anew.
func TestPhaseClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seconds.json")
	if err := os.WriteFile(path, []byte(`{"clip": {"seconds": 1000, "finished": false}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	attempt := func(result error) float64 {
		t.Helper()
		c, err := openPhaseClock(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.measure("clip", func() error { return result }); err != result {
			t.Errorf("got error %v, want %v", err, result)
		}
		return c.seconds("clip")
	}
	first := attempt(errors.New("interrupted"))
	second := attempt(nil)
	if first <= 1000 || second <= first || second > 1900 {
		t.Errorf("1000 seconds, then %g, then %g in all", first, second)
	}
	if anew := attempt(nil); anew >= 1000 {
		t.Errorf("done anew: %g seconds", anew)
	}
}
