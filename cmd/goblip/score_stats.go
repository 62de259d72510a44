package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"goblip/eval"
)

// scoreOptions are the flags that all "score" commands have.
type scoreOptions struct {
	resamples      int
	seed           uint64
	against, slice string
	json           bool
}

// show checks the options, scores and prints the report, as JSON where that is asked for.
func show[R interface {
	print(out io.Writer, metrics []metric) error
}](command *cobra.Command, o *scoreOptions, score func() (R, []metric, error)) error {
	if err := o.check(); err != nil {
		return err
	}
	report, metrics, err := score()
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(command.OutOrStdout(), report)
	}
	return report.print(command.OutOrStdout(), metrics)
}

func (o *scoreOptions) flags(command *cobra.Command, results, slices string) {
	flags := command.Flags()
	flags.BoolVar(&o.json, "json", false, "print JSON, with the scores of each image or question")
	flags.IntVar(&o.resamples, "bootstrap", 0, "add 95 % confidence intervals from this many resamples of the images (1000 is plenty)")
	flags.Uint64Var(&o.seed, "seed", 1, "of the resamples")
	flags.StringVar(&o.against, "against", "", "another file of "+results+" for the same images: how the two differ, by paired bootstrap")
	flags.StringVar(&o.slice, "slice", "", "also score the images or questions apart by the value of this field of "+slices)
}

func (o *scoreOptions) check() error {
	if o.resamples < 0 || o.resamples > 1_000_000 {
		return usagef("--bootstrap %d: must be from 0 to 1000000", o.resamples)
	}
	if o.against != "" && o.resamples == 0 {
		o.resamples = 1000
	}
	return nil
}

// metric is a figure of a set of images that can be drawn again.
type metric struct {
	name string
	of   eval.Statistic
}

// statistics are what a scored file may have beside its scores.
type statistics struct {
	Intervals map[string]eval.Interval `json:"intervals,omitempty"`
	Against   *comparison              `json:"against,omitempty"`
}

type comparison struct {
	File    string                 `json:"file"`
	Metrics map[string]eval.Paired `json:"metrics"` // this file minus that one
}

// statistics of the metrics of n images, and where there is another file, of that file's.
func (o *scoreOptions) statistics(n int, metrics, others []metric) (s statistics, err error) {
	if o.resamples == 0 {
		return s, nil
	}
	s.Intervals = map[string]eval.Interval{}
	for _, m := range metrics {
		s.Intervals[m.name] = eval.BootstrapOf(n, m.of, o.resamples, o.seed)
	}
	if others == nil {
		return s, nil
	}
	s.Against = &comparison{File: o.against, Metrics: map[string]eval.Paired{}}
	for i, m := range metrics {
		if s.Against.Metrics[m.name], err = eval.PairedBootstrap(n, m.of, others[i].of, o.resamples, o.seed); err != nil {
			return s, err
		}
	}
	return s, nil
}

// print writes a table of metrics with all that was computed of them.
func (s *statistics) print(out io.Writer, metrics []metric, format string) error {
	width := 12
	for _, m := range metrics {
		width = max(width, len(m.name))
	}
	for _, m := range metrics {
		line := fmt.Sprintf("%-*s"+format, width+2, m.name, m.of(nil))
		if i, ok := s.Intervals[m.name]; ok {
			line += fmt.Sprintf("  ["+format+", "+format+"]", i.Low, i.High)
		}
		if s.Against != nil {
			d := s.Against.Metrics[m.name]
			line += fmt.Sprintf("  difference "+format+" ["+format+", "+format+"], p %.4f", d.Difference, d.Low, d.High, d.P)
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
