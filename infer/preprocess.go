package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"goblip/checkpoints"
	"goblip/datasets/image"
)

// PreprocessorFile of a model folder says how pictures become pixel values.
const PreprocessorFile = "preprocessor_config.json"

// preprocessor is that file as transformers' BlipImageProcessor reads it, and what it does not know.
type preprocessor struct {
	Type          string         `json:"image_processor_type"`
	DoConvertRGB  bool           `json:"do_convert_rgb"`
	DoResize      bool           `json:"do_resize"`
	DoRescale     bool           `json:"do_rescale"`
	DoNormalize   bool           `json:"do_normalize"`
	Size          map[string]int `json:"size"`
	Resample      int            `json:"resample"` // Pillow's number of bicubic
	RescaleFactor float64        `json:"rescale_factor"`
	Mean          [3]float32     `json:"image_mean"`
	Std           [3]float32     `json:"image_std"`

	// Alpha is "white" or "drop": what becomes of transparent pixels. Ours alone.
	Alpha string `json:"alpha"`
}

// PreprocessorConfig is the content of PreprocessorFile for a model that was trained on these pictures.
func PreprocessorConfig(p *Pictures) ([]byte, error) {
	const bicubic = 3
	return json.MarshalIndent(preprocessor{
		Type: "BlipImageProcessor", DoConvertRGB: true, DoResize: true, DoRescale: true, DoNormalize: true,
		Size: map[string]int{"height": p.Side, "width": p.Side}, Resample: bicubic, RescaleFactor: 1.0 / 255,
		Mean: image.Mean, Std: image.Std, Alpha: p.Alpha.String(),
	}, "", "  ")
}

// ImageProcessor is how pictures must be prepared for the image tower of a model folder. Transparent
// ones are laid on white, as people see them, unless the folder's preprocessor_config.json has
// "alpha": "drop", BLIP's own way.
func ImageProcessor(dir string) (image.Processor, error) {
	p := image.Processor{Alpha: image.AlphaWhite}
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return p, err
	}
	defer folder.Close()
	cfg, _, err := visionOf(folder)
	if err != nil {
		return p, err
	}
	p.Size = cfg.ImageSize
	path := filepath.Join(dir, PreprocessorFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	var file struct {
		Alpha string `json:"alpha"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	if file.Alpha != "" {
		if p.Alpha, err = image.ParseAlpha(file.Alpha); err != nil {
			return p, fmt.Errorf("%s: %w", path, err)
		}
	}
	return p, nil
}
