// Package augment changes training pictures as BLIP's and LAVIS' transforms do: a random crop brought
// to the model's size, a flip, and RandAugment. What is drawn and how it is applied are apart, so that
// a picture's changes are a function of a seed and can be compared with the references.
//
//	augment.go  Policy: what is drawn, and in which order it is applied
//	ops.go      RandAugment's operations on brightness
//	warp.go     those that move pixels
package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"goblip/datasets/image"
)

// Policy says what may happen to a picture.
type Policy struct {
	Size     int        // side of the result, pixels
	Scale    [2]float64 // share of the area that a crop keeps
	Ratio    [2]float64 // width by height of a crop
	Flip     float64    // probability
	Ops      int        // how many operations of RandAugment are drawn, with replacement
	Level    float64    // their strength, 0 to 10
	OpChance float64    // probability of each that it happens
	Choices  []Kind     // what is drawn from
}

// Default crops at least the given share of the area and flips: LAVIS' transform of BLIP-2 with 0.5.
func Default(size int, minScale float64) Policy {
	return Policy{Size: size, Scale: [2]float64{minScale, 1}, Ratio: [2]float64{3.0 / 4, 4.0 / 3}, Flip: 0.5, OpChance: 0.5, Choices: BLIPOps}
}

// BLIP is the transform of BLIP's training: Default and two operations of RandAugment at level 5.
func BLIP(size int, minScale float64) Policy {
	p := Default(size, minScale)
	p.Ops, p.Level = 2, 5
	return p
}

// Named is the policy of a setting: "none" (nil), "crop" (Default) or "randaugment" (BLIP).
func Named(name string, size int, minScale float64) (*Policy, error) {
	var p Policy
	switch name {
	case "none":
		return nil, nil
	case "crop":
		p = Default(size, minScale)
	case "randaugment":
		p = BLIP(size, minScale)
	default:
		return nil, fmt.Errorf("augment %q is not none, crop or randaugment", name)
	}
	return &p, nil
}

// Validate says which setting makes no sense.
func (p *Policy) Validate() error {
	switch {
	case p.Size < 1 || p.Size > image.MaxSide:
		return fmt.Errorf("augment: size %d is out of range 1..%d", p.Size, image.MaxSide)
	case !(p.Scale[0] > 0 && p.Scale[0] <= p.Scale[1] && p.Scale[1] <= 1):
		return fmt.Errorf("augment: scale %v is not within (0, 1]", p.Scale)
	case !(p.Ratio[0] > 0 && p.Ratio[0] <= p.Ratio[1]):
		return fmt.Errorf("augment: ratio %v is not a range of positive numbers", p.Ratio)
	case !(p.Flip >= 0 && p.Flip <= 1 && p.OpChance >= 0 && p.OpChance <= 1):
		return fmt.Errorf("augment: probabilities must lie in [0, 1]")
	case p.Ops < 0 || p.Ops > 0 && len(p.Choices) == 0 || !(p.Level >= 0 && p.Level <= 10):
		return fmt.Errorf("augment: %d operations at level %g of %d", p.Ops, p.Level, len(p.Choices))
	}
	return nil
}

// Crop is a part of a picture, in pixels.
type Crop struct{ Top, Left, Height, Width int }

// Params is all that was drawn for one picture.
type Params struct {
	Crop Crop
	Flip bool
	Ops  []Op
}

// Draw draws for a picture of a size.
func (p *Policy) Draw(rng *rand.Rand, height, width int) Params {
	d := Params{Crop: p.drawCrop(rng, height, width), Flip: rng.Float64() < p.Flip}
	for range p.Ops {
		op := Op{Kind: p.Choices[rng.IntN(len(p.Choices))]}
		op.Amount = op.Kind.amount(p.Level)
		happens, negative := rng.Float64() < p.OpChance, rng.Float64() < 0.5
		if op.Kind.signed() && negative {
			op.Amount = -op.Amount
		}
		if happens {
			d.Ops = append(d.Ops, op)
		}
	}
	return d
}

// drawCrop is torchvision's RandomResizedCrop: an area and the logarithm of a ratio, drawn evenly, ten
// times at most until they fit; else the middle, within the ratios.
func (p *Policy) drawCrop(rng *rand.Rand, height, width int) Crop {
	area := float64(height) * float64(width)
	low, high := math.Log(p.Ratio[0]), math.Log(p.Ratio[1])
	for range 10 {
		target := area * (p.Scale[0] + rng.Float64()*(p.Scale[1]-p.Scale[0]))
		ratio := math.Exp(low + rng.Float64()*(high-low))
		w, h := int(math.RoundToEven(math.Sqrt(target*ratio))), int(math.RoundToEven(math.Sqrt(target/ratio)))
		if w > 0 && w <= width && h > 0 && h <= height {
			return Crop{rng.IntN(height - h + 1), rng.IntN(width - w + 1), h, w}
		}
	}
	w, h := width, height
	switch ratio := float64(width) / float64(height); {
	case ratio < p.Ratio[0]:
		h = max(1, int(math.RoundToEven(float64(w)/p.Ratio[0])))
	case ratio > p.Ratio[1]:
		w = max(1, int(math.RoundToEven(float64(h)*p.Ratio[1])))
	}
	return Crop{(height - h) / 2, (width - w) / 2, h, w}
}

// Apply changes a picture as it was drawn -> [size, size, 3] bytes. Resizing is Pillow's bicubic.
func (p *Policy) Apply(img image.RGB, d Params) []byte {
	img = image.ResizeCrop(img, d.Crop.Left, d.Crop.Top, d.Crop.Width, d.Crop.Height, p.Size, p.Size, image.Bicubic)
	if d.Flip {
		img = flip(img)
	}
	for _, op := range d.Ops {
		img = op.Apply(img)
	}
	return img.Pix
}

// flip mirrors left and right.
func flip(img image.RGB) image.RGB {
	out := image.RGB{Pix: slices.Clone(img.Pix), Width: img.Width, Height: img.Height}
	for y := range img.Height {
		row := out.Pix[3*y*img.Width:][:3*img.Width]
		for a, b := 0, img.Width-1; a < b; a, b = a+1, b-1 {
			for c := range 3 {
				row[3*a+c], row[3*b+c] = row[3*b+c], row[3*a+c]
			}
		}
	}
	return out
}
