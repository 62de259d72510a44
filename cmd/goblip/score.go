package main

import "github.com/spf13/cobra"

// newScoreCommand returns "score": metrics from files alone, without a model.
func newScoreCommand() *cobra.Command {
	score := &cobra.Command{
		Use:   "score",
		Short: "Compute metrics from files, without a model",
		Args:  cobra.NoArgs,
	}
	score.AddCommand(newScoreCaptionCommand(), newScoreVQACommand(), newScoreRetrievalCommand())
	return score
}

// requireFlags makes flags required. It panics on a name that is not a flag, which only a programming error can be.
func requireFlags(command *cobra.Command, names ...string) {
	for _, name := range names {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}
