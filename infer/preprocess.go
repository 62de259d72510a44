package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets/image"
	"goblip/internal/bounded"
)

// Files of a model folder that say how pictures become pixel values: transformers 5 keeps it in
// ProcessorFile, under "image_processor", and reads the other file where that key is missing.
const (
	PreprocessorFile = "preprocessor_config.json"
	ProcessorFile    = "processor_config.json"
)

// maxProcessorBytes bounds those files; published ones have less than a kilobyte.
const maxProcessorBytes = 1 << 20

// preprocessor is such a file as transformers' image processors write it, and what they do not know.
type preprocessor struct {
	Type          string         `json:"image_processor_type"`
	DoConvertRGB  bool           `json:"do_convert_rgb"`
	DoResize      bool           `json:"do_resize"`
	DoCenterCrop  bool           `json:"do_center_crop"`
	DoRescale     bool           `json:"do_rescale"`
	DoNormalize   bool           `json:"do_normalize"`
	Size          map[string]int `json:"size"`
	CropSize      map[string]int `json:"crop_size,omitempty"`
	Resample      int            `json:"resample"` // Pillow's number of the filter
	RescaleFactor float64        `json:"rescale_factor"`
	Mean          [3]float64     `json:"image_mean"`
	Std           [3]float64     `json:"image_std"`

	// Alpha is "white" or "drop": what becomes of transparent pixels. Ours alone.
	Alpha string `json:"alpha"`
}

// PreprocessorConfig is the content of PreprocessorFile for a model that was trained on these pictures.
func PreprocessorConfig(p *Pictures) ([]byte, error) {
	c := p.Processor
	mean, std := c.Statistics()
	file := preprocessor{
		Type: "BlipImageProcessor", DoConvertRGB: true, DoResize: c.Fit != image.FitNone, DoRescale: true, DoNormalize: true,
		Size: map[string]int{"height": c.Size, "width": c.Size}, Resample: c.Filter.Number(), RescaleFactor: 1.0 / 255,
		Mean: shorter(mean), Std: shorter(std), Alpha: c.Alpha.String(),
	}
	if c.Crop > 0 {
		file.Type, file.DoCenterCrop, file.CropSize = "CLIPImageProcessor", true, map[string]int{"height": c.Crop, "width": c.Crop}
	}
	if c.Fit == image.FitShorter || c.Fit == image.FitUsual && c.Crop > 0 {
		file.Type, file.Size = "CLIPImageProcessor", map[string]int{"shortest_edge": c.Size}
	}
	return json.MarshalIndent(file, "", "  ")
}

// shorter writes numbers that come from float32 with the digits that those need.
func shorter(v [3]float64) [3]float64 {
	for i, x := range v {
		if float64(float32(x)) == x {
			v[i], _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64)
		}
	}
	return v
}

// ImageProcessor is how pictures must be prepared for the image tower of a model folder, by its
// processor file: resized, cropped and normalized as that says. Transparent ones are laid on white, as
// people see them and transformers 5 does, unless the file has "alpha": "drop", BLIP's own way. A folder
// without such a file gets the square of its tower. The weights need not be there.
func ImageProcessor(dir string) (image.Processor, error) {
	var none image.Processor
	cfg, _, err := visionOf(dir)
	if err != nil {
		return none, err
	}
	path, fields, err := processorFields(dir)
	if err != nil {
		return none, err
	}
	if fields == nil {
		return image.Processor{Size: cfg.ImageSize, Alpha: image.AlphaWhite}, nil
	}
	p, err := readProcessor(fields, cfg.ImageSize)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// processorFields finds the image processor's file of a folder and its fields; none if there is no file.
func processorFields(dir string) (path string, fields map[string]json.RawMessage, err error) {
	for _, name := range []string{ProcessorFile, PreprocessorFile} {
		path = filepath.Join(dir, name)
		data, err := bounded.ReadFile(path, maxProcessorBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return path, nil, err
		}
		fields = nil
		if err := json.Unmarshal(data, &fields); err != nil {
			return path, nil, fmt.Errorf("%s: %w", path, err)
		}
		if name == PreprocessorFile {
			return path, fields, nil
		}
		nested, ok := fields["image_processor"]
		if !ok {
			continue
		}
		fields = nil
		if err := json.Unmarshal(nested, &fields); err != nil {
			return path, nil, fmt.Errorf("%s: image_processor: %w", path, err)
		}
		if fields != nil {
			return path, fields, nil
		}
	}
	return "", nil, nil
}

// unheard are fields that change nothing: names of classes, how arrays lie in memory, and padding to
// the largest picture of a batch, for all have one size. BLIP's first files have do_pad and size_divisor.
var unheard = strings.Fields(`processor_class _processor_class auto_map data_format input_data_format return_tensors device
	disable_grouping image_seq_length _valid_processor_keys _valid_kwargs_names size_divisor do_pad`)

// isCLIP are the known types of image processors without what transformers appends ("Fast", "Pil"), by
// whether a size of one number is that of the shorter side, and pictures are cropped.
var isCLIP = map[string]bool{"BlipImageProcessor": false, "BlipFeatureExtractor": false, "CLIPImageProcessor": true, "CLIPFeatureExtractor": true}

// readProcessor reads the fields of an image processor for a tower of the given side. Fields that are
// missing or null are the defaults of its class in transformers, but for the size, which is the tower's.
func readProcessor(fields map[string]json.RawMessage, side int) (p image.Processor, err error) {
	f := processorReader{fields: maps.Clone(fields)}
	maps.DeleteFunc(f.fields, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	clip := f.isCLIP()
	p.Alpha = image.AlphaWhite
	if name := ""; f.take("alpha", &name) {
		p.Alpha, err = image.ParseAlpha(name)
		f.fail(err)
	}
	if !f.flag("do_convert_rgb", true) {
		f.fail(errors.New("do_convert_rgb is false: the model sees three colours, so every picture becomes RGB"))
	}
	resample := image.Bicubic.Number()
	f.take("resample", &resample)
	p.Filter, err = image.FilterNumber(resample)
	f.fail(err)
	resize := f.flag("do_resize", true)
	p.Size, p.Fit = f.size(clip, side)
	if !resize {
		p.Fit, p.Size = image.FitNone, side
	}
	crop := f.cropSize(side)
	if f.flag("do_center_crop", clip) {
		p.Crop = crop
	}
	p.Mean, p.Std = f.statistics()
	if string(f.fields["do_pad"]) != "true" {
		delete(f.fields, "pad_size")
	}
	f.rest()
	if f.err == nil {
		f.err = p.Validate()
	}
	if f.err == nil && p.Side() != side {
		f.err = fmt.Errorf("pictures become %d x %d pixels, the model's image tower takes %d x %d", p.Side(), p.Side(), side, side)
	}
	return p, f.err
}

// processorReader takes fields out of a file, and keeps the first error.
type processorReader struct {
	fields map[string]json.RawMessage
	err    error
}

func (f *processorReader) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// take reads a field, if it is there.
func (f *processorReader) take(name string, into any) bool {
	raw, ok := f.fields[name]
	delete(f.fields, name)
	if !ok {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		f.fail(fmt.Errorf("%s: %w", name, err))
		return false
	}
	return true
}

// flag reads a switch.
func (f *processorReader) flag(name string, otherwise bool) bool {
	f.take(name, &otherwise)
	return otherwise
}

// isCLIP reads the class, under its new or old name; a file without one is BLIP's if it does not crop.
func (f *processorReader) isCLIP() bool {
	for _, key := range []string{"image_processor_type", "feature_extractor_type"} {
		name := ""
		if !f.take(key, &name) {
			continue
		}
		clip, known := isCLIP[strings.TrimSuffix(strings.TrimSuffix(name, "Fast"), "Pil")]
		if !known {
			f.fail(fmt.Errorf("%s %q is not known (%s)", key, name, strings.Join(slices.Sorted(maps.Keys(isCLIP)), ", ")))
		}
		delete(f.fields, "feature_extractor_type") // an old name beside the new one
		return clip
	}
	return f.fields["do_center_crop"] != nil || f.fields["crop_size"] != nil
}

// size reads "size": a number, [height, width], {"height", "width"} or {"shortest_edge"}.
func (f *processorReader) size(clip bool, side int) (int, image.Fit) {
	square := !clip
	f.take("default_to_square", &square)
	one := image.FitShorter
	if square {
		one = image.FitBoth
	}
	raw, ok := f.fields["size"]
	delete(f.fields, "size")
	if !ok {
		return side, one
	}
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return n, one
	}
	if n, ok := f.square("size", raw); ok {
		return n, image.FitBoth
	}
	var sides map[string]int
	if json.Unmarshal(raw, &sides) == nil && len(sides) == 1 && sides["shortest_edge"] != 0 {
		return sides["shortest_edge"], image.FitShorter
	}
	f.fail(fmt.Errorf("size %s is not a number, {height, width} or {shortest_edge}", raw))
	return side, one
}

// cropSize reads "crop_size": a number, [height, width] or {"height", "width"}.
func (f *processorReader) cropSize(side int) int {
	raw, ok := f.fields["crop_size"]
	delete(f.fields, "crop_size")
	if !ok {
		return side
	}
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return n
	}
	n, ok = f.square("crop_size", raw)
	if !ok {
		f.fail(fmt.Errorf("crop_size %s is not a number or {height, width}", raw))
	}
	return n
}

// square reads two sides, which must be equal: image towers take squares.
func (f *processorReader) square(name string, raw json.RawMessage) (int, bool) {
	var list []int
	var sides map[string]int
	if json.Unmarshal(raw, &sides) == nil {
		_, height := sides["height"]
		_, width := sides["width"]
		if len(sides) != 2 || !height || !width {
			return 0, false
		}
		list = []int{sides["height"], sides["width"]}
	} else if json.Unmarshal(raw, &list) != nil || len(list) != 2 {
		return 0, false
	}
	if list[0] != list[1] {
		f.fail(fmt.Errorf("%s: %d x %d pixels, but the model's image tower takes squares", name, list[1], list[0]))
	}
	return list[0], true
}

// statistics reads how bytes become numbers: (byte*rescale_factor - image_mean) / image_std, as the
// mean and std of byte/255; zeros for CLIP's own.
func (f *processorReader) statistics() (mean, std [3]float64) {
	factor, clip := 1.0/255, image.Processor{}
	f.take("rescale_factor", &factor)
	if !f.flag("do_rescale", true) {
		factor = 1
	}
	if factor == 0 || factor-factor != 0 {
		f.fail(fmt.Errorf("rescale_factor is %g", factor))
	}
	mean, std = clip.Statistics()
	mean, std = f.channels("image_mean", mean), f.channels("image_std", std)
	if !f.flag("do_normalize", true) {
		mean, std = [3]float64{}, [3]float64{1, 1, 1}
	}
	for c := range 3 {
		if std[c] == 0 {
			f.fail(errors.New("image_std has a zero"))
		}
		mean[c], std[c] = mean[c]/(255*factor), std[c]/(255*factor)
	}
	if same := image.Mean == [3]float32{float32(mean[0]), float32(mean[1]), float32(mean[2])}; same &&
		image.Std == [3]float32{float32(std[0]), float32(std[1]), float32(std[2])} {
		return [3]float64{}, [3]float64{}
	}
	return mean, std
}

// channels reads a number for all channels, or one for each.
func (f *processorReader) channels(name string, otherwise [3]float64) [3]float64 {
	raw, ok := f.fields[name]
	delete(f.fields, name)
	if !ok {
		return otherwise
	}
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return [3]float64{one, one, one}
	}
	var list []float64
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 3 {
		f.fail(fmt.Errorf("%s %s is not a number or three of them", name, raw))
		return otherwise
	}
	return [3]float64(list)
}

// rest refuses fields that nobody read, unless they change nothing or are switched off.
func (f *processorReader) rest() {
	for _, name := range slices.Sorted(maps.Keys(f.fields)) {
		if value := string(f.fields[name]); !slices.Contains(unheard, name) && value != "false" {
			f.fail(fmt.Errorf("field %q (%.60s) is not known: it may change pictures", name, value))
		}
	}
}
