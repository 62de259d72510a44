package main

import (
	"errors"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/capfilt"
	"goblip/internal/pjrt"
)

// capfiltCommand holds the flags of "goblip capfilt".
type capfiltCommand struct {
	flags  capfilt.Flags
	config capfilt.Config // by the flags
	asJSON bool

	rounds int
	init   string
	set    []string // settings of the recipes of rounds
}

func newCapfiltCommand() *cobra.Command {
	c := &capfiltCommand{}
	command := &cobra.Command{
		Use:   "capfilt --data SRC --captioner DIR --filter DIR --out DIR",
		Short: "Clean a noisy image-text set: write captions, score all texts, keep those that match",
		Long: `Clean a noisy image-text set, as BLIP did (CapFilt) or BLIP-2 (the texts that CLIP ranks best).

Captioners write texts for every picture (any model folder that captions: BLIP, BLIP-2, InstructBLIP; none: the texts of
the source are only filtered). Filters score every text against its picture (BLIP or BLIP-2 for retrieval: itm and itc;
CLIP: clip). A rule keeps some. Both flags may be repeated, and take NAME=DIR.

OUT gets kept.jsonl (a data set that points to the pictures where they are), manifest.jsonl (every text with its origin,
scores, decision and reason), bad.jsonl (pictures that cannot be read), summary.json and capfilt-report.html.

With --rounds N captioner and filter are trained too: fine-tuned anew in each round on the set that people wrote
(--human), from the last round's model; they clean the source, and a new model is pre-trained on what is kept and on that
set (recipes blip/pretrain, blip/caption, blip/retrieval).

A run that was stopped or killed goes on by the same command. Another rule on finished work needs no model:
it is applied to the scores at once.`,
		Example: `  goblip capfilt --data web.jsonl --captioner runs/captioner/final --filter runs/filter/final --out clean
  goblip capfilt --data web.jsonl --captioner runs/captioner/final --filter clip=models/clip --method blip2 --captions 10 --out clean
  goblip capfilt --data web.jsonl --filter models/blip-itm-base-coco --threshold 0.8 --out clean
  goblip capfilt --data web.jsonl --human human.jsonl --rounds 2 --out bootstrapped`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	flags := command.Flags()
	c.flags.Add(flags)
	flags.IntVar(&c.rounds, "rounds", 0, "train captioner and filter on --human, and a new model, this many times; results in OUT/round-N")
	flags.StringVar(&c.init, "init", "", "with --rounds: the BLIP before the first round; not given: one is pre-trained on --data and --human")
	flags.StringArrayVar(&c.set, "set", nil, "with --rounds: change a setting of a recipe: pretrain.steps=3000, caption.batch=64, retrieval.learning_rate=1e-4 ...; may be repeated")
	flags.BoolVar(&c.asJSON, "json", false, "print the summary as JSON, and no progress")
	requireFlags(command, "data", "out")
	return command
}

// prepare turns the flags into a config; models of the hub become their folders in the cache.
func (c *capfiltCommand) prepare(cmd *cobra.Command) (err error) {
	if c.rounds == 0 && (c.init != "" || len(c.set) > 0) {
		return usagef("--init and --set are for --rounds")
	}
	c.flags.Rounds = c.rounds != 0
	var fetching error
	c.config, err = c.flags.Config(func(name string) (dir string, err error) {
		dir, fetching = modelFolder(cmd, name, true)
		return dir, fetching
	})
	if err != nil && fetching == nil {
		return usageError{err}
	}
	return err
}

func (c *capfiltCommand) run(cmd *cobra.Command) error {
	if err := c.prepare(cmd); err != nil {
		return err
	}
	if c.rounds != 0 {
		return c.runRounds(cmd)
	}
	began := time.Now()
	summary, done, err := c.pass(cmd, c.config, func() (compute.Backend, error) {
		backend, _, err := openBackend(cmd, 1)
		return backend, err
	})
	if errors.Is(err, capfilt.ErrStopped) {
		cmd.PrintErrln("goblip: stopped; the same command continues")
		if c.asJSON {
			return writeJSON(cmd.OutOrStdout(), map[string]any{"out": c.config.Out, "stopped": true, "pictures_done": done})
		}
		return nil // as asked
	}
	if err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	if c.asJSON {
		return writeJSON(cmd.OutOrStdout(), struct {
			Out string `json:"out"`
			*capfilt.Summary
			Seconds         float64 `json:"seconds"`
			PeakMemoryBytes uint64  `json:"peak_memory_bytes"`
		}{c.config.Out, summary, seconds, pjrt.PeakMemory()})
	}
	summary.Print(cmd.OutOrStdout(), c.config.Out)
	return nil
}

// pass cleans one source, and says how many pictures were done when it ended.
func (c *capfiltCommand) pass(cmd *cobra.Command, config capfilt.Config, open func() (compute.Backend, error)) (summary *capfilt.Summary, done int, err error) {
	bar := barFor("pictures", 0, c.asJSON)
	first := true
	config.Progress = func(n, total int) {
		if done = n; first {
			bar.Start(n, total)
			first = false
			return
		}
		bar.Update(n, total)
	}
	summary, err = capfilt.Run(cmd.Context(), config, func() (*capfilt.Models, error) {
		backend, err := open()
		if err != nil {
			return nil, err
		}
		return capfilt.OpenModels(backend, config)
	})
	if err == nil {
		bar.Done()
	}
	return summary, done, err
}
