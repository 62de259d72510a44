// Command beam runs "goblip capfilt" on Apache Beam: on one machine with Beam's own Prism runner, or on the many
// machines of a Flink, Spark or Dataflow cluster. It is a module of its own, so that goblip needs nothing of Beam.
//
//	main.go      flags, the runner, progress
//	pipeline.go  the steps: chunks -> parts of the outputs -> report and summary
//	worker.go    one set of models a process
//
// What is computed is goblip/capfilt's, and so is the folder of the results: texts and scores are those of one machine,
// byte for byte on the same kind of processor.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"goblip/capfilt"
	"goblip/internal/pjrt"
	"goblip/train/runlog"
)

// Exit statuses, as goblip's.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	_ = pjrt.UseHugePages() // without them all works, only slower
	klog.SetLogger(klog.Logger{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `Usage: beam --data SRC --captioner DIR --filter DIR --out DIR [--runner prism|flink|spark|dataflow] [flags]

Clean a noisy image-text set as "goblip capfilt" does, on one machine or many. All of them must see the source, its
pictures, the models and the folder of the results under the same paths. The same command goes on where a run ended.

Flags of capfilt:
`

// runners are those that can be named; "universal" is any that has a job server.
var runners = []string{"prism", "flink", "spark", "dataflow", "universal"}

// command is one command line.
type command struct {
	config capfilt.Config
	asJSON bool
	debug  bool
}

// parse reads a command line. In a process that a runner started there are flags of Beam alone, and no config.
func parse(args []string, help io.Writer) (*command, error) {
	var ours capfilt.Flags
	c := &command{}
	flags := pflag.NewFlagSet("beam", pflag.ContinueOnError)
	flags.SortFlags = false
	ours.Add(flags)
	flags.BoolVar(&c.asJSON, "json", false, "print the summary as JSON, and no progress")
	flags.BoolVar(&c.debug, "debug", false, "show Beam's log")
	own, beams := flags.FlagUsages(), pflag.NewFlagSet("", pflag.ContinueOnError)
	beams.AddGoFlagSet(flag.CommandLine)
	flags.Usage = func() { fmt.Fprintf(help, "%s%s\nFlags of Beam and its runners:\n%s", usage, own, beams.FlagUsages()) }
	flags.AddFlagSet(beams)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if err := flag.CommandLine.Parse(nil); err != nil { // Beam asks whether its flags were parsed
		return nil, err
	}
	if isWorker() {
		return c, nil
	}
	if r := flag.Lookup("runner").Value.String(); r != "" && !slices.Contains(runners, r) { // Beam would end the process without a word
		return nil, fmt.Errorf("--runner %q is not one of %s", r, strings.Join(runners, ", "))
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	var err error
	if c.config, err = ours.Config(nil); err != nil {
		return nil, err
	}
	return c, absolute(&c.config)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	fail := func(status int, err error) int {
		fmt.Fprintf(stderr, "beam: %v\n", err)
		return status
	}
	c, err := parse(args, stdout)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(exitUsage, err)
	}
	beam.Init() // in a process that a runner started this is all
	if !c.debug {
		log.SetLogger(quiet{})
		slog.SetDefault(slog.New(slog.DiscardHandler)) // Prism's
	}
	began := time.Now()
	var bar *runlog.Bar
	if !c.asJSON {
		bar = runlog.Progress("pictures", 0)
	}
	summary, err := clean(ctx, c.config, bar)
	if errors.Is(err, capfilt.ErrStopped) {
		fmt.Fprintln(stderr, "beam: stopped; the same command continues")
		return 0 // as asked
	}
	if err != nil {
		return fail(exitFailed, err)
	}
	bar.Done()
	if !c.asJSON {
		summary.Print(stdout, c.config.Out)
		return 0
	}
	err = json.NewEncoder(stdout).Encode(struct {
		Out string `json:"out"`
		*capfilt.Summary
		Seconds         float64 `json:"seconds"`
		PeakMemoryBytes uint64  `json:"peak_memory_bytes"`
	}{c.config.Out, summary, time.Since(began).Seconds(), pjrt.PeakMemory()})
	if err != nil {
		return fail(exitFailed, err)
	}
	return 0
}

// clean makes the job, runs the pipeline, and reads what came out.
func clean(ctx context.Context, config capfilt.Config, bar *runlog.Bar) (*capfilt.Summary, error) {
	job, err := capfilt.NewJob(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := job.Reopen(); err != nil {
		return nil, err
	}
	missing, err := job.Missing(0, job.Chunks())
	if err != nil {
		return nil, err
	}
	bar.Start(job.Records()-job.RecordsOf(missing), job.Records())
	watched.Store(bar)
	defer watched.Store(nil)
	steps, err := pipeline(job)
	if err != nil {
		return nil, err
	}
	if err := beamx.Run(ctx, steps); err != nil {
		if ctx.Err() != nil {
			return nil, capfilt.ErrStopped
		}
		return nil, cause(err)
	}
	return capfilt.ReadSummary(config.Out)
}

// cause is what went wrong in a step, without Beam's account of where in the pipeline.
func cause(err error) error {
	text := err.Error()
	if at := strings.LastIndex(text, "caused by:"); at >= 0 {
		text = text[at+len("caused by:"):]
	}
	return errors.New(strings.Join(strings.Fields(text), " "))
}

// absolute makes all paths mean the same in every process.
func absolute(c *capfilt.Config) error {
	paths := []*string{&c.Out, &c.Source}
	if c.Human != "" {
		paths = append(paths, &c.Human)
	}
	for _, list := range [][]capfilt.ModelDir{c.Captioners, c.Filters} {
		for i := range list {
			paths = append(paths, &list[i].Dir)
		}
	}
	for _, p := range paths {
		var err error
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}

// isWorker says whether a runner started this process on one of its machines.
func isWorker() bool {
	worker := flag.Lookup("worker")
	return worker != nil && worker.Value.String() == "true"
}

// quiet drops Beam's log: what fails comes back as an error.
type quiet struct{}

func (quiet) Log(context.Context, log.Severity, int, string) {}
