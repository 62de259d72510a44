package recipes

import (
	"fmt"

	"goblip/infer"
	"goblip/train/objective"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// BLIPContrast are the settings of ITC with a momentum encoder and of ITM's negatives.
type BLIPContrast struct {
	Queue       int     `json:"queue_size" help:"features of earlier batches that a picture and a text are also told apart from; any number, whatever the batch" source:"ours, below one epoch; BLIP: 57600"`
	Momentum    float64 `json:"momentum" help:"of the copies of image tower and text encoder: copy = momentum*copy + (1-momentum)*weight, once a micro-batch" source:"BLIP: 0.995"`
	ITCAlpha    float64 `json:"itc_alpha" help:"weight of the momentum encoder's similarities as soft targets, after the ramp" source:"BLIP: 0.4"`
	AlphaEpochs float64 `json:"itc_alpha_epochs" help:"epochs over which the weight rises from 0" source:"BLIP: 2 in pre-training, 1 for retrieval"`
	Negatives   string  `json:"negatives" help:"with several devices, what ITC's keys beside the queue and ITM's hard negatives are taken from: local: the device's own part of the batch; global: all of it, which makes the number of devices invisible" source:"ours: global; BLIP: local, and global for COCO retrieval"`
}

func (c *BLIPContrast) validate(common *Common) error {
	switch {
	case common.Batch < 2:
		return fmt.Errorf("batch must be 2 or more, for negatives")
	case c.Queue < 1:
		return fmt.Errorf("queue_size must be 1 or more")
	case c.Momentum < 0 || c.Momentum > 1:
		return fmt.Errorf("momentum must lie in [0, 1]")
	case c.ITCAlpha < 0 || c.ITCAlpha > 1 || c.AlphaEpochs < 0:
		return fmt.Errorf("itc_alpha must lie in [0, 1], itc_alpha_epochs must not be negative")
	case c.Negatives != "local" && c.Negatives != "global":
		return fmt.Errorf("negatives %q is not local or global", c.Negatives)
	}
	return nil
}

// groups is how many parts of the batch see only themselves.
func (c *BLIPContrast) groups(common *Common, devices int) (int, error) {
	if c.Negatives == "global" || devices <= 1 {
		return 1, nil
	}
	if common.Batch < 2*devices {
		return 0, fmt.Errorf("negatives local: batch %d leaves less than 2 pairs to each of %d devices", common.Batch, devices)
	}
	return devices, nil
}

// loss is the objective without what the two recipes have each.
func (c *BLIPContrast) loss(b *blipRun, devices int) (objective.BLIPPretrain, error) {
	groups, err := c.groups(b.common, devices)
	return objective.BLIPPretrain{Config: b.cfg, Queue: c.Queue, Momentum: c.Momentum, Groups: groups}, err
}

// alpha is the weight of the soft targets at micro-batch i, for each row. Held-out pairs are measured
// against the pairs alone, so that their losses can be compared from the first step to the last.
func (c *BLIPContrast) alpha(i, perEpoch, batch int, held bool) *tensors.Tensor {
	share := 1.0
	if ramp := c.AlphaEpochs * float64(perEpoch); ramp > 0 {
		share = min(1, float64(i)/ramp)
	}
	if held {
		share = 0
	}
	rows := make([]float32, batch)
	for j := range rows {
		rows[j] = float32(c.ITCAlpha * share)
	}
	return tensors.FromFlatDataAndDimensions(rows, batch)
}

// pairShapes are the inputs of the objective but for picture numbers.
func pairShapes(b *blipRun, length int) []shapes.Shape {
	n := b.common.Batch
	return []shapes.Shape{b.pixelShape(), shapeInt32(n, length), shapeInt32(n, length), shapeFloat32(n)}
}

// pairBatches makes batches of pictures with one caption each and alpha; more adds inputs.
func (c *BLIPContrast) pairBatches(b *blipRun, length int, o Options, more func(p *infer.Pictures, rows []int) []*tensors.Tensor) func(p *infer.Pictures) (batchFunc, error) {
	return func(p *infer.Pictures) (batchFunc, error) {
		captions, err := b.captions(p.Set, length)
		if err != nil {
			return nil, err
		}
		n, seed := b.common.Batch, b.common.Seed
		visits := visit(p.Set, seed, n)
		return func(i int) ([]*tensors.Tensor, error) {
			rows, epoch := visits.rows(i)
			ids, mask := padded(pickCaptions(captions, rows, seed, epoch), length, int32(b.cfg.Text.PadTokenID))
			batch := []*tensors.Tensor{p.BatchAt(rows, epoch), ids, mask, c.alpha(i, p.Len()/n, n, p == o.HeldOut)}
			if more != nil {
				batch = append(batch, more(p, rows)...)
			}
			return batch, nil
		}, nil
	}
}
