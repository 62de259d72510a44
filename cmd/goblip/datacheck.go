package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/eval/report"
	"goblip/train/runlog"
)

// finding is one of them as --json prints it.
type finding struct {
	Kind   string `json:"kind"`
	Where  string `json:"where"`
	What   string `json:"what"`
	Record int    `json:"record"`
	Other  *int   `json:"other,omitempty"` // the record it is the same as
}

func newDataCheckCommand() *cobra.Command {
	var asJSON bool
	var data sourceFlags
	var against, page string
	o := datasets.DefaultCheck()
	command := &cobra.Command{
		Use:   "check SOURCE",
		Short: "Read a data set as training will and list everything that is wrong with it",
		Long: `Read a data set as training will and list everything that is wrong with it: records that cannot be
understood, pictures that are missing, damaged, tiny, absurdly large, the same as another or nearly
so, texts that are empty, very long or repeated, questions without an answer, repeated ids. The exit
status is 1 if there is anything. --against names a test set, whose pictures must not be in this one.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := data.source(args[0])
			if err != nil {
				return err
			}
			if against != "" {
				if o.Against, err = data.source(against); err != nil {
					return err
				}
			}
			bar := runlog.Progress("checking", 0)
			o.Progress = bar.Update
			checked, err := datasets.Check(source, o)
			if err != nil {
				return err
			}
			bar.Done()
			if strings.HasSuffix(args[0], datasets.ManifestFile) {
				if err := verify(args[0], checked); err != nil {
					return err
				}
			}
			if page != "" {
				if err := writeCheckReport(page, args[0], source, o.Against, checked); err != nil {
					return err
				}
			}
			if asJSON {
				err = printChecked(cmd.OutOrStdout(), args[0], checked)
			} else {
				for _, f := range checked.Findings {
					fmt.Fprintln(cmd.OutOrStdout(), f)
				}
			}
			if err != nil {
				return err
			}
			total := 0
			for _, n := range checked.Counts {
				total += n
			}
			switch {
			case total == 1:
				return errors.New("1 problem found")
			case total > 1:
				return fmt.Errorf("%d problems found", total)
			case !asJSON:
				fmt.Fprintf(cmd.OutOrStdout(), "%s: no problems\n", args[0])
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&against, "against", "", "a test set: report pictures of it that are in this one")
	flags.StringVar(&page, "report", "", "write an HTML page with the pictures to this file")
	flags.IntVar(&o.MinSide, "min-side", o.MinSide, "pixels; pictures with a shorter side are tiny")
	flags.IntVar(&o.MaxSide, "max-side", o.MaxSide, "pixels; pictures with a longer side are too large")
	flags.IntVar(&o.MaxWords, "max-words", o.MaxWords, "longer texts are reported")
	flags.IntVar(&o.Distance, "similar", o.Distance, "bits of 128 in which the looks of similar pictures may differ; -1: do not look")
	data.registerReading(command)
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// verify adds the shards that differ from the manifest.
func verify(manifest string, c *datasets.Checked) error {
	problems, err := datasets.Verify(manifest, nil)
	for _, p := range problems {
		c.Findings = append(c.Findings, datasets.Finding{Problem: p, Kind: datasets.KindShard, Record: -1, Other: -1})
		c.Counts[datasets.KindShard]++
	}
	return err
}

func printChecked(out io.Writer, path string, c *datasets.Checked) error {
	list := make([]finding, 0, len(c.Findings))
	for _, f := range c.Findings {
		one := finding{Kind: string(f.Kind), Where: f.Where, What: f.What, Record: f.Record}
		if f.Other >= 0 {
			one.Other = &f.Other
		}
		list = append(list, one)
	}
	return writeJSON(out, map[string]any{"path": path, "records": c.Records, "counts": c.Counts, "problems": list})
}

// kindsByCount lists the kinds, the most frequent first.
func kindsByCount(c *datasets.Checked) []datasets.Kind {
	var kinds []datasets.Kind
	for kind := range c.Counts {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b datasets.Kind) int {
		if c.Counts[a] != c.Counts[b] {
			return c.Counts[b] - c.Counts[a]
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	return kinds
}

// shownFindings is how many of a kind the page shows.
const shownFindings = 24

// writeCheckReport shows the findings with their pictures.
func writeCheckReport(page, name string, source, against datasets.Source, c *datasets.Checked) error {
	f := report.Findings{Title: "Data check", Summary: name}
	f.Headlines = append(f.Headlines, report.Headline{Label: "records", Value: fmt.Sprint(c.Records)})
	for _, kind := range kindsByCount(c) {
		group := report.FindingGroup{Kind: string(kind), Count: c.Counts[kind]}
		for _, found := range c.Findings {
			if found.Kind != kind || len(group.Items) == shownFindings {
				continue
			}
			item := report.FindingItem{Where: found.Where, What: found.What, Picture: thumbnail(source, found.Record)}
			switch {
			case found.Other < 0:
			case kind == datasets.KindLeak:
				item.Other = thumbnail(against, found.Other)
			default:
				item.Other = thumbnail(source, found.Other)
			}
			group.Items = append(group.Items, item)
		}
		f.Groups = append(f.Groups, group)
		f.Headlines = append(f.Headlines, report.Headline{Label: group.Kind, Value: fmt.Sprint(group.Count)})
	}
	if len(f.Groups) == 0 {
		f.Summary += ": no problems"
	}
	return report.WriteFindings(page, &f)
}

// thumbnail is a record's picture made small, nil if it cannot be read.
func thumbnail(source datasets.Source, i int) []byte {
	const side = 128
	if i < 0 {
		return nil
	}
	r, err := source.Record(i)
	if err != nil {
		return nil
	}
	rgb, err := r.Decode(image.Options{Alpha: image.AlphaWhite})
	if err != nil {
		return nil
	}
	longest := max(rgb.Width, rgb.Height)
	small := image.Resize(rgb, max(1, rgb.Width*side/longest), max(1, rgb.Height*side/longest), image.Bicubic)
	square := make([]byte, side*side*3)
	for k := range square {
		square[k] = 255
	}
	left, top := (side-small.Width)/2, (side-small.Height)/2
	for y := range small.Height {
		copy(square[3*((top+y)*side+left):], small.Pix[3*y*small.Width:][:3*small.Width])
	}
	encoded, err := report.EncodePNG(square, side)
	if err != nil {
		return nil
	}
	return encoded
}
