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

// Fit says which sides of a picture become Processor.Size.
type Fit int

const (
	// FitUsual is FitBoth without a crop, as BLIP has it, and FitShorter with one, as CLIP does.
	FitUsual Fit = iota
	// FitBoth gives up the aspect ratio.
	FitBoth
	// FitShorter keeps it: the shorter side becomes Size.
	FitShorter
	// FitNone resizes nothing.
	FitNone
)

// Processor is how a picture becomes a square of pixels, and their bytes a model's numbers.
//
// BLIP: Size x Size, whatever the aspect ratio. CLIP: with Crop set, the
// shorter side becomes Size and the middle Crop x Crop is kept; a crop larger
// than the picture is black around it, as in transformers.
type Processor struct {
	Size    int    // pixels
	Crop    int    // pixels; 0: no crop
	Fit     Fit    // zero value: FitUsual
	Filter  Filter // zero value: Bicubic
	Alpha   Alpha  // zero value: AlphaDrop
	Upright bool   // see Options

	// A model sees (byte/255 - Mean) / Std, by channel; Std of zeros stands for CLIP's statistics.
	Mean, Std [3]float64
}

// Side is the side of the result in pixels.
func (p Processor) Side() int {
	if p.Crop > 0 {
		return p.Crop
	}
	return p.Size
}

// Statistics are Mean and Std, or CLIP's where there are none.
func (p Processor) Statistics() (mean, std [3]float64) {
	if p.Std != [3]float64{} {
		return p.Mean, p.Std
	}
	for c := range 3 {
		mean[c], std[c] = float64(Mean[c]), float64(Std[c])
	}
	return mean, std
}

// Validate reports sizes no picture can be brought to.
func (p Processor) Validate() error {
	if p.Size < 1 || p.Size > MaxSide {
		return fmt.Errorf("image size %d is out of range 1..%d", p.Size, MaxSide)
	}
	if p.Crop < 0 || p.Crop > MaxSide {
		return fmt.Errorf("image crop %d is out of range 0..%d", p.Crop, MaxSide)
	}
	if p.Std != [3]float64{} {
		for c, std := range p.Std {
			if std == 0 || std-std != 0 || p.Mean[c]-p.Mean[c] != 0 { // or not finite
				return fmt.Errorf("mean %v and std %v of pixels: no picture can be normalized with these", p.Mean, p.Std)
			}
		}
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
	if width, height := p.resized(img); p.Crop == 0 && (width != p.Size || height != p.Size) {
		return nil, fmt.Errorf("%s: a picture of %d x %d pixels becomes %d x %d, the model takes %d x %d: its processor does not bring every picture to that",
			path, img.Width, img.Height, width, height, p.Size, p.Size)
	}
	return p.Apply(img), nil
}

// Resolved is Fit, or what FitUsual stands for.
func (p Processor) Resolved() Fit {
	switch {
	case p.Fit != FitUsual:
		return p.Fit
	case p.Crop > 0:
		return FitShorter
	}
	return FitBoth
}

// resized is the size of a picture before the crop.
func (p Processor) resized(img RGB) (width, height int) {
	fit := p.Resolved()
	switch {
	case fit == FitNone:
		return img.Width, img.Height
	case fit == FitBoth:
		return p.Size, p.Size
	case img.Width > img.Height:
		// As transformers' CLIPImageProcessor: the long side is truncated, not rounded.
		return p.Size * img.Width / img.Height, p.Size
	}
	return p.Size, p.Size * img.Height / img.Width
}

// Apply resizes (and crops) a decoded picture -> [side, side, 3] RGB bytes, but for pictures that
// without a crop keep another size, which Load refuses.
func (p Processor) Apply(img RGB) []byte {
	filter := p.Filter
	if filter.Weight == nil {
		filter = Bicubic
	}
	width, height := p.resized(img)
	if p.Crop == 0 {
		return Resize(img, width, height, filter).Pix
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

// PixelValues normalizes one picture's bytes: u8 [side, side, 3] -> out [3, side, side].
func (p Processor) PixelValues(u8 []byte, out []float32) {
	mean, std := p.Statistics()
	n := len(u8) / 3
	for c := range 3 {
		var table [256]float32
		for v := range table {
			table[v] = float32((float64(v)/255 - mean[c]) / std[c])
		}
		plane := out[c*n:][:n]
		for i := range plane {
			plane[i] = table[u8[3*i+c]]
		}
	}
}
