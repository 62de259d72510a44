package recipes

import (
	"goblip/datasets/image/augment"
	"goblip/infer"
)

// augmented are training pictures as the settings augment and min_crop say; held-out ones stay as they are.
func augmented(p *infer.Pictures, how string, minCrop float64, seed uint64) (*infer.Pictures, error) {
	policy, err := augment.Named(how, p.Side, minCrop)
	if err != nil || policy == nil {
		return p, err
	}
	return p.Augmented(*policy, seed)
}
