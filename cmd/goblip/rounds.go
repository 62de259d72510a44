package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/capfilt"
	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/train"
)

// roundRecipes are the recipes of "goblip capfilt --rounds", by the prefix of --set.
var roundRecipes = map[string]string{"pretrain": "blip/pretrain", "caption": "blip/caption", "retrieval": "blip/retrieval"}

// runRounds trains captioner and filter and cleans, round after round.
func (c *capfiltCommand) runRounds(cmd *cobra.Command) error {
	rounds := capfilt.Rounds{Config: c.config, Number: c.rounds, Init: c.init}
	if err := rounds.Validate(); err != nil {
		return usageError{err}
	}
	settings := map[string][]string{}
	for _, s := range c.set {
		prefix, rest, ok := strings.Cut(s, ".")
		if _, known := roundRecipes[prefix]; !ok || !known {
			return usagef("--set %s: want pretrain.NAME=VALUE, caption.NAME=VALUE or retrieval.NAME=VALUE", s)
		}
		settings[prefix] = append(settings[prefix], rest)
	}
	trainer := func(prefix string) (*trainCommand, error) {
		t := &trainCommand{devices: 1, seed: c.config.Writing.Options.Seed, set: settings[prefix], resume: true, asJSON: c.asJSON,
			checkpointEvery: 100, logEvery: 10}
		_, _, err := t.settings(roundRecipes[prefix])
		return t, err
	}
	for prefix := range roundRecipes { // a wrong setting must not show after hours
		if _, err := trainer(prefix); err != nil {
			return err
		}
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	run := func(prefix string) func(ctx context.Context, data []string, init, out string) (string, error) {
		return func(ctx context.Context, data []string, init, out string) (string, error) {
			t, err := trainer(prefix)
			if err != nil {
				return "", err
			}
			t.note = func(format string, args ...any) {
				if !c.asJSON {
					cmd.PrintErrf(format+"\n", args...)
				}
			}
			return t.once(ctx, backend, roundRecipes[prefix], data, init, out)
		}
	}
	done, err := rounds.Run(cmd.Context(), capfilt.Training{Pretrain: run("pretrain"), Captioner: run("caption"), Filter: run("retrieval")},
		func(_ context.Context, config capfilt.Config) (*capfilt.Summary, error) {
			summary, _, err := c.pass(cmd, config, func() (compute.Backend, error) { return backend, nil })
			return summary, err
		})
	if errors.Is(err, capfilt.ErrStopped) {
		cmd.PrintErrln("goblip: stopped; the same command continues")
		if c.asJSON {
			return writeJSON(cmd.OutOrStdout(), map[string]any{"out": c.config.Out, "stopped": true, "rounds": done})
		}
		return nil // as asked
	}
	if err != nil {
		return err
	}
	if c.asJSON {
		return writeJSON(cmd.OutOrStdout(), map[string]any{"out": c.config.Out, "rounds": done})
	}
	for i, r := range done {
		fmt.Fprintf(cmd.OutOrStdout(), "round %d\n", i+1)
		r.Summary.Print(cmd.OutOrStdout(), r.Clean)
		fmt.Fprintf(cmd.OutOrStdout(), "the model: %s\n", r.Model)
	}
	return nil
}

// once trains by a recipe on data sets together, unless that was finished before, and returns the model folder.
func (t *trainCommand) once(ctx context.Context, backend compute.Backend, recipe string, data []string, init, out string) (string, error) {
	folder := filepath.Join(out, "final")
	if exists(filepath.Join(folder, checkpoints.ConfigFile)) {
		return folder, nil
	}
	t.init, t.out = init, out
	_, settings, err := t.settings(recipe)
	if err != nil {
		return "", err
	}
	set := &datasets.Set{Name: strings.Join(data, " ")}
	for _, path := range data {
		one, err := openCaptioned(path)
		if err != nil {
			return "", err
		}
		set.Records = append(set.Records, one.Records...)
	}
	t.note("%s on %d records, into %s", recipe, set.Len(), out)
	_, err = t.train(ctx, backend, recipe, settings, set)
	if errors.Is(err, train.ErrStopped) {
		return "", capfilt.ErrStopped
	}
	return folder, err
}
