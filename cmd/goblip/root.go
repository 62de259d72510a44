package main

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"goblip/internal/pjrt"
)

// options are the flags that every command has.
type options struct {
	debug bool
}

// usageError is a mistake on the command line: exit status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// newRootCommand builds the command tree. Errors before a command's own code
// runs are mistakes on the command line; started tells them apart.
func newRootCommand(opts *options, started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "goblip",
		Short: "Train, evaluate and run BLIP-2 vision-language models",
		Long: `goblip trains, evaluates and runs BLIP-2 vision-language models.

New here? "goblip quickstart" trains a small one and shows its captions in
report.html; "goblip doctor" tells what this machine has to compute with.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			if !opts.debug {
				klog.SetLogger(klog.Logger{}) // the libraries' log; errors reach us as errors
			}
		},
	}
	root.PersistentFlags().BoolVar(&opts.debug, "debug", false, "show the libraries' log and stack traces")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(commands()...)
	prepare(root, started)
	return root
}

// prepare goes over the tree: commands note that they started, and groups
// refuse an unknown subcommand instead of showing help with status 0.
func prepare(cmd *cobra.Command, started *bool) {
	switch runE := cmd.RunE; {
	case runE != nil:
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*started = true
			if err := resolveModels(cmd); err != nil {
				return err
			}
			return runE(cmd, args)
		}
	case cmd.HasSubCommands() && cmd.Run == nil:
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		}
	}
	for _, sub := range cmd.Commands() {
		prepare(sub, started)
	}
}

// unknownCommand is the error of a group that has no such subcommand.
func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2 // letters
	message := fmt.Sprintf("unknown command %q for %q", name, cmd.CommandPath())
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		message += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return usagef("%s", message)
}

// openBackend opens the backend for a command that wants n devices, and prints
// its warnings. It may start the program again, so call it before anything
// else that has an effect.
func openBackend(cmd *cobra.Command, n int) (compute.Backend, pjrt.Info, error) {
	if n < 1 {
		return nil, pjrt.Info{}, usagef("--devices %d: must be at least 1", n)
	}
	if err := pjrt.EnsureDevices(n); err != nil {
		return nil, pjrt.Info{}, err
	}
	backend, info, err := pjrt.Open()
	if err != nil {
		return nil, info, err
	}
	for _, w := range info.Warnings {
		cmd.PrintErrln("goblip: warning: " + oneLine(w))
	}
	return backend, info, info.Require(n)
}

// formatBytes writes a size as people read it.
func formatBytes(n uint64) string {
	for _, unit := range []struct {
		name string
		size uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
