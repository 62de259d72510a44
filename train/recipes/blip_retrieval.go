package recipes

import (
	"context"
	"fmt"
	"slices"

	"goblip/datasets"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/train"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
)

// BLIPRetrievalSettings of recipe "blip/retrieval".
type BLIPRetrievalSettings struct {
	Common
	BLIPModel
	BLIPContrast
}

// DefaultBLIPRetrieval tunes a small BLIP for search:
//
//	goblip train blip/retrieval --data data/shapes/train.jsonl --init runs/blip/final --out runs/filter
//
// The paper's for COCO: image_size=384 batch=256 learning_rate=1e-5 (5e-6 for ViT-L), 6 epochs,
// schedule=epoch warmup_steps=0 min_learning_rate=0 clip_norm=0 queue_size=57600 max_text_length=35
// dropout=0.1 beta2=0.999 augment=randaugment checkpointing=blocks; for Flickr30K negatives=local.
func DefaultBLIPRetrieval() *BLIPRetrievalSettings {
	return &BLIPRetrievalSettings{Common: fineTuning(), BLIPModel: smallBLIP(),
		BLIPContrast: BLIPContrast{Queue: 1024, Momentum: 0.995, ITCAlpha: 0.4, AlphaEpochs: 1, Negatives: "global"}}
}

// BLIPRetrieval tunes ITC and ITM and writes OUT/final, a BlipForImageTextRetrieval. Records of one id
// are one picture.
func BLIPRetrieval(ctx context.Context, backend compute.Backend, s *BLIPRetrievalSettings, p *infer.Pictures, start *infer.BLIPStart, o Options) (train.Summary, error) {
	const name = "blip/retrieval"
	if err := s.validate(&s.Common); err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	known, numbers := pictureNumbers{}, map[*datasets.Set][]int32{}
	for _, set := range []*datasets.Set{p.Set, held(o).Set} {
		var err error
		if numbers[set], err = known.add(set); err != nil {
			return noSummary, fmt.Errorf("%s: %w", name, err)
		}
	}
	texts, err := s.prepared(p.Set)
	if err != nil {
		return noSummary, err
	}
	b, err := newBLIPRun(name, backend, &s.Common, &s.BLIPModel, s, p, start, texts, o)
	if err != nil {
		return noSummary, err
	}
	length, err := b.captionLength(p.Set)
	if err != nil {
		return noSummary, err
	}
	loss, err := s.loss(b, o.Devices)
	if err != nil {
		return noSummary, fmt.Errorf("%s: %w", name, err)
	}
	loss.Retrieval = true
	mean, std := p.Processor.Statistics()
	b.objective, b.inputs = loss.Objective(s.Batch, mean, std), append(pairShapes(b, length), shapeInt32(s.Batch))
	if err := b.fill(loss.Carried); err != nil {
		return noSummary, err
	}
	pictures := func(p *infer.Pictures, rows []int) []*tensors.Tensor {
		out := make([]int32, len(rows))
		for i, row := range rows {
			out[i] = numbers[p.Set][row]
		}
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(out, len(out))}
	}
	if err := b.feed(s.pairBatches(b, length, o, pictures), o); err != nil {
		return noSummary, err
	}
	return b.finish(ctx, o, p, []string{blip.RetrievalClass}, without(loss.Carried))
}

// pictureNumbers number the pictures of data sets by their ids; those of a mixture's sources say nothing
// about each other.
type pictureNumbers map[string]int32

// add numbers a set's pictures: the number of each record. Some records with an id and others without would
// be told apart by chance, since a line's number stands in for its id.
func (n pictureNumbers) add(set *datasets.Set) ([]int32, error) {
	parts := set.Parts
	if len(parts) == 0 {
		parts = []datasets.Part{{Records: set.Len()}}
	}
	out := make([]int32, 0, set.Len())
	for _, part := range parts {
		records := set.Records[len(out) : len(out)+part.Records]
		named := slices.ContainsFunc(records, func(r datasets.Record) bool { return !r.NoID })
		for _, r := range records {
			if named && r.NoID || r.ID == "" {
				return nil, fmt.Errorf("%s: no \"id\", which tells pictures apart; other records have one", r.Origin)
			}
			key := part.Name + "\x00" + r.ID
			if _, known := n[key]; !known {
				n[key] = int32(len(n))
			}
			out = append(out, n[key])
		}
	}
	return out, nil
}
