package main

import (
	"fmt"

	"goblip/datasets"
	"goblip/infer"
	"goblip/train"
	"goblip/train/recipes"
)

// blip runs a recipe of BLIP: it opens what the training starts from (--init, or --vision and --text),
// reads the pictures as that wants them, and hands both to the recipe.
func (t *trainCommand) blip(name string, common *recipes.Common, m *recipes.BLIPModel, set *datasets.Set, o *recipes.Options, items int,
	recipe func(p *infer.Pictures, start *infer.BLIPStart, o recipes.Options) (train.Summary, error)) (train.Summary, error) {
	o.Note = t.note
	start, err := infer.OpenBLIPStart(t.init, t.vision, t.text)
	if err != nil {
		return train.Summary{}, fmt.Errorf("%s: %w", name, err)
	}
	defer start.Close()
	processor, err := m.Processor(start)
	if err != nil {
		return train.Summary{}, fmt.Errorf("%s: %w", name, err)
	}
	pictures, err := t.load(set, processor, o)
	if err != nil {
		return train.Summary{}, err
	}
	t.fitBatch(name, common, items, t.batchChosen(""))
	return recipe(pictures, start, *o)
}
