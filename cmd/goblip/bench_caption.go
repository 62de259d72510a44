package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/models/generate"
)

// captionTimes is what bench caption prints; seconds a call, from 8-bit pixels to token ids.
type captionTimes struct {
	Median        float64   `json:"seconds_median"`
	Min           float64   `json:"seconds_min"`
	First         float64   `json:"first_seconds"` // compiling included
	ImagesSeconds float64   `json:"images_per_second"`
	PeakMemory    uint64    `json:"peak_memory_bytes"`
	IDs           [][]int32 `json:"ids"` // of each picture
	Backend       string    `json:"backend"`
}

func newBenchCaptionCommand() *cobra.Command {
	var checkpoint string
	var tokens, repeats int
	var asJSON bool
	command := &cobra.Command{
		Use:   "caption --checkpoint DIR PICTURE...",
		Short: "Time captioning on this machine",
		Long: `Time how long a model takes to caption pictures as one batch, by greedy search with a fixed number of
tokens: image encoder and text, without reading files and without compiling. scripts/bench/caption
compares it with transformers.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if tokens < 1 || repeats < 1 {
				return usagef("--tokens and --repeats must be at least 1")
			}
			r, err := benchCaption(cmd, checkpoint, args, tokens, repeats)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pictures, %d tokens each: %.1f ms (median of %d; fastest %.1f ms), %.1f pictures/s, first call %.1f s\npeak memory %s, %s\n",
				len(r.IDs), tokens, 1000*r.Median, repeats, 1000*r.Min, r.ImagesSeconds, r.First, formatBytes(r.PeakMemory), r.Backend)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&checkpoint, "checkpoint", "", "folder of a model that captions")
	flags.IntVar(&tokens, "tokens", 20, "tokens of each caption, end tokens not allowed before")
	flags.IntVar(&repeats, "repeats", 5, "timed calls")
	flags.BoolVar(&asJSON, "json", false, "print a line of JSON")
	requireFlags(command, "checkpoint")
	return command
}

func benchCaption(cmd *cobra.Command, checkpoint string, paths []string, tokens, repeats int) (*captionTimes, error) {
	set, err := picturesOf(paths)
	if err != nil {
		return nil, err
	}
	backend, info, err := openBackend(cmd, 1)
	if err != nil {
		return nil, err
	}
	model, err := infer.OpenWriter(backend, checkpoint)
	if err != nil {
		return nil, err
	}
	defer model.Finalize()
	if !model.Captions() {
		return nil, fmt.Errorf("%s: this model answers questions and does not caption", checkpoint)
	}
	pictures, err := loadFor(checkpoint, set, true)
	if err != nil {
		return nil, err
	}
	o := generate.Default()
	o.MinNewTokens, o.MaxNewTokens = tokens, tokens
	requests := make([]infer.Request, pictures.Len())
	for i := range requests {
		requests[i] = infer.Request{Image: i, Prompt: model.CaptionPrompt()}
	}
	r := &captionTimes{Backend: info.Description}
	var times []float64
	for call := range repeats + 1 {
		began := time.Now()
		states, err := model.States(pictures, nil)
		if err != nil {
			return nil, err
		}
		texts, err := model.Write(states, requests, o, nil)
		if err != nil {
			return nil, err
		}
		seconds := time.Since(began).Seconds()
		if call > 0 {
			times = append(times, seconds)
			continue
		}
		r.First = seconds
		for _, t := range texts {
			r.IDs = append(r.IDs, t.IDs)
		}
	}
	slices.Sort(times)
	r.Median, r.Min = times[len(times)/2], times[0]
	r.ImagesSeconds, r.PeakMemory = float64(pictures.Len())/r.Median, pjrt.PeakMemory()
	return r, nil
}
