package main

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/infer"
)

// preprocessOptions are the flags of preprocess.
type preprocessOptions struct {
	size, crop            int
	kind, alpha, resample string
	model                 string // folder with a processor file that makes the choices
	exif                  bool
	output                string
}

// processor checks the flags.
func (o *preprocessOptions) processor(cmd *cobra.Command) (p image.Processor, err error) {
	changed := cmd.Flags().Changed
	if o.model != "" {
		for _, flag := range []string{"size", "kind", "crop", "alpha", "resample"} {
			if changed(flag) {
				return p, usagef("--%s: the file that --processor names says that", flag)
			}
		}
		dir, err := modelFolder(cmd, o.model, false)
		if err != nil {
			return p, err
		}
		p, err = infer.ImageProcessor(dir)
		p.Upright = o.exif
		return p, err
	}
	if !changed("size") {
		return p, usagef("give --size or --processor")
	}
	p = image.Processor{Size: o.size, Crop: o.crop, Upright: o.exif}
	switch o.kind {
	case "blip":
		if o.crop != 0 {
			return p, usagef("--crop %d: only --kind clip crops", o.crop)
		}
	case "clip":
		if o.crop == 0 {
			p.Crop = o.size
		}
	default:
		return p, usagef("--kind %q is not blip or clip", o.kind)
	}
	switch o.resample {
	case image.Bicubic.Name:
		p.Filter = image.Bicubic
	case image.Bilinear.Name:
		p.Filter = image.Bilinear
	default:
		return p, usagef("--resample %q is not bicubic or bilinear", o.resample)
	}
	if p.Alpha, err = image.ParseAlpha(o.alpha); err != nil {
		return p, usagef("--%w", err)
	}
	if err := p.Validate(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}

// maxPreprocessBytes bounds what is held in memory until it is written.
const maxPreprocessBytes = 8 << 30

// preprocess writes u8 [images, height, width, 3] and pixel_values [images, 3, height, width].
func preprocess(set *datasets.Set, p image.Processor, output string, progress func(done, total int)) error {
	images, side := len(set.Records), p.Side()
	values := side * side * 3 // of an image, a byte and a float32 each
	if need := int64(images) * int64(values) * 5; need > maxPreprocessBytes {
		return fmt.Errorf("%d pictures of %d pixels a side need %d GiB, more than %d: take fewer at a time", images, side, need>>30, maxPreprocessBytes>>30)
	}
	u8, err := set.LoadPixels(p, progress)
	if err != nil {
		return err
	}
	normalized := make([]float32, len(u8))
	for i := range images {
		p.PixelValues(u8[i*values:][:values], normalized[i*values:][:values])
	}
	return checkpoints.Write(output, []checkpoints.Named{
		{Name: "u8", Tensor: tensors.FromFlatDataAndDimensions(u8, images, side, side, 3)},
		{Name: "pixel_values", Tensor: tensors.FromFlatDataAndDimensions(normalized, images, 3, side, side)},
	}, nil)
}

func newPreprocessCommand() *cobra.Command {
	var o preprocessOptions
	var asJSON bool
	command := &cobra.Command{
		Use:   "preprocess (--size N | --processor DIR) PICTURE... --output OUT.safetensors",
		Short: "Write what a model sees of pictures",
		Long: `Write what a model sees of pictures to a safetensors file, one row a picture in the order given
(a folder stands for the pictures in it):

  u8            uint8    [images, height, width, 3]   resized, and cropped if asked to
  pixel_values  float32  [images, 3, height, width]   (u8 / 255 - mean) / std, with CLIP's mean and std

--processor follows the processor file of a model folder (preprocessor_config.json or
processor_config.json), its mean and std too.

--kind blip brings every picture to N x N, whatever its aspect ratio; --kind clip brings its shorter
side to N and keeps the middle. Resampling is Pillow's, to the last bit.

Transparent pictures are laid on white, as transformers 5 does; --alpha drop keeps the colours under
transparent pixels, as LAVIS and transformers 4 do. A photo's EXIF orientation is left alone, as
Image.open leaves it and as models were trained; --exif turns it upright, as transformers'
load_image and pipelines do.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := o.processor(cmd)
			if err != nil {
				return err
			}
			set, err := picturesOf(args)
			if err != nil {
				return err
			}
			if len(set.Records) == 0 {
				return fmt.Errorf("%s: no pictures", set.Name)
			}
			bar := barFor("reading pictures", len(set.Records), asJSON || len(set.Records) < 100)
			if err := preprocess(set, p, o.output, bar.Update); err != nil {
				return err
			}
			bar.Done()
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"output": o.output, "images": len(set.Records), "side": p.Side()})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d pictures of %d x %d pixels\n", o.output, len(set.Records), p.Side(), p.Side())
			return nil
		},
	}
	flags := command.Flags()
	flags.IntVar(&o.size, "size", 0, "side in pixels; the shorter one with --kind clip")
	flags.StringVar(&o.model, "processor", "", "model folder, or a model of the Hugging Face hub, whose processor file to follow")
	flags.StringVar(&o.output, "output", "", "the .safetensors file to write")
	flags.StringVar(&o.kind, "kind", "blip", "blip or clip")
	flags.IntVar(&o.crop, "crop", 0, "side of the middle that --kind clip keeps; 0: --size")
	flags.StringVar(&o.alpha, "alpha", image.AlphaWhite.String(), "transparent pixels: white or drop")
	flags.BoolVar(&o.exif, "exif", false, "turn pictures as their EXIF orientation says")
	flags.StringVar(&o.resample, "resample", image.Bicubic.Name, "bicubic or bilinear")
	flags.BoolVar(&asJSON, "json", false, "print a JSON object when done")
	requireFlags(command, "output")
	return command
}
