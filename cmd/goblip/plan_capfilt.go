package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"goblip/capfilt"
	"goblip/checkpoints"
	"goblip/models/blip"
	"goblip/train/plan"
)

// planCapfilt holds the flags of "goblip plan capfilt".
type planCapfilt struct {
	device              string
	captioners, filters []string
	pictures            int
	texts               capfilt.Texts
	asJSON              bool
}

// capfiltBatch is the rows of a batch in a run of any size.
const capfiltBatch = 64

// planCapfiltResult is printed by --json.
type planCapfiltResult struct {
	Device     string       `json:"device"`
	Pictures   int          `json:"pictures"`
	Work       capfilt.Work `json:"of_a_picture"`
	Encoding   float64      `json:"image_encoder_seconds"` // of one chip, a picture
	Writing    float64      `json:"writing_seconds"`
	Scoring    float64      `json:"scoring_seconds"`
	PerSecond  float64      `json:"pictures_per_second"` // of all chips
	Days       float64      `json:"days"`
	ChipHours  float64      `json:"chip_hours"`
	WritingBy  string       `json:"writing_bound"` // "compute" or "memory"
	Captioners []string     `json:"captioners"`
	Filters    []string     `json:"filters"`
}

func newPlanCapfiltCommand() *cobra.Command {
	p := &planCapfilt{}
	command := &cobra.Command{
		Use:   "capfilt --device KIND-COUNT --pictures N",
		Short: "Tell the arithmetic and time that cleaning a set needs",
		Long: `Tell what "goblip capfilt" needs for a number of pictures on accelerators that each clean a part: arithmetic of
image encoders, writing and scoring, the time of each, days and chip hours. The figures are counted from the models'
sizes, BLIP-large as captioner and BLIP-base as filter at 384 pixels unless told otherwise (config.json of BLIP folders).
Reading and decoding pictures is not in it: a picture of a photo's size takes about 10 ms of a processor core.`,
		Example: `  goblip plan capfilt --device h100x8 --pictures 100000000
  goblip plan capfilt --device v5e-16 --pictures 1000000 --captioner runs/captioner/final --filter runs/filter/final --captions 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	flags := command.Flags()
	flags.StringVar(&p.device, "device", "", "kind and number of chips: v5e-8, h100x8, ...")
	flags.IntVar(&p.pictures, "pictures", 0, "pictures of the source")
	flags.StringArrayVar(&p.captioners, "captioner", nil, "BLIP's folder or config.json, or \"base\" or \"large\" for the published sizes; may be repeated (not given: large)")
	flags.StringArrayVar(&p.filters, "filter", nil, "the same for filters (not given: base)")
	flags.IntVar(&p.texts.Each, "captions", 1, "texts that each captioner writes for a picture")
	flags.IntVar(&p.texts.Web, "texts", 1, "texts that come with a picture")
	flags.IntVar(&p.texts.Tokens, "tokens", 20, "tokens of a text")
	flags.BoolVar(&p.asJSON, "json", false, "print a line of JSON")
	requireFlags(command, "device", "pictures")
	return command
}

// published are the sizes of the BLIPs that its authors published, at 384 pixels.
func published(name string) (*blip.Config, bool) {
	c := blip.Default()
	c.Vision.ImageSize, c.Vision.PatchSize = 384, 16
	switch name {
	case "base":
	case "large":
		v := &c.Vision
		v.HiddenSize, v.NumHiddenLayers, v.NumAttentionHeads, v.IntermediateSize = 1024, 24, 16, 4096
	default:
		return nil, false
	}
	c.Text.EncoderHiddenSize = c.Vision.HiddenSize
	return &c, true
}

func blipSizes(names []string) ([]*blip.Config, error) {
	var out []*blip.Config
	for _, name := range names {
		if c, ok := published(name); ok {
			out = append(out, c)
			continue
		}
		path := name
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			path = filepath.Join(name, checkpoints.ConfigFile)
		}
		c := blip.Default()
		if err := checkpoints.ReadConfigFile(path, &c); err != nil {
			return nil, err
		}
		if c.ModelType != "blip" {
			return nil, fmt.Errorf("%s: model_type %q is not blip, whose cost alone is known", path, c.ModelType)
		}
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, &c)
	}
	return out, nil
}

func (p *planCapfilt) run(cmd *cobra.Command) error {
	slice, err := plan.ParseDevices(p.device)
	if err != nil {
		return usageError{err}
	}
	if p.pictures < 1 || p.texts.Each < 0 || p.texts.Web < 0 || p.texts.Tokens < 1 {
		return usagef("--pictures and --tokens must be 1 or more, --captions and --texts not negative")
	}
	r := planCapfiltResult{Device: slice.String(), Pictures: p.pictures, Captioners: p.captioners, Filters: p.filters}
	if p.texts.Each == 0 {
		r.Captioners = nil
	} else if len(r.Captioners) == 0 {
		r.Captioners = []string{"large"}
	}
	if len(r.Filters) == 0 {
		r.Filters = []string{"base"}
	}
	captioners, err := blipSizes(r.Captioners)
	if err != nil {
		return err
	}
	filters, err := blipSizes(r.Filters)
	if err != nil {
		return err
	}
	r.Work = capfilt.WorkOf(captioners, filters, p.texts, capfiltBatch)
	speed := slice.Chip.Peak("f32") * slice.Chip.MFU
	r.Encoding, r.Scoring = r.Work.Images/speed, r.Work.Scoring/speed
	r.Writing, r.WritingBy = r.Work.Writing/speed, "compute"
	if read := r.Work.Read / slice.Chip.Bandwidth; read > r.Writing {
		r.Writing, r.WritingBy = read, "memory"
	}
	one := r.Encoding + r.Writing + r.Scoring // seconds
	r.PerSecond = float64(slice.Count) / one
	r.ChipHours = float64(p.pictures) * one / 3600
	r.Days = r.ChipHours / 24 / float64(slice.Count)
	if p.asJSON {
		return writeJSON(cmd.OutOrStdout(), r)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `capfilt on %s, float32, %d pictures, captioners %v, filters %v
  a picture     %.3g flop of image encoders, %.3g of writing, %.3g of scoring; %s read for writing
  time, chip    encoders %s, writing %s (%s bound), scoring %s (compute at %.0f %% of the peak)
  all chips     %.0f pictures/s
  the run       %.2f days, %.0f chip hours
`, r.Device, r.Pictures, r.Captioners, r.Filters, r.Work.Images, r.Work.Writing, r.Work.Scoring, formatBytes(uint64(r.Work.Read)),
		milliseconds(r.Encoding), milliseconds(r.Writing), r.WritingBy, milliseconds(r.Scoring), 100*slice.Chip.MFU, r.PerSecond, r.Days, r.ChipHours)
	return err
}
