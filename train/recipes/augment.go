package recipes

import (
	"fmt"

	"goblip/datasets/image/augment"
	"goblip/infer"
)

// augmented are training pictures as the settings augment and min_crop say; held-out ones stay as they are.
func augmented(p *infer.Pictures, how string, minCrop float64, seed uint64) (*infer.Pictures, error) {
	switch how {
	case "none":
		return p, nil
	case "crop":
		return p.Augmented(augment.Default(p.Side, minCrop), seed)
	case "randaugment":
		return p.Augmented(augment.BLIP(p.Side, minCrop), seed)
	}
	return nil, fmt.Errorf("augment %q is not none, crop or randaugment", how)
}
