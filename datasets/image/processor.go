package image

import "fmt"

// Mean and Std are CLIP's channel statistics, which BLIP and BLIP-2 use too: a
// model sees (byte/255 - Mean) / Std.
var (
	Mean = [3]float32{0.48145466, 0.4578275, 0.40821073}
	Std  = [3]float32{0.26862954, 0.26130258, 0.27577711}
)

// MaxSide bounds the side of what models see; 2048 is the largest in use.
const MaxSide = 4096

// Processor is how a picture becomes a square of pixels.
//
// BLIP: Size x Size, whatever the aspect ratio. CLIP: with Crop set, the
// shorter side becomes Size and the middle Crop x Crop is kept; a crop larger
// than the picture is black around it, as in transformers.
type Processor struct {
	Size    int    // pixels
	Crop    int    // pixels; 0: no crop
	Filter  Filter // zero value: Bicubic
	Alpha   Alpha  // zero value: AlphaDrop
	Upright bool   // see Options
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
	if p.Size < 1 || p.Size > MaxSide {
		return fmt.Errorf("image size %d is out of range 1..%d", p.Size, MaxSide)
	}
	if p.Crop < 0 || p.Crop > MaxSide {
		return fmt.Errorf("image crop %d is out of range 0..%d", p.Crop, MaxSide)
	}
	return nil
}

// Options are how a picture must be decoded for Apply.
func (p Processor) Options() Options { return Options{Alpha: p.Alpha, Upright: p.Upright} }

// Load reads a picture file -> [side, side, 3] RGB bytes.
func (p Processor) Load(path string) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	img, err := Open(path, p.Options())
	if err != nil {
		return nil, err
	}
	return p.Apply(img), nil
}

// Apply resizes (and crops) a decoded picture -> [side, side, 3] RGB bytes.
func (p Processor) Apply(img RGB) []byte {
	filter := p.Filter
	if filter.Weight == nil {
		filter = Bicubic
	}
	if p.Crop == 0 {
		return Resize(img, p.Size, p.Size, filter).Pix
	}
	// As transformers' CLIPImageProcessor: the long side is truncated, not rounded.
	width, height := p.Size, p.Size
	if img.Width > img.Height {
		width = p.Size * img.Width / img.Height
	} else {
		height = p.Size * img.Height / img.Width
	}
	// The middle, rounded down; a crop may reach over the border.
	left, top := (width-p.Crop)>>1, (height-p.Crop)>>1
	columns := span{max(left, 0), min(left+p.Crop, width)}
	rows := span{max(top, 0), min(top+p.Crop, height)}
	part := resizePart(img, width, height, columns, rows, filter)
	if part.Width == p.Crop && part.Height == p.Crop {
		return part.Pix
	}
	out := make([]byte, p.Crop*p.Crop*3)
	for y := range part.Height {
		to := (rows.first-top+y)*p.Crop + columns.first - left
		copy(out[3*to:], part.Pix[3*y*part.Width:][:3*part.Width])
	}
	return out
}

// normalized is what a byte of each channel becomes.
var normalized = func() (table [3][256]float32) {
	for c := range table {
		for v := range table[c] {
			table[c][v] = float32((float64(v)/255 - float64(Mean[c])) / float64(Std[c]))
		}
	}
	return table
}()

// PixelValues normalizes one picture's bytes: u8 [side, side, 3] -> out [3, side, side].
func PixelValues(u8 []byte, out []float32) {
	n := len(u8) / 3
	for c := range 3 {
		plane, table := out[c*n:][:n], &normalized[c]
		for i := range plane {
			plane[i] = table[u8[3*i+c]]
		}
	}
}
