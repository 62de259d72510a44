package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/datasets/image/augment"
	"goblip/infer"
	"goblip/internal/pjrt"
)

// loaderTimes is what bench loader prints.
type loaderTimes struct {
	Images        int     `json:"images"` // loaded in all
	Seconds       float64 `json:"seconds"`
	ImagesSeconds float64 `json:"images_per_second"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	PeakMemory    uint64  `json:"peak_memory_bytes"`
}

func newBenchLoaderCommand() *cobra.Command {
	var source sourceFlags
	var size, batch, epochs int
	var how string
	var asJSON bool
	command := &cobra.Command{
		Use:   "loader --data DATA",
		Short: "Time how fast training pictures are read, decoded and augmented",
		Long: `Time how fast training pictures become batches on this machine: read, decoded, cropped at random, flipped
and resized, in the order of training, without a model. scripts/bench/loader compares it with PyTorch's
DataLoader over Pillow.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(source.names) == 0 {
				return usagef("--data is missing")
			}
			if batch < 1 || epochs < 1 {
				return usagef("--batch and --epochs must be at least 1")
			}
			set, err := source.open(func(format string, args ...any) { cmd.PrintErrf(format+"\n", args...) })
			if err != nil {
				return err
			}
			r, err := benchLoader(set, size, batch, epochs, how)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pictures in %.2f s: %.1f pictures/s, %.2f s of the processors, peak memory %s\n",
				r.Images, r.Seconds, r.ImagesSeconds, r.CPUSeconds, formatBytes(r.PeakMemory))
			return err
		},
	}
	source.register(command)
	flags := command.Flags()
	flags.IntVar(&size, "size", 224, "pixels a side")
	flags.IntVar(&batch, "batch", 64, "pictures a batch")
	flags.IntVar(&epochs, "epochs", 2, "how often the data are read; the first time is not counted if there are more")
	flags.StringVar(&how, "augment", "crop", "none, crop or randaugment")
	flags.BoolVar(&asJSON, "json", false, "print a line of JSON")
	return command
}

func benchLoader(set *datasets.Set, size, batch, epochs int, how string) (*loaderTimes, error) {
	pictures, err := infer.StreamPictures(set, image.Processor{Size: size, Alpha: image.AlphaWhite})
	if err != nil {
		return nil, err
	}
	policy, err := augment.Named(how, size, 0.5)
	if err != nil {
		return nil, usagef("--%v", err)
	}
	if policy != nil {
		if pictures, err = pictures.Augmented(*policy, 1); err != nil {
			return nil, err
		}
	}
	batch = min(batch, set.Len())
	perEpoch := set.Len() / batch
	warm := 0
	if epochs > 1 {
		warm = perEpoch
	}
	r := &loaderTimes{Images: (epochs*perEpoch - warm) * batch}
	began, spent := time.Now(), pjrt.ProcessorTime()
	var order []int
	for i := range epochs * perEpoch {
		if i == warm {
			began, spent = time.Now(), pjrt.ProcessorTime()
		}
		epoch := i / perEpoch
		if i%perEpoch == 0 {
			order = set.Order(1, epoch)
		}
		rows := order[i%perEpoch*batch:][:batch]
		pixels, err := pictures.LoadAt(rows, epoch)
		if err != nil {
			return nil, err
		}
		if err := tensors.FromFlatDataAndDimensions(pixels, batch, size, size, 3).FinalizeAll(); err != nil {
			return nil, err
		}
	}
	r.Seconds, r.CPUSeconds = time.Since(began).Seconds(), pjrt.ProcessorTime()-spent
	r.ImagesSeconds, r.PeakMemory = float64(r.Images)/r.Seconds, pjrt.PeakMemory()
	return r, nil
}
