// Command goblip trains, evaluates and runs BLIP-2 vision-language models.
//
// main.go lists the subcommands and turns errors into exit statuses; root.go has
// what the subcommands share; each subcommand is a file of its name.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"goblip/internal/pjrt"
)

// commands are the subcommands, in the order of --help.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newSetupCommand(),
		newDoctorCommand(),
		newQuickstartCommand(),
		newTrainCommand(),
		newCaptionCommand(),
		newAskCommand(),
		newMatchCommand(),
		newEmbedCommand(),
		newForwardCommand(),
		newConvertCommand(),
		newInspectCommand(),
		newDownloadCommand(),
		newPlanCommand(),
		newBenchCommand(),
		newDataCommand(),
		newEvalCommand(),
		newScoreCommand(),
		newCapfiltCommand(),
		newTokenizeCommand(),
		newPreprocessCommand(),
	}
}

// Exit statuses.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	// Without huge pages all works, only slower: an error does not matter.
	_ = pjrt.UseHugePages()
	// The first interrupt asks commands to finish what they write; the second
	// one, with the default action restored, ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	var opts options
	started := false // whether a command's own code was reached
	root := newRootCommand(&opts, &started)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	defer func() {
		if r := recover(); r != nil {
			if opts.debug {
				panic(r)
			}
			fmt.Fprintf(stderr, "goblip: internal error: %s (--debug shows where)\n", oneLine(fmt.Sprint(r)))
			status = exitFailed
		}
	}()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if opts.debug {
		fmt.Fprintf(stderr, "goblip: %+v\n", err)
	} else {
		fmt.Fprintf(stderr, "goblip: %s\n", oneLine(err.Error()))
	}
	var usage usageError
	if !started || errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// oneLine joins the lines of a message.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
