package recipes

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/datasets"
	"goblip/internal/golden"
	"goblip/train"
)

// tinyLM trains the smallest language model on captions of 1 to 19 words and returns the summary, and what
// the user was told.
func tinyLM(t *testing.T, dir string, change func(s *LMSettings, o *Options)) (train.Summary, string) {
	t.Helper()
	var records []datasets.Record
	for i := range 19 { // no multiple of the batch
		records = append(records, datasets.Record{Origin: "test", Captions: []string{strings.Repeat("red ", i) + "circle"}})
	}
	s := DefaultLM()
	s.Steps, s.Batch, s.HiddenSize, s.Layers, s.Heads, s.FFN, s.VocabSize, s.Texts, s.Positions = 5, 4, 8, 2, 2, 8, 270, 1, 128
	var told strings.Builder
	o := Options{Dir: dir, Devices: 1, Quiet: true, Note: func(format string, args ...any) { fmt.Fprintf(&told, format+"\n", args...) }}
	change(s, &o)
	summary, err := LM(t.Context(), golden.Go(t), s, records, o)
	if err != nil {
		t.Fatal(err)
	}
	return summary, told.String()
}

// TestNothingCompiledAfterWarmUp wants epochs after the first to compile nothing, with texts padded to a few
// lengths.
func TestNothingCompiledAfterWarmUp(t *testing.T) {
	epoch, _ := tinyLM(t, t.TempDir(), func(s *LMSettings, _ *Options) { s.TextBuckets, s.Steps = 3, 40 })
	more, _ := tinyLM(t, t.TempDir(), func(s *LMSettings, _ *Options) { s.TextBuckets, s.Steps = 3, 120 })
	if epoch.Compilations < 2 || epoch.Compilations > 3 || more.Compilations != epoch.Compilations || more.LastCompilation != epoch.LastCompilation {
		t.Errorf("%d programs, the last at step %d; in three times the steps %d, the last at step %d",
			epoch.Compilations, epoch.LastCompilation, more.Compilations, more.LastCompilation)
	}
}

// TestCheckpointingAuto wants a decision that is told and kept: in the run's settings, and when it goes on.
func TestCheckpointingAuto(t *testing.T) {
	dir := t.TempDir()
	auto := func(s *LMSettings, _ *Options) { s.Checkpointing = "auto" }
	_, told := tinyLM(t, dir, auto)
	if !strings.Contains(told, "checkpointing auto is none") || !strings.Contains(told, "GiB of this machine's free memory") {
		t.Errorf("told: %q", told)
	}
	path := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(config), `"checkpointing": "none"`) {
		t.Errorf("%v in %s", err, config)
	}
	// As if there had been less memory.
	if err := os.WriteFile(path, []byte(strings.Replace(string(config), `"checkpointing": "none"`, `"checkpointing": "blocks"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := begun(Options{Dir: dir, Resume: true}); got != "blocks" {
		t.Errorf("a run that goes on has %q", got)
	}
	if got := begun(Options{Dir: dir}); got != "" {
		t.Errorf("a new run has %q", got)
	}
}

func TestAnswerBeforeItsQuestion(t *testing.T) {
	d := document{
		captions:  []weighted{{ids: []int32{1, 2}, weights: []int32{1, 1}}},
		questions: []weighted{{ids: []int32{5, 6, 7}, weights: []int32{1, 1, 10}, answer: []int32{7}}},
	}
	plain, hinted := []int32{1, 2, 5, 6, 7}, []int32{1, 2, 7, 5, 6, 7}
	rng := rand.New(rand.NewPCG(1, 1))
	count := 0
	for range 400 {
		row := d.pick(2, 0.25, rng)
		if len(row.ids) != len(row.weights) || row.weights[len(row.weights)-1] != 10 {
			t.Fatalf("%d tokens with weights %v", len(row.ids), row.weights)
		}
		switch {
		case slices.Equal(row.ids, hinted):
			count++
		case !slices.Equal(row.ids, plain):
			t.Fatalf("document %v", row.ids)
		}
	}
	if count < 60 || count > 140 {
		t.Errorf("the answer stood first in %d of 400 documents, want about 100", count)
	}
	if n := d.longest(2); n != len(hinted) {
		t.Errorf("longest is %d, want %d", n, len(hinted))
	}
}
