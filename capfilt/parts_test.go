package capfilt

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"goblip/capfilt/capfilttest"
	"goblip/datasets"
	"goblip/internal/golden"
)

// TestParts does the chunks of a job by two workers that know it as JSON, writes its outputs in parts and merges their
// stats in any order: chunks, report and counts must be those of Run, the outputs the same lines.
func TestParts(t *testing.T) {
	c := tinyConfig(t, capfilttest.Pictures(t, 23, 3, 20))
	c.Human = capfilttest.Pictures(t, 3)
	mustRun(t, c)
	want := outputsOf(t, c.Out)

	c.Out, c.ShardSize = filepath.Join(filepath.Dir(filepath.Dir(c.Out)), "parts", "out"), 9
	job, err := NewJob(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	job = again(t, job)
	missing, err := job.Missing(0, job.Chunks())
	if err != nil || len(missing) != 6 || job.RecordsOf(missing) != 23 {
		t.Fatalf("missing %v of 6 chunks, %v", missing, err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	rng.Shuffle(len(missing), func(i, k int) { missing[i], missing[k] = missing[k], missing[i] })
	for _, mine := range [][]int{missing[:2], missing[1:]} { // one of them twice
		w, err := job.NewWorker(func() (*Models, error) { return OpenModels(golden.Go(t), job.Config) })
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range mine {
			if err := w.Start(n)(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		w.Finalize()
	}
	if job.Parts() != 3 {
		t.Fatalf("%d parts of 23 pictures, 9 in each", job.Parts())
	}
	var all *Stats
	var files []string
	for _, part := range rng.Perm(job.Parts()) {
		s, err := job.WritePart(context.Background(), part)
		if err != nil {
			t.Fatal(err)
		}
		s = again(t, s)
		if all == nil {
			all = s
		} else {
			all.Merge(s)
			all = again(t, all)
		}
	}
	summary, err := job.Conclude(all)
	if err != nil {
		t.Fatal(err)
	}
	got := outputsOf(t, c.Out)
	for part := range job.Parts() {
		suffix := "-0000" + strconv.Itoa(part) + "-of-00003.jsonl"
		files = append(files, "kept"+suffix)
		for _, base := range []string{"kept", "manifest", "bad"} {
			got[base+".jsonl"] += got[base+suffix]
			delete(got, base+suffix)
		}
	}
	if !slices.Equal(summary.Files, files) {
		t.Errorf("files %q, want %q", summary.Files, files)
	}
	var a, b Summary
	for text, s := range map[string]*Summary{want[SummaryFile]: &a, got[SummaryFile]: &b} {
		if err := json.Unmarshal([]byte(text), s); err != nil {
			t.Fatal(err)
		}
	}
	if a.Files, b.Files = nil, nil; !reflect.DeepEqual(a, b) {
		t.Errorf("summary %+v, want %+v", b, a)
	}
	delete(want, SummaryFile)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs:\n%s\nwant\n%s", name, got[name], want[name])
		}
	}

	// The same folder finished in one piece has the files of a run alone.
	c.ShardSize = 1000
	mustRun(t, c)
	if left, _ := filepath.Glob(filepath.Join(c.Out, "*-of-*")); len(left) > 0 {
		t.Errorf("left of the parts: %q", left)
	}
}

// again is a value after a journey as JSON.
func again[T any](t *testing.T, v *T) *T {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWorkerSource: a source that changed under a job is refused.
func TestWorkerSource(t *testing.T) {
	c := tinyConfig(t, capfilttest.Pictures(t, 5))
	job, err := NewJob(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Source, []byte(`{"image":"000.png"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := job.NewWorker(func() (*Models, error) { return OpenModels(golden.Go(t), c) }); err == nil {
		t.Error("a source of one record instead of five was taken")
	}
}

// TestMergeRepeats: counts beyond what is held merge to what one counter would hold.
func TestMergeRepeats(t *testing.T) {
	one, halves := newRepeats(), [2]*repeats{newRepeats(), newRepeats()}
	for i := range 5 * maxDifferent / 2 {
		text := strconv.Itoa(i % (2 * maxDifferent))
		one.add(text, 1)
		halves[i%7%2].add(text, 1)
	}
	halves[1].merge(halves[0])
	if !reflect.DeepEqual(one, halves[1]) {
		t.Errorf("%d texts at %d zeros, want %d at %d", len(halves[1].Counts), halves[1].Zeros, len(one.Counts), one.Zeros)
	}
}

// TestMergeSamples: parts merge to the sample and the examples of all, where there are more than are held.
func TestMergeSamples(t *testing.T) {
	rule := KeepAll()
	one := newStats(rule, []string{Web})
	parts := []*Stats{newStats(rule, []string{Web}), newStats(rule, []string{Web}), newStats(rule, []string{Web})}
	for i := range 3 * sampleSize {
		l := line{Record: datasets.Record{ID: strconv.Itoa(i), Image: strconv.Itoa(i % 700)}, Texts: []Text{{Text: "picture " + strconv.Itoa(i), Origin: Web, Truth: Right}}}
		for _, s := range []*Stats{one, parts[i%5%3]} {
			s.picture(&l, rule.Decide(l.Texts))
		}
	}
	parts[2].Merge(again(t, parts[0]))
	parts[2].Merge(parts[1])
	a, b := one.finish(), parts[2].finish()
	if !reflect.DeepEqual(a, b) {
		t.Errorf("summary %+v, want %+v", b, a)
	}
	one.Examples[webKept].cut()
	parts[2].Examples[webKept].cut()
	if !reflect.DeepEqual(again(t, one.Examples[webKept]), again(t, parts[2].Examples[webKept])) {
		t.Error("other examples")
	}
}
