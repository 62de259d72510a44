package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/infer/forward"
)

func newForwardCommand() *cobra.Command {
	var dir, output string
	var o forward.Options
	command := &cobra.Command{
		Use:   "forward --case DIR --output OUT.safetensors",
		Short: "Run a checkpoint on given tensors: the parity door",
		Long: `Reads a case folder: model/ is a checkpoint, inputs.safetensors the tensors to run it on, and case.json lists under
"expected" what to compute: hidden states, logits, losses, masks, gradients (grad.*), generated ids (gen.*), trajectories
of training. Writes those tensors, same names, shapes and integer types. Comparing them with what the reference computed
on the same inputs proves a conversion.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			backend, _, err := openBackend(cmd, 1)
			if err != nil {
				return err
			}
			named, notes, err := forward.Run(backend, dir, o)
			if err != nil {
				return err
			}
			for _, n := range notes {
				cmd.PrintErrln("goblip: warning: " + oneLine(n))
			}
			if err := checkpoints.Write(output, named, map[string]string{"format": "pt"}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d tensors in %s\n", len(named), output)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&dir, "case", "", "case folder")
	flags.StringVar(&output, "output", "", "safetensors file to write")
	flags.StringVar(&o.Only, "only", "", "compute the names that fit this pattern alone, such as \"gen.*\" or \"vision.hidden_states.?\"")
	flags.StringVar(&o.Model, "model", "", "checkpoint folder, if it is not the case's model/")
	requireFlags(command, "case", "output")
	return command
}
