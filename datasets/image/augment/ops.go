package augment

import (
	"slices"

	"goblip/datasets/image"
)

// Kind is an operation of RandAugment, by the name that BLIP's code has for it.
type Kind string

// The operations of BLIP's training.
const (
	Identity     Kind = "Identity"
	AutoContrast Kind = "AutoContrast"
	Equalize     Kind = "Equalize"
	Brightness   Kind = "Brightness"
	Sharpness    Kind = "Sharpness"
	ShearX       Kind = "ShearX"
	ShearY       Kind = "ShearY"
	TranslateX   Kind = "TranslateX"
	TranslateY   Kind = "TranslateY"
	Rotate       Kind = "Rotate"
)

// BLIPOps is what BLIP draws from.
var BLIPOps = []Kind{Identity, AutoContrast, Brightness, Sharpness, Equalize, ShearX, ShearY, TranslateX, TranslateY, Rotate}

// Op is an operation with how much of it.
type Op struct {
	Kind   Kind
	Amount float64 // a factor, a shear, pixels or degrees; 0 where there is no amount
}

const maxLevel = 10

// amount is what a level means.
func (k Kind) amount(level float64) float64 {
	switch k {
	case Brightness, Sharpness:
		return level/maxLevel*1.8 + 0.1 // 1, which changes nothing, at BLIP's level of 5
	case ShearX, ShearY:
		return level / maxLevel * 0.3
	case TranslateX, TranslateY:
		return level / maxLevel * 10
	case Rotate:
		return level / maxLevel * 30
	}
	return 0
}

// signed says whether an amount may go either way.
func (k Kind) signed() bool {
	return slices.Contains([]Kind{ShearX, ShearY, TranslateX, TranslateY, Rotate}, k)
}

// Apply makes a changed copy.
func (op Op) Apply(img image.RGB) image.RGB {
	a := op.Amount
	switch op.Kind {
	case AutoContrast:
		return mapped(img, autoContrast)
	case Equalize:
		return mapped(img, equalize)
	case Brightness:
		return mapped(img, func([]int) (table [256]byte) {
			for v := range table {
				table[v] = byte(min(max(float32(v)*float32(a), 0), 255))
			}
			return table
		})
	case Sharpness:
		return sharpen(img, float32(a))
	case ShearX:
		return warp(img, matrix{1, a, 0, 0, 1, 0})
	case ShearY:
		return warp(img, matrix{1, 0, 0, a, 1, 0})
	case TranslateX:
		return warp(img, matrix{1, 0, -a, 0, 1, 0})
	case TranslateY:
		return warp(img, matrix{1, 0, 0, 0, 1, -a})
	case Rotate:
		return warp(img, rotation(img.Width, img.Height, a))
	}
	return img
}

// mapped replaces each channel's values by a table that is made of its histogram.
func mapped(img image.RGB, tableOf func(histogram []int) [256]byte) image.RGB {
	out := image.RGB{Pix: make([]byte, len(img.Pix)), Width: img.Width, Height: img.Height}
	for c := range 3 {
		histogram := make([]int, 256)
		for i := c; i < len(img.Pix); i += 3 {
			histogram[img.Pix[i]]++
		}
		table := tableOf(histogram)
		for i := c; i < len(img.Pix); i += 3 {
			out.Pix[i] = table[img.Pix[i]]
		}
	}
	return out
}

func unchanged() (table [256]byte) {
	for v := range table {
		table[v] = byte(v)
	}
	return table
}

// autoContrast is Pillow's ImageOps.autocontrast: the darkest value becomes 0, the brightest 255.
func autoContrast(histogram []int) (table [256]byte) {
	low, high := 0, 255
	for low < 255 && histogram[low] == 0 {
		low++
	}
	for high > 0 && histogram[high] == 0 {
		high--
	}
	if high <= low {
		return unchanged()
	}
	scale := 255 / float64(high-low)
	offset := -float64(low) * scale
	for v := range table {
		product := float64(v) * scale // rounded for itself, not fused
		table[v] = byte(min(max(product+offset, 0), 255))
	}
	return table
}

// equalize is Pillow's ImageOps.equalize: values in equal steps of how many are below them.
func equalize(histogram []int) (table [256]byte) {
	total, last := 0, 0
	for _, n := range histogram {
		if total += n; n > 0 {
			last = n
		}
	}
	step := (total - last) / 255
	if step == 0 {
		return unchanged()
	}
	below := step / 2
	for v, n := range histogram {
		table[v] = byte(min(below/step, 255))
		below += n
	}
	return table
}

// sharpen moves away from a picture smoothed by Pillow's SMOOTH kernel (a weight of 5 in the middle of
// 13), or towards it; the border stays.
func sharpen(img image.RGB, factor float32) image.RGB {
	if factor == 1 {
		return img
	}
	out := image.RGB{Pix: slices.Clone(img.Pix), Width: img.Width, Height: img.Height}
	stride := 3 * img.Width
	for y := 1; y < img.Height-1; y++ {
		for i := y*stride + 3; i < (y+1)*stride-3; i++ {
			sum := 4 * int(img.Pix[i])
			for _, row := range []int{i - stride, i, i + stride} {
				sum += int(img.Pix[row-3]) + int(img.Pix[row]) + int(img.Pix[row+3])
			}
			smooth := float32((2*sum + 13) / 26) // rounded
			product := factor * (float32(img.Pix[i]) - smooth)
			out.Pix[i] = byte(int(smooth + product)) // numpy's cast keeps the low byte
		}
	}
	return out
}
