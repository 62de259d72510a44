package image

import "fmt"

// Mean and Std are CLIP's channel statistics, which BLIP and BLIP-2 use too: a
// model sees (byte/255 - Mean) / Std.
var (
	Mean = [3]float32{0.48145466, 0.4578275, 0.40821073}
	Std  = [3]float32{0.26862954, 0.26130258, 0.27577711}
)

// Processor is how a picture becomes a square of pixels.
//
// BLIP: Size x Size, whatever the aspect ratio. CLIP: with Crop set, the
// shorter side becomes Size and the middle Crop x Crop is kept.
type Processor struct {
	Size   int    // pixels
	Crop   int    // pixels; 0: no crop
	Filter Filter // zero value: Bicubic
	Alpha  Alpha  // zero value: AlphaDrop
}

// Side is the side of the result in pixels.
func (p Processor) Side() int {
	if p.Crop > 0 {
		return p.Crop
	}
	return p.Size
}

// Validate reports sizes no picture can be brought to.
func (p Processor) Validate() error {
	if p.Size < 1 || p.Size > 4096 {
		return fmt.Errorf("image size %d is out of range 1..4096", p.Size)
	}
	if p.Crop < 0 || p.Crop > p.Size {
		return fmt.Errorf("image crop %d is out of range 0..size %d", p.Crop, p.Size)
	}
	return nil
}

// Load reads a picture file -> [side, side, 3] RGB bytes.
func (p Processor) Load(path string) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	img, err := Open(path, p.Alpha)
	if err != nil {
		return nil, err
	}
	out, err := p.Apply(img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// Apply resizes (and crops) a decoded picture -> [side, side, 3] RGB bytes.
func (p Processor) Apply(img RGB) ([]byte, error) {
	filter := p.Filter
	if filter.Weight == nil {
		filter = Bicubic
	}
	if p.Crop == 0 {
		return Resize(img, p.Size, p.Size, filter).Pix, nil
	}
	// As transformers' CLIPImageProcessor: the long side is truncated, not rounded.
	width, height := p.Size, p.Size
	if img.Width > img.Height {
		width = p.Size * img.Width / img.Height
	} else {
		height = p.Size * img.Height / img.Width
	}
	// A picture one pixel wide may be legal and its resized form is not.
	if err := checkSize(width, height); err != nil {
		return nil, fmt.Errorf("after resizing its shorter side to %d: %w", p.Size, err)
	}
	resized := Resize(img, width, height, filter)
	left, top := (width-p.Crop)/2, (height-p.Crop)/2
	out := make([]byte, 0, p.Crop*p.Crop*3)
	for y := top; y < top+p.Crop; y++ {
		out = append(out, resized.Pix[(y*width+left)*3:][:p.Crop*3]...)
	}
	return out, nil
}
