package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/capfilt"
	"goblip/internal/pjrt"
)

// capfiltCommand holds the flags of "goblip capfilt".
type capfiltCommand struct {
	config              capfilt.Config
	captioners, filters []string
	method, decode      string
	score, ensemble     string
	threshold           float64
	topK                int
	prompt              string
	asJSON              bool

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
	c.flags(command)
	return command
}

// flags adds the flags of one pass over a source.
func (c *capfiltCommand) flags(command *cobra.Command) {
	flags := command.Flags()
	w := capfilt.DefaultWriting()
	c.config.Writing = w
	o := &c.config.Writing.Options
	flags.StringVar(&c.config.Source, "data", "", "the noisy set: a JSONL file, or a folder of pictures with .txt beside them")
	flags.StringVar(&c.config.Out, "out", "", "folder for the results")
	flags.StringArrayVar(&c.captioners, "captioner", nil, "model folder that writes captions, DIR or NAME=DIR; may be repeated")
	flags.StringArrayVar(&c.filters, "filter", nil, "model folder that scores texts, DIR or NAME=DIR; may be repeated")
	flags.IntVar(&c.config.Captions, "captions", 1, "texts that each captioner writes for a picture (BLIP: 1; BLIP-2: 10)")
	flags.StringVar(&c.method, "method", "blip", "rule to start from: blip (itm of at least 0.5), blip2 (the best 2 by clip), all (no filter)")
	flags.StringVar(&c.score, "score", "", "score that decides instead: itm, itc or clip")
	flags.Float64Var(&c.threshold, "threshold", 0, "keep texts whose score is at least this (blip: 0.5)")
	flags.IntVar(&c.topK, "top-k", 0, "keep at most this many texts of a picture, the best (blip2: 2; 0: all)")
	flags.StringVar(&c.ensemble, "ensemble", capfilt.Mean, "what several filters' scores become: mean, min or max")
	flags.StringVar(&c.decode, "decode", "nucleus", "how captions are written: nucleus, beam or greedy")
	flags.StringVar(&c.prompt, "prompt", "", "text that captions continue; not given: each model's own")
	flags.Float64Var(&o.TopP, "top-p", o.TopP, "nucleus: sample among the most likely words that have this probability together")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "nucleus: of sampling")
	flags.IntVar(&o.NumBeams, "num-beams", 3, "beam: this many beams")
	flags.IntVar(&o.MinNewTokens, "min-new-tokens", o.MinNewTokens, "no end before this many tokens")
	flags.IntVar(&o.MaxNewTokens, "max-new-tokens", o.MaxNewTokens, "length limit")
	flags.Float64Var(&o.RepetitionPenalty, "repetition-penalty", o.RepetitionPenalty, "above 1 makes repeated words less likely")
	flags.Uint64Var(&o.Seed, "seed", 1, "of sampling: what is drawn for a picture depends on seed, pixels and prompt alone")
	flags.IntVar(&c.config.Chunk, "chunk", capfilt.DefaultChunk, "pictures in a unit of work: what a kill can lose")
	flags.IntVar(&c.config.ShardSize, "shard-size", capfilt.DefaultShardSize, "pictures in a file of the data set; larger sets become kept-00000.jsonl, kept-00001.jsonl ...")
	flags.StringVar(&c.config.Human, "human", "", "a clean set that people wrote: all of it joins the data set, and --rounds trains captioner and filter on it")
	flags.IntVar(&c.rounds, "rounds", 0, "train captioner, filter and a new model this many times; results in OUT/round-N")
	flags.StringVar(&c.init, "init", "", "with --rounds: the BLIP before the first round; not given: one is pre-trained on --data and --human")
	flags.StringArrayVar(&c.set, "set", nil, "with --rounds: change a setting of a recipe: pretrain.steps=3000, caption.batch=64, retrieval.learning_rate=1e-4 ...; may be repeated")
	flags.BoolVar(&c.asJSON, "json", false, "print the summary as JSON, and no progress")
	requireFlags(command, "data", "out")
}

// rule is the method's, with what the flags change.
func (c *capfiltCommand) rule(cmd *cobra.Command) (capfilt.Rule, error) {
	var rule capfilt.Rule
	switch c.method {
	case "blip":
		rule = capfilt.BLIPRule()
	case "blip2":
		rule = capfilt.BLIP2Rule()
	case "all":
		rule = capfilt.KeepAll()
	default:
		return rule, usagef("--method %q is not blip, blip2 or all", c.method)
	}
	if c.score != "" {
		if rule.Score != c.score && !cmd.Flags().Changed("threshold") {
			rule.Threshold = nil // 0.5 is of a probability
		}
		rule.Score = c.score
	}
	if cmd.Flags().Changed("threshold") {
		rule.Threshold = &c.threshold
	}
	if cmd.Flags().Changed("top-k") {
		rule.TopK = c.topK
	}
	rule.Ensemble = c.ensemble
	return rule, nil
}

// prepare turns the flags into a config.
func (c *capfiltCommand) prepare(cmd *cobra.Command) (err error) {
	if c.config.Rule, err = c.rule(cmd); err != nil {
		return err
	}
	w := &c.config.Writing
	if cmd.Flags().Changed("prompt") {
		w.Prompt = &c.prompt
	}
	switch c.decode {
	case "nucleus":
		w.Options.DoSample, w.Options.NumBeams = true, 1
	case "beam":
		w.Options.DoSample, w.Options.TopP = false, 1
	case "greedy":
		w.Options.DoSample, w.Options.TopP, w.Options.NumBeams = false, 1, 1
	default:
		return usagef("--decode %q is not nucleus, beam or greedy", c.decode)
	}
	if c.config.Captioners, err = modelDirs(cmd, "captioner", c.captioners); err != nil {
		return err
	}
	if c.config.Filters, err = modelDirs(cmd, "filter", c.filters); err != nil {
		return err
	}
	if len(c.config.Captioners) == 0 && c.rounds == 0 {
		c.config.Captions = 0
	}
	if c.rounds == 0 {
		if c.init != "" || len(c.set) > 0 {
			return usagef("--init and --set are for --rounds")
		}
		if err := c.config.Validate(); err != nil {
			return usageError{err}
		}
	}
	return nil
}

// modelDirs reads model folders of a flag; models of the hub become their folders in the cache.
func modelDirs(cmd *cobra.Command, flag string, values []string) ([]capfilt.ModelDir, error) {
	models, err := capfilt.ParseModels(values)
	if err != nil {
		return nil, usageError{fmt.Errorf("--%s: %w", flag, err)}
	}
	for i := range models {
		if models[i].Dir, err = modelFolder(cmd, models[i].Dir, true); err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
	}
	return models, nil
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
	c.print(cmd.OutOrStdout(), c.config.Out, summary)
	return nil
}

// print says what one pass came to.
func (c *capfiltCommand) print(out io.Writer, dir string, summary *capfilt.Summary) {
	for _, s := range summary.Sources {
		fmt.Fprintf(out, "%-20s %d of %d texts kept\n", s.Origin, s.Kept, s.Texts)
	}
	if v := summary.Truth; v != nil && v.All.Precision != nil && v.All.Recall != nil {
		fmt.Fprintf(out, "against the truth: %.1f %% of the kept texts are right, %.1f %% of the right ones are kept\n", 100**v.All.Precision, 100**v.All.Recall)
	}
	if summary.BadPictures > 0 {
		fmt.Fprintf(out, "%d pictures cannot be used: %s\n", summary.BadPictures, filepath.Join(dir, capfilt.BadFile))
	}
	for _, f := range summary.Files {
		fmt.Fprintf(out, "the data set: %s\n", filepath.Join(dir, f))
	}
	fmt.Fprintf(out, "the report: %s\n", filepath.Join(dir, capfilt.ReportFile))
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
