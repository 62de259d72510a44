package main

import (
	"context"
	"fmt"

	"github.com/gomlx/compute"

	"goblip/datasets"
	"goblip/infer"
	"goblip/train"
	"goblip/train/recipes"
)

// fitFor is a data set as a recipe wants it: with captions, with questions, or pairs of pictures.
func fitFor(recipe string, set *datasets.Set) (*datasets.Set, error) {
	switch recipe {
	case "blip/vqa", "blip2/vqa":
		return set, nil
	case "blip/nlvr":
		return recipes.PairSet(set)
	}
	return set, captioned(set)
}

// blip runs a recipe of BLIP: it opens what the training starts from (--init, or --vision and --text),
// reads the pictures as that wants them, and hands both to the recipe.
func (t *trainCommand) blip(ctx context.Context, backend compute.Backend, name string, settings any, set *datasets.Set, o recipes.Options) (train.Summary, error) {
	o.Note = t.note
	start, err := infer.OpenBLIPStart(t.init, t.vision, t.text)
	if err != nil {
		return train.Summary{}, fmt.Errorf("%s: %w", name, err)
	}
	defer start.Close()
	common, m := recipes.BLIPParts(settings)
	processor, err := m.Processor(start)
	if err != nil {
		return train.Summary{}, fmt.Errorf("%s: %w", name, err)
	}
	pictures, err := t.load(name, set, processor, &o)
	if err != nil {
		return train.Summary{}, err
	}
	items := set.Len()
	switch name {
	case "blip/vqa":
		items = 0
		for _, r := range set.Records {
			items += len(r.Questions)
		}
	case "blip/nlvr":
		items /= 2
	}
	t.fitBatch(name, common, items, t.batchChosen(""))
	switch s := settings.(type) {
	case *recipes.BLIPPretrainSettings:
		return recipes.BLIPPretrain(ctx, backend, s, pictures, start, o)
	case *recipes.BLIPCaptionSettings:
		return recipes.BLIPCaption(ctx, backend, s, pictures, start, o)
	case *recipes.BLIPRetrievalSettings:
		return recipes.BLIPRetrieval(ctx, backend, s, pictures, start, o)
	case *recipes.BLIPVQASettings:
		return recipes.BLIPVQA(ctx, backend, s, pictures, start, o)
	case *recipes.BLIPNLVRSettings:
		return recipes.BLIPNLVR(ctx, backend, s, pictures, start, o)
	}
	return train.Summary{}, fmt.Errorf("recipe %s has no trainer", name)
}
