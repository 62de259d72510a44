// Package small trains the small BLIP-2 that the notebooks look at: a corpus of drawn scenes, an image
// tower, a language model, stage 1, stage 2 and answers, each in a folder of its own and in about a minute or less.
//
//	small.go     Workshop: folders, data, and one training after the other
//	settings.go  how small
package small

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/train"
	"goblip/train/recipes"
	"goblip/train/runlog"

	"github.com/gomlx/compute"
)

// Workshop is a folder with a corpus and models, which come into being when they are first asked for. What a
// folder holds depends on the settings alone, so another cell, or another notebook, may go on with it.
type Workshop struct {
	Backend compute.Backend
	Dir     string

	// Watch is shown the steps of a training while it goes on, and once when it has ended; nil: nobody looks.
	Watch func(training string, steps []runlog.Step)
}

// Open opens what goblip computes with, and the workshop in a folder, which need not be there. Under
// GOBLIP_QUICK=1 the folder is another one, dir-quick: it holds other models.
func Open(dir string) (*Workshop, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	if quick() {
		dir += "-quick"
	}
	return &Workshop{Backend: backend, Dir: dir}, nil
}

// Clean empties the workshop.
func (w *Workshop) Clean() error { return os.RemoveAll(w.Dir) }

// Path is a file or folder of the workshop.
func (w *Workshop) Path(parts ...string) string {
	return filepath.Join(append([]string{w.Dir}, parts...)...)
}

// Model is the model folder that a training left: "clip", "lm", "stage1", "stage2", "vqa" or one of the caller's.
func (w *Workshop) Model(training string) string { return w.Path(training, "final") }

// Set is a part of the corpus, "train", "val" or "test", which is drawn if it is not there.
func (w *Workshop) Set(name string) (*datasets.Set, error) {
	if err := shapes.Generate(w.Path("data"), Corpus(), nil); err != nil {
		return nil, err
	}
	return datasets.Open(w.Path("data", name+".jsonl"))
}

// Pictures is a Set with its pixels as the models see them.
func (w *Workshop) Pictures(name string) (*infer.Pictures, error) {
	set, err := w.Set(name)
	if err != nil {
		return nil, err
	}
	return infer.LoadPictures(set, CLIP().ImageSize, nil)
}

// Train does one training into a folder of its name, unless its model is there, and shows its steps to Watch.
func (w *Workshop) Train(name string, do func(o recipes.Options) (train.Summary, error)) error {
	if _, err := os.Stat(filepath.Join(w.Model(name), checkpoints.ConfigFile)); err != nil {
		if err := w.watched(name, func() error {
			_, err := do(recipes.Options{Dir: w.Path(name), LogEvery: 5, CheckpointEvery: 0, Resume: true, Quiet: true})
			return err
		}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if w.Watch == nil {
		return nil
	}
	steps, err := w.Steps(name)
	if err == nil {
		w.Watch(name, steps)
	}
	return err
}

// watched calls do, and Watch every second meanwhile.
func (w *Workshop) watched(name string, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if w.Watch == nil {
				continue
			}
			if steps, err := w.Steps(name); err == nil && len(steps) > 0 { // it may just be written
				w.Watch(name, steps)
			}
		}
	}
}

// Steps are the logged steps of a training.
func (w *Workshop) Steps(name string) ([]runlog.Step, error) {
	return runlog.Read(w.Path(name, runlog.MetricsFile))
}

// All does the trainings of the small BLIP-2 that are not done: clip, lm, stage1, stage2. VQA is for those who ask.
func (w *Workshop) All(ctx context.Context) error {
	for _, training := range []func(context.Context) error{w.CLIP, w.LM, w.Stage1, w.Stage2} {
		if err := training(ctx); err != nil {
			return err
		}
	}
	return nil
}

// CLIP trains the image tower.
func (w *Workshop) CLIP(ctx context.Context) error {
	return w.Train("clip", func(o recipes.Options) (train.Summary, error) {
		return withPictures(w, func(p *infer.Pictures) (train.Summary, error) {
			return recipes.CLIP(ctx, w.Backend, CLIP(), p, o)
		})
	})
}

// LM trains the language model, on text alone.
func (w *Workshop) LM(ctx context.Context) error {
	return w.Train("lm", func(o recipes.Options) (train.Summary, error) {
		s := LM()
		return recipes.LM(ctx, w.Backend, s, slices.Collect(shapes.Texts(s.Steps*s.Batch, s.Seed)), o)
	})
}

// Stage1 trains the Q-Former to read the frozen image tower.
func (w *Workshop) Stage1(ctx context.Context) error {
	return w.Train("stage1", func(o recipes.Options) (train.Summary, error) {
		return withPictures(w, func(p *infer.Pictures) (train.Summary, error) {
			return recipes.Stage1(ctx, w.Backend, Stage1(), p, w.Model("clip"), o)
		})
	})
}

// Stage2 trains it to prompt the frozen language model.
func (w *Workshop) Stage2(ctx context.Context) error {
	return w.Train("stage2", func(o recipes.Options) (train.Summary, error) {
		return withPictures(w, func(p *infer.Pictures) (train.Summary, error) {
			return recipes.Stage2(ctx, w.Backend, Stage2(), p, w.Model("stage1"), w.Model("lm"), o)
		})
	})
}

// VQA trains the Q-Former of stage 1 to read a question beside the picture, for the same language model.
func (w *Workshop) VQA(ctx context.Context) error {
	return w.Train("vqa", func(o recipes.Options) (train.Summary, error) {
		return withPictures(w, func(p *infer.Pictures) (train.Summary, error) {
			return recipes.VQA(ctx, w.Backend, VQA(), p, w.Model("stage1"), w.Model("lm"), o)
		})
	})
}

func withPictures(w *Workshop, do func(p *infer.Pictures) (train.Summary, error)) (train.Summary, error) {
	p, err := w.Pictures("train")
	if err != nil {
		return train.Summary{}, err
	}
	return do(p)
}
