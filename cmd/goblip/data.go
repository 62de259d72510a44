package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/train/runlog"
)

// newDataCommand makes "goblip data": everything about data that needs no model.
func newDataCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "data",
		Short: "Make, check and count data sets",
		Long:  "Make, check, count and pack data sets.\n\n" + sourceNames,
	}
	makeCommand := &cobra.Command{Use: "make", Short: "Make a corpus"}
	makeCommand.AddCommand(newMakeShapesCommand(), newMakeEmojiCommand(), newMakeSwappedCommand())
	command.AddCommand(makeCommand, newDataCheckCommand(), newDataStatsCommand(), newDataPackCommand())
	return command
}

func newMakeShapesCommand() *cobra.Command {
	config, out := shapes.Default(), ""
	command := &cobra.Command{
		Use:   "shapes --out DIR",
		Short: "Generate scenes of coloured shapes with captions, questions and their truth",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Validate(); err != nil {
				return usageError{err}
			}
			bar := runlog.Progress("drawing", 0)
			if err := shapes.Generate(out, config, bar.Update); err != nil {
				return err
			}
			bar.Done()
			for _, name := range config.Files() {
				fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(out, name))
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&out, "out", "", "folder to write; a corpus made earlier is replaced")
	flags.IntVar(&config.Train, "train", config.Train, "training pictures")
	flags.IntVar(&config.Val, "val", config.Val, "validation pictures")
	flags.IntVar(&config.Test, "test", config.Test, "test pictures, all of different scenes")
	flags.IntVar(&config.Size, "size", config.Size, "side of a picture in pixels")
	flags.Uint64Var(&config.Seed, "seed", config.Seed, "another seed gives another corpus")
	flags.Float64Var(&config.Noise, "noise", 0, "also write web.jsonl: the training pictures with one text each, this share of them spoilt (caption of another picture, wrong words, boilerplate, cut off; \"noise\" says which), and human.jsonl")
	flags.IntVar(&config.Human, "human", 0, fmt.Sprintf("pictures of human.jsonl, the small clean set beside a noisy one (0: %d)", shapes.DefaultHuman))
	requireFlags(command, "out")
	return command
}

func newMakeEmojiCommand() *cobra.Command {
	var source, style, out string
	var annotations []string
	command := &cobra.Command{
		Use:   "emoji --source DIR --style NAME --out FILE.jsonl",
		Short: "Make a data set of an unpacked emoji-datasource package",
		Long: "Make a data set of an unpacked emoji-datasource package (emoji.json, img/STYLE/64).\n" +
			"scripts/fetch_emoji gets the packages and calls this for each style.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			records, err := datasets.Emoji(source, style, annotations)
			if err != nil {
				return err
			}
			if err := datasets.WriteJSONL(out, records); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d pictures\n", out, len(records))
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&source, "source", "", "folder of the unpacked package")
	flags.StringVar(&style, "style", "", "twitter, google, apple or facebook")
	flags.StringVar(&out, "out", "", "JSONL file to write")
	flags.StringArrayVar(&annotations, "annotations", nil, "CLDR file with English keywords; may be repeated")
	requireFlags(command, "source", "style", "out")
	return command
}

func newMakeSwappedCommand() *cobra.Command {
	var data, out string
	var share float64
	var seed uint64
	command := &cobra.Command{
		Use:   "swapped --data SRC --out FILE.jsonl",
		Short: "Spoil a data set on purpose: a share of its pictures get the captions of others",
		Long: "Spoil a data set on purpose: a share of its pictures get the captions of others. \"noise\" in each record says\n" +
			"which, so that goblip capfilt can tell how well a filter finds them.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := openCaptioned(data)
			if err != nil {
				return err
			}
			records, err := datasets.Swap(set.Records, share, seed)
			if err != nil {
				return usageError{err}
			}
			if err := datasets.WriteJSONL(out, records); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d pictures\n", out, len(records))
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&data, "data", "", "data set with captions")
	flags.StringVar(&out, "out", "", "JSONL file to write")
	flags.Float64Var(&share, "share", 0.3, "of the pictures whose captions are swapped")
	flags.Uint64Var(&seed, "seed", 1, "another seed swaps others")
	requireFlags(command, "data", "out")
	return command
}

func newDataStatsCommand() *cobra.Command {
	var asJSON bool
	var data sourceFlags
	command := &cobra.Command{
		Use:   "stats PATH",
		Short: "Count a data set's pictures, captions, words and questions",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := data.source(args[0])
			if err != nil {
				return err
			}
			bar := barFor("counting", source.Len(), asJSON || source.Len() < 1000)
			stats, err := datasets.Count(source, bar.Update)
			if err != nil {
				return err
			}
			bar.Done()
			out := cmd.OutOrStdout()
			if asJSON {
				return writeJSON(out, stats)
			}
			fmt.Fprintf(out, "pictures    %d (%d without a caption, %d with known truth)\n", stats.Pictures, stats.WithoutCaption, stats.WithTruth)
			fmt.Fprintf(out, "captions    %d, %.1f a picture\n", stats.Captions, stats.CaptionsPerPicture)
			fmt.Fprintf(out, "words       %d, %.1f a caption, %d in the longest, %d different\n",
				stats.CaptionWords, stats.WordsPerCaption, stats.LongestCaption, stats.Vocabulary)
			if stats.Captions > 0 {
				fmt.Fprintf(out, "lengths     half of the captions have up to %d words, 90 %% up to %d, 99 %% up to %d\n", stats.Length(0.5), stats.Length(0.9), stats.Length(0.99))
				var words []string
				for _, w := range stats.Words[:min(10, len(stats.Words))] {
					words = append(words, fmt.Sprintf("%s %d", w.Word, w.Count))
				}
				fmt.Fprintf(out, "frequent    %s\n", strings.Join(words, ", "))
			}
			fmt.Fprintf(out, "questions   %d, %d answers\n", stats.Questions, stats.Answers)
			printCounts(out, stats.QuestionsByKind)
			fmt.Fprintf(out, "sizes       %d different\n", len(stats.Sizes))
			printCounts(out, stats.Sizes)
			return nil
		},
	}
	data.registerReading(command)
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// printCounts prints the eight largest counts, one a line.
func printCounts(w io.Writer, counts map[string]int) {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		if i == 8 {
			fmt.Fprintf(w, "  ... and %d more\n", len(names)-i)
			return
		}
		fmt.Fprintf(w, "  %-12s %d\n", name, counts[name])
	}
}
