package main

import (
	"context"
	"fmt"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/infer"
	"goblip/train"
	"goblip/train/recipes"
	"goblip/train/runlog"
)

// load reads a recipe's training pictures, and the held-out ones into o.
func (t *trainCommand) load(recipe string, set *datasets.Set, p image.Processor, o *recipes.Options) (*infer.Pictures, error) {
	return t.read(recipe, set, p, false, o)
}

// read is load, of pictures that are streamed: read when the recipe asks for them.
func (t *trainCommand) read(recipe string, set *datasets.Set, p image.Processor, streamed bool, o *recipes.Options) (*infer.Pictures, error) {
	read := func(set *datasets.Set) (*infer.Pictures, error) {
		large := infer.PixelBytes(set, p) > int64(t.pictureMemory)<<20
		stream := streamed || large
		if t.data.onBad == "skip" {
			bar := barFor("looking for unreadable pictures", len(set.Records), o.Quiet)
			// What is encoded before the run is decoded in full now, or a damaged picture would be found
			// only when its features are there.
			readable, err := unlessStopped(t.ctx, bar, func() (*datasets.Set, error) {
				return set.Readable(!large || t.featureCache != "", bar.Update, func(why error) { t.note("warning: left out: %v", why) })
			})
			if err != nil {
				return nil, err
			}
			bar.Done()
			set = readable
			if recipe != "blip/vqa" && recipe != "blip/nlvr" { // which visit questions and pairs
				set.OnBad = func(_ int, why error) { t.note("warning: left out: %v", why) }
			}
		}
		if stream {
			if !streamed {
				t.note("%d pictures are read as they are needed (--picture-memory)", len(set.Records))
			}
			return infer.StreamPictures(set, p)
		}
		bar := barFor("reading pictures", len(set.Records), o.Quiet)
		pictures, err := unlessStopped(t.ctx, bar, func() (*infer.Pictures, error) { return infer.PreparePictures(set, p, bar.Update) })
		if err == nil {
			bar.Done()
		}
		return pictures, err
	}
	if t.val != "" {
		held, err := datasets.OpenWith(t.val, t.data.options(t.note))
		if err == nil {
			held, err = fitFor(recipe, held)
		}
		if err != nil {
			return nil, err
		}
		if o.HeldOut, err = read(held); err != nil {
			return nil, err
		}
	}
	return read(set)
}

// unlessStopped does what only reads, so that it may be left to itself when the program is asked to stop.
func unlessStopped[T any](ctx context.Context, bar *runlog.Bar, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		bar.Stop()
		var none T
		return none, fmt.Errorf("%w while pictures were read", train.ErrStopped)
	}
}

// loadFor is load for an image tower that is yet to be trained.
func (t *trainCommand) loadFor(s *recipes.CLIPSettings, set *datasets.Set, o *recipes.Options) (*infer.Pictures, error) {
	alpha, err := image.ParseAlpha(s.Alpha)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	return t.load("clip", set, image.Processor{Size: s.ImageSize, Alpha: alpha}, o)
}
