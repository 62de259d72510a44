package small

import (
	"os"
	"path/filepath"
	"testing"

	"goblip/train"
	"goblip/train/recipes"
	"goblip/train/runlog"
)

// TestTrain: a training is done once, and watched either way.
func TestTrain(t *testing.T) {
	var shown []int
	w := &Workshop{Dir: t.TempDir(), Watch: func(name string, steps []runlog.Step) { shown = append(shown, len(steps)) }}
	done := 0
	training := func(o recipes.Options) (train.Summary, error) {
		done++
		log, err := runlog.Open(o.Dir, runlog.Options{Quiet: true, NoTensorBoard: true, TotalSteps: 1})
		if err != nil {
			return train.Summary{}, err
		}
		if err := log.Step(runlog.Step{Step: 1, Terms: []runlog.Term{{Name: "lm", Value: 2}}}); err != nil {
			return train.Summary{}, err
		}
		if err := log.Close(); err != nil {
			return train.Summary{}, err
		}
		if err := os.MkdirAll(w.Model("lm"), 0o755); err != nil {
			return train.Summary{}, err
		}
		return train.Summary{}, os.WriteFile(filepath.Join(w.Model("lm"), "config.json"), []byte("{}"), 0o644)
	}
	for range 2 {
		if err := w.Train("lm", training); err != nil {
			t.Fatal(err)
		}
	}
	if done != 1 || len(shown) < 2 || shown[len(shown)-1] != 1 {
		t.Errorf("trained %d times, shown %v; want once, and its step each time", done, shown)
	}
}

// TestQuick: quick trainings lie elsewhere, and are short; the settings are valid both ways.
func TestQuick(t *testing.T) {
	for _, quick := range []string{"", "1"} {
		t.Setenv("GOBLIP_QUICK", quick)
		for name, s := range map[string]*recipes.Common{"clip": &CLIP().Common, "lm": &LM().Common, "stage1": &Stage1().Common, "stage2": &Stage2().Common, "vqa": &VQA().Common} {
			if err := s.Validate(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if most := map[string]int{"": 1000, "1": 20}[quick]; s.Steps > most {
				t.Errorf("%s: %d steps with GOBLIP_QUICK=%q", name, s.Steps, quick)
			}
		}
		if err := Corpus().Validate(); err != nil {
			t.Error(err)
		}
	}
}
