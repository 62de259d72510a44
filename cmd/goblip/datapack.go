package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"goblip/datasets"
)

func newDataPackCommand() *cobra.Command {
	var asJSON bool
	var data sourceFlags
	var o datasets.PackOptions
	var megabytes int64
	var onBad string
	command := &cobra.Command{
		Use:   "pack SOURCE --out DIR",
		Short: "Write a data set as balanced tar shards with a manifest and checksums",
		Long: `Write a data set as WebDataset tar shards of about equal size: DIR/shard-000.tar ... and, when all are
complete, DIR/manifest.json with the number of records, the size and the SHA-256 of each. Pictures are
stored as they are. The manifest is a data source itself, and data check compares the shards with it.
The same source and flags give the same bytes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if onBad != "stop" && onBad != "skip" {
				return usagef("--on-bad %q is not stop or skip", onBad)
			}
			if o.Shards < 0 || megabytes < 1 {
				return usagef("--shards and --shard-mb must be positive")
			}
			data.onBad = onBad
			source, err := data.source(args[0])
			if err != nil {
				return err
			}
			o.Source, o.SkipBad, o.Bytes = args[0], onBad == "skip", megabytes<<20
			bar := barFor("packing", source.Len(), asJSON)
			o.Progress = bar.Update
			m, skipped, err := datasets.Pack(source, o)
			if err != nil {
				return err
			}
			bar.Done()
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), struct {
					datasets.Manifest
					Skipped int `json:"skipped"`
				}{m, skipped})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d records in %d shards, %.1f MB", o.Dir, m.Records, len(m.Shards), float64(m.Bytes)/1e6)
			if skipped > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), ", %d left out", skipped)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.Dir, "out", "", "folder to write")
	flags.IntVar(&o.Shards, "shards", 0, "how many (0: as --shard-mb asks)")
	flags.Int64Var(&megabytes, "shard-mb", 256, "MiB a shard, at most about")
	flags.Uint64Var(&o.Shuffle, "shuffle", 0, "seed of a random order (0: the source's own)")
	flags.StringVar(&onBad, "on-bad", "stop", "stop or skip: what to do about what cannot be read")
	data.registerReading(command)
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	requireFlags(command, "out")
	return command
}
