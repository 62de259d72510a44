package capfilt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"goblip/capfilt/capfilttest"
	"goblip/datasets"
	"goblip/internal/golden"
	"goblip/models/blip"
)

// TestMemoryFlat cleans a large set of tiny pictures with tiny models and compares the memory in use after a
// quarter and at the end. CAPFILT_PICTURES=100000 (200,000 texts) takes minutes; without it the test is skipped.
func TestMemoryFlat(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("CAPFILT_PICTURES"))
	if err != nil {
		t.Skip("CAPFILT_PICTURES is not set")
	}
	set, err := datasets.Open(capfilttest.Pictures(t, 60))
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "large.jsonl")
	f, err := os.Create(source)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(w, `{"id":"%07d","image":%q,"caption":"text %d of %s"}`+"\n", i, set.Records[i%60].Image, i, capfilttest.Words[i%5])
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	c := tinyConfig(t, source)
	c.Captioners, c.Filters, c.Captions, c.Chunk = c.Captioners[:1], []ModelDir{tiny(t, "itm", blip.RetrievalClass, 8, 3)}, 1, 512
	quarter, began := 0, time.Now()
	c.Progress = func(done, total int) {
		if quarter == 0 && done >= total/4 {
			quarter = resident(t)
			t.Logf("%d of %d pictures after %.0f s: %d MiB", done, total, time.Since(began).Seconds(), quarter>>20)
		}
	}
	backend := golden.Backend(t)
	s, err := Run(context.Background(), c, func() (*Models, error) { return OpenModels(backend, c) })
	if err != nil {
		t.Fatal(err)
	}
	end := resident(t)
	t.Logf("%d texts in %.0f s: %d MiB", s.Texts, time.Since(began).Seconds(), end>>20)
	if s.Texts != 2*n {
		t.Errorf("%d texts of %d pictures", s.Texts, n)
	}
	if end > quarter+quarter/5+64<<20 {
		t.Errorf("memory grew from %d to %d MiB", quarter>>20, end>>20)
	}
}

// resident is the memory of this process that is in use now.
func resident(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("this system does not tell")
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
