package image

import (
	"fmt"
	"slices"
)

// Alpha says what becomes of transparency.
type Alpha int

const (
	// AlphaDrop keeps the colour stored under a transparent pixel, often
	// black, as Pillow's convert("RGB") does: what BLIP was trained on.
	AlphaDrop Alpha = iota
	// AlphaWhite lays the picture on white, as people see it and as later processors do.
	AlphaWhite
)

var alphaNames = [...]string{AlphaDrop: "drop", AlphaWhite: "white"}

// String is the name of the choice.
func (a Alpha) String() string { return alphaNames[a] }

// ParseAlpha reads what String writes.
func ParseAlpha(name string) (Alpha, error) {
	if i := slices.Index(alphaNames[:], name); i >= 0 {
		return Alpha(i), nil
	}
	return 0, fmt.Errorf("alpha %q is not white or drop", name)
}

// onWhite blends a picture with white by its alpha, in Pillow's fixed point (alpha_composite).
func onWhite(p *picture) {
	for i, alpha := range p.alpha {
		if alpha == 255 {
			continue
		}
		a := int(alpha)
		pixel := p.Pix[3*i : 3*i+3 : 3*i+3]
		for c, v := range pixel {
			sum := (int(v)*a + 255*(255-a) + 128) << 7
			pixel[c] = byte((sum>>8 + sum) >> 15)
		}
	}
	p.alpha = nil
}
