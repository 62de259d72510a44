package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/infer"
	"goblip/internal/pjrt"
	"goblip/train"
	"goblip/train/recipes"
)

// trainCommand holds the flags of "goblip train".
type trainCommand struct {
	data                      sourceFlags
	val, out                  string
	init, vision, llm, text   string
	steps, batch, devices     int
	seed                      uint64
	set                       []string
	precision, shard          string
	checkpointEvery, logEvery int
	evalEvery, pictureMemory  int
	featureCache              string
	resume, asJSON            bool
	list, explain             bool

	clipTower *recipes.CLIPSettings            // of the tower that stage 1 trains without --vision
	lmTower   *recipes.LMSettings              // of the one that stage 2 trains without --llm
	note      func(format string, args ...any) // a line for the user
	ctx       context.Context                  // of the run under way; ends reading of pictures
}

// recipeInfo describes a recipe for --list and --explain.
type recipeInfo struct {
	name, short string
	settings    func() any
	common      func(settings any) *recipes.Common
	sources     map[string]string
}

var recipeList = []recipeInfo{
	{"clip", "image tower by contrast with text", func() any { return recipes.DefaultCLIP() },
		func(s any) *recipes.Common { return &s.(*recipes.CLIPSettings).Common }, recipes.CLIPSources},
	{"lm", "OPT language model on text alone", func() any { return recipes.DefaultLM() },
		func(s any) *recipes.Common { return &s.(*recipes.LMSettings).Common }, recipes.LMSources},
	{"blip2/stage1", "Q-Former over a frozen image tower: ITC, ITM, ITG", func() any { return recipes.DefaultStage1() },
		func(s any) *recipes.Common { return &s.(*recipes.Stage1Settings).Common }, recipes.Stage1Sources},
	{"blip2/stage2", "Q-Former prompts a frozen OPT or T5", func() any { return recipes.DefaultStage2() },
		func(s any) *recipes.Common { return &s.(*recipes.Stage2Settings).Common }, recipes.Stage2Sources},
	{"blip2/vqa", "Q-Former that reads the question prompts a frozen OPT", func() any { return recipes.DefaultVQA() },
		func(s any) *recipes.Common { return &s.(*recipes.VQASettings).Common }, recipes.VQASources},
	{"blip/pretrain", "BLIP: ITC with a momentum encoder, ITM, LM", func() any { return recipes.DefaultBLIPPretrain() },
		func(s any) *recipes.Common { return &s.(*recipes.BLIPPretrainSettings).Common }, recipes.BLIPSources},
	{"blip/caption", "BLIP's decoder, for captions behind a prompt", func() any { return recipes.DefaultBLIPCaption() },
		func(s any) *recipes.Common { return &s.(*recipes.BLIPCaptionSettings).Common }, recipes.BLIPSources},
	{"blip/retrieval", "BLIP for search: ITC and ITM", func() any { return recipes.DefaultBLIPRetrieval() },
		func(s any) *recipes.Common { return &s.(*recipes.BLIPRetrievalSettings).Common }, recipes.BLIPSources},
	{"blip/vqa", "BLIP for questions with weighted answers", func() any { return recipes.DefaultBLIPVQA() },
		func(s any) *recipes.Common { return &s.(*recipes.BLIPVQASettings).Common }, recipes.BLIPSources},
	{"blip/nlvr", "BLIP for texts about two pictures", func() any { return recipes.DefaultBLIPNLVR() },
		func(s any) *recipes.Common { return &s.(*recipes.BLIPNLVRSettings).Common }, recipes.BLIPSources},
}

func newTrainCommand() *cobra.Command {
	t := &trainCommand{}
	command := &cobra.Command{
		Use:   "train RECIPE --data DATA --out DIR",
		Short: "Train by a recipe: clip, lm, blip2/stage1 and more (--list)",
		Long: `Train by a recipe (--list lists them).

DATA is a folder of pictures with .txt files beside them, a JSONL, CSV or TSV file, COCO or Karpathy
JSON, WebDataset tar shards or Parquet (goblip data --help); several --data make a mixture. Without --vision stage 1
first trains an image tower on the same data (recipe clip) into OUT/vision; without --llm stage 2
and vqa first train a language model on the texts (recipe lm) into OUT/llm. The --llm of stage 2 is an
OPT or an encoder-decoder, a T5 or FlanT5; that of vqa an OPT. The recipes blip/... start
from nothing, from an image tower (--vision) and a BERT (--text), or from an earlier BLIP (--init).
An interrupted run continues with --resume. The trained model lies in OUT/final.`,
		Example: `  goblip train clip --data pictures.jsonl --out runs/clip
  goblip train lm --data pictures.jsonl --out runs/lm
  goblip train blip2/stage1 --data pictures.jsonl --vision runs/clip/final --out runs/stage1
  goblip train blip2/stage2 --data pictures.jsonl --init runs/stage1/final --llm runs/lm/final --out runs/stage2
  goblip train blip2/stage2 --data pictures.jsonl --init runs/stage1/final --llm flan-t5-small --out runs/stage2-t5
  goblip train blip2/vqa --data questions.jsonl --init runs/stage1/final --llm runs/lm/final --out runs/vqa
  goblip train blip/pretrain --data pictures.jsonl --out runs/blip
  goblip train blip/caption --data pictures.jsonl --init runs/blip/final --out runs/captioner`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return t.run(cmd, args) },
	}
	flags := command.Flags()
	t.data.register(command)
	flags.StringVar(&t.val, "val", "", "held-out data, for the losses at --eval-every")
	flags.StringVar(&t.out, "out", "", "folder of the run")
	flags.StringVar(&t.init, "init", "", "blip2/stage2 and blip2/vqa: the stage-1 folder to start from; blip: an earlier BLIP")
	flags.StringVar(&t.vision, "vision", "", "stage 1: the folder with the image tower, a CLIP or a BLIP-2; blip: likewise, instead of --init")
	flags.StringVar(&t.text, "text", "", "blip: a BERT folder that text encoder and decoder start from, instead of --init")
	flags.StringVar(&t.llm, "llm", "", "blip2/stage2: the folder of an OPT or a T5 (FlanT5), as its model_type says; blip2/vqa: of an OPT")
	flags.IntVar(&t.steps, "steps", 0, "optimizer steps (0: the recipe's)")
	flags.IntVar(&t.batch, "batch", 0, "pictures a step (0: the recipe's)")
	flags.Uint64Var(&t.seed, "seed", 1, "of weights, data order, dropout and negatives")
	flags.IntVar(&t.devices, "devices", 1, "data-parallel devices; the batch is divided among them")
	flags.StringVar(&t.precision, "precision", "f32", strings.Join(train.Precisions, " or ")+": what a step computes in; weights and optimizer state stay float32")
	flags.StringVar(&t.shard, "shard", "none", "what devices divide among each other beside the batch: "+strings.Join(train.Shards, ", "))
	flags.StringArrayVar(&t.set, "set", nil, "change a setting: name=value; may be repeated (see --explain); clip.name=value and lm.name=value for towers that stage 1 and 2 train first")
	flags.IntVar(&t.checkpointEvery, "checkpoint-every", 100, "steps")
	flags.IntVar(&t.logEvery, "log-every", 10, "steps")
	flags.IntVar(&t.evalEvery, "eval-every", 100, "steps; needs --val")
	flags.IntVar(&t.pictureMemory, "picture-memory", 2048, "MiB of pictures held in memory; larger sets are read anew in each epoch, which gives the same batches")
	flags.StringVar(&t.featureCache, "feature-cache", "", "blip2/...: folder that keeps the frozen image tower's states, computed once for a data set (--set features=bf16, int8 or f32)")
	flags.BoolVar(&t.resume, "resume", false, "continue the run in --out")
	flags.BoolVar(&t.asJSON, "json", false, "print a line of JSON at the end, and no progress")
	flags.BoolVar(&t.list, "list", false, "list the recipes")
	flags.BoolVar(&t.explain, "explain", false, "print every setting of the recipe with its source")
	return command
}

func (t *trainCommand) run(cmd *cobra.Command, args []string) error {
	if t.list {
		for _, r := range recipeList {
			fmt.Fprintf(cmd.OutOrStdout(), "%-14s %s\n", r.name, r.short)
		}
		return nil
	}
	if len(args) == 0 {
		return usagef("which recipe? (goblip train --list)")
	}
	info, settings, err := t.settings(args[0])
	if err != nil {
		return err
	}
	if t.explain {
		return explain(cmd.OutOrStdout(), info, settings)
	}
	if len(t.data.names) == 0 {
		return usagef("--data is missing")
	}
	if t.out == "" {
		return usagef("--out is missing")
	}
	for name, value := range map[string]int{"steps": t.steps, "batch": t.batch, "checkpoint-every": t.checkpointEvery, "log-every": t.logEvery, "eval-every": t.evalEvery, "picture-memory": t.pictureMemory} {
		if value < 0 {
			return usagef("--%s %d: must not be negative", name, value)
		}
	}
	if !slices.Contains(train.Precisions, t.precision) {
		return usagef("--precision %q is none of %v", t.precision, train.Precisions)
	}
	if !slices.Contains(train.Shards, t.shard) {
		return usagef("--shard %q is none of %v", t.shard, train.Shards)
	}
	if stat, err := os.Stat(t.out); err == nil && !stat.IsDir() {
		return usagef("--out %s: a file is there, the run needs a folder", t.out)
	}
	t.note = func(format string, args ...any) {
		if !t.asJSON {
			cmd.PrintErrf(format+"\n", args...)
		}
	}
	if (info.name == "blip2/stage2" || info.name == "blip2/vqa") && t.init == "" {
		return usagef("--init is missing: the stage-1 folder (OUT/final of \"goblip train blip2/stage1\")")
	}
	if t.featureCache != "" && !strings.HasPrefix(info.name, "blip2/") {
		return usagef("--feature-cache is for the recipes blip2/..., whose image tower is frozen")
	}
	if t.text != "" && !strings.HasPrefix(info.name, "blip/") {
		return usagef("--text is for the recipes blip/...")
	}
	if t.init != "" && (t.vision != "" || t.text != "") && strings.HasPrefix(info.name, "blip/") {
		return usagef("--init has an image tower and text of its own: no --vision and --text beside it")
	}
	backend, _, err := openBackend(cmd, t.devices)
	if err != nil {
		return err
	}
	set, err := t.data.open(t.note)
	if err == nil {
		set, err = fitFor(info.name, set)
	}
	if err != nil {
		return err
	}
	summary, err := t.train(cmd.Context(), backend, info.name, settings, set)
	if errors.Is(err, train.ErrStopped) {
		cmd.PrintErrf("goblip: %v; the same command with --resume continues\n", err)
		if summary.Dir, summary.Stopped = t.out, true; t.asJSON {
			return writeJSON(cmd.OutOrStdout(), summary)
		}
		return nil // as asked
	}
	if err != nil {
		return err
	}
	if summary.LeftOut > 0 {
		t.note("warning: %d shards, records or pictures could not be read and were left out", summary.LeftOut)
	}
	if t.asJSON {
		return writeJSON(cmd.OutOrStdout(), struct {
			train.Summary
			Model           string `json:"model"`
			PeakMemoryBytes uint64 `json:"peak_memory_bytes"`
		}{summary, filepath.Join(t.out, "final"), pjrt.PeakMemory()})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the model: %s\n", filepath.Join(t.out, "final"))
	return nil
}

// settings are the recipe's, with the flags' changes.
func (t *trainCommand) settings(name string) (*recipeInfo, any, error) {
	for i := range recipeList {
		info := &recipeList[i]
		if info.name != name {
			continue
		}
		s := info.settings()
		common := info.common(s)
		common.Seed = t.seed
		if t.steps > 0 {
			common.Steps = t.steps
		}
		if t.batch > 0 {
			common.Batch = t.batch
		}
		if t.precision != "f32" {
			common.Precision = t.precision
		}
		t.clipTower, t.lmTower = recipes.DefaultCLIP(), recipes.DefaultLM()
		t.clipTower.Seed, t.lmTower.Seed = t.seed, t.seed
		for _, assignment := range t.set {
			var target any = s
			if rest, ok := strings.CutPrefix(assignment, "clip."); ok && name == "blip2/stage1" {
				target, assignment = t.clipTower, rest
			} else if rest, ok := strings.CutPrefix(assignment, "lm."); ok && (name == "blip2/stage2" || name == "blip2/vqa") {
				target, assignment = t.lmTower, rest
			}
			if err := recipes.Set(target, assignment); err != nil {
				return nil, nil, usageError{fmt.Errorf("--set: %w", err)}
			}
		}
		return info, s, nil
	}
	var names []string
	for _, r := range recipeList {
		names = append(names, r.name)
	}
	return nil, nil, usagef("unknown recipe %q; there are: %s", name, strings.Join(names, ", "))
}

func explain(out io.Writer, info *recipeInfo, settings any) error {
	for _, s := range recipes.Settings(settings, info.sources) {
		if _, err := fmt.Fprintf(out, "%-26s %-10s %s [%s]\n", s.Name, s.Value, s.Help, s.Source); err != nil {
			return err
		}
	}
	return nil
}

func (t *trainCommand) train(ctx context.Context, backend compute.Backend, name string, settings any, set *datasets.Set) (train.Summary, error) {
	t.ctx = ctx
	o := recipes.Options{Dir: t.out, Devices: t.devices, CheckpointEvery: t.checkpointEvery, LogEvery: t.logEvery, EvalEvery: t.evalEvery, Resume: t.resume, Quiet: t.asJSON, Shard: t.shard, FeatureCache: t.featureCache, Note: t.note}
	switch s := settings.(type) {
	case *recipes.LMSettings:
		return t.lm(ctx, backend, s, set, o, t.batchChosen(""))
	case *recipes.CLIPSettings:
		pictures, err := t.loadFor(s, set, &o)
		if err != nil {
			return train.Summary{}, err
		}
		t.fitBatch(name, &s.Common, pictures.Len(), t.batchChosen(""))
		return recipes.CLIP(ctx, backend, s, pictures, o)
	case *recipes.Stage1Settings:
		vision, err := t.towerVision(ctx, backend, set, o)
		if err != nil {
			return train.Summary{}, err
		}
		processor, err := infer.ImageProcessor(vision)
		if err != nil {
			return train.Summary{}, err
		}
		pictures, err := t.read(name, set, processor, s.Streams(o), &o)
		if err != nil {
			return train.Summary{}, err
		}
		t.fitBatch(name, &s.Common, pictures.Len(), t.batchChosen(""))
		return recipes.Stage1(ctx, backend, s, pictures, vision, o)
	case *recipes.Stage2Settings:
		pictures, llm, err := t.overLLM(ctx, backend, name, &s.Common, &s.Encoding, set, &o)
		if err != nil {
			return train.Summary{}, err
		}
		return recipes.Stage2(ctx, backend, s, pictures, t.init, llm, o)
	case *recipes.VQASettings:
		pictures, llm, err := t.overLLM(ctx, backend, name, &s.Common, &s.Encoding, set, &o)
		if err != nil {
			return train.Summary{}, err
		}
		return recipes.VQA(ctx, backend, s, pictures, t.init, llm, o)
	}
	if strings.HasPrefix(name, "blip/") {
		return t.blip(ctx, backend, name, settings, set, o)
	}
	return train.Summary{}, fmt.Errorf("recipe %s has no trainer", name)
}

// openCaptioned opens a data set that can be trained on, or measured by.
func openCaptioned(path string) (*datasets.Set, error) {
	set, err := datasets.Open(path)
	if err != nil {
		return nil, err
	}
	return set, captioned(set)
}

// captioned says which record cannot be trained on.
func captioned(set *datasets.Set) error {
	for _, r := range set.Records {
		if len(r.Captions) > 0 {
			continue
		}
		if r.Origin == r.Image { // of a folder
			return fmt.Errorf("%s: no caption; it belongs into %s.txt", r.Image, strings.TrimSuffix(r.Image, filepath.Ext(r.Image)))
		}
		return fmt.Errorf("%s: no caption", r.Origin)
	}
	return nil
}

// overLLM prepares a recipe over --init and a language model: the pictures, and the model's folder.
func (t *trainCommand) overLLM(ctx context.Context, backend compute.Backend, recipe string, c *recipes.Common, e *recipes.Encoding, set *datasets.Set, o *recipes.Options) (*infer.Pictures, string, error) {
	llm, err := t.towerLLM(ctx, backend, set, *o)
	if err != nil {
		return nil, "", err
	}
	processor, err := infer.ImageProcessor(t.init)
	if err != nil {
		return nil, "", err
	}
	pictures, err := t.read(recipe, set, processor, e.Streams(*o), o)
	if err != nil {
		return nil, "", err
	}
	t.fitBatch(recipe, c, pictures.Len(), t.batchChosen(""))
	return pictures, llm, nil
}

func (t *trainCommand) lm(ctx context.Context, backend compute.Backend, s *recipes.LMSettings, set *datasets.Set, o recipes.Options, batchChosen bool) (train.Summary, error) {
	t.fitBatch("lm", &s.Common, len(set.Records), batchChosen)
	return recipes.LM(ctx, backend, s, set.Records, o)
}

// towerVision is --vision, or a tower trained on the same data first.
func (t *trainCommand) towerVision(ctx context.Context, backend compute.Backend, set *datasets.Set, o recipes.Options) (string, error) {
	if t.vision != "" {
		return t.vision, nil
	}
	o.Dir = filepath.Join(t.out, "vision")
	folder := filepath.Join(o.Dir, "final")
	if exists(filepath.Join(folder, checkpoints.ConfigFile)) {
		return folder, nil
	}
	s := t.clipTower
	pictures, err := t.loadFor(s, set, &o)
	if err != nil {
		return "", err
	}
	o.HeldOut, o.Resume = nil, true
	t.note("no --vision: first training an image tower on the same pictures, %d steps of recipe clip, into %s", s.Steps, o.Dir)
	t.fitBatch("clip", &s.Common, pictures.Len(), t.batchChosen("clip."))
	_, err = recipes.CLIP(ctx, backend, s, pictures, o)
	return folder, err
}

// towerLLM is --llm, or a language model trained on the captions first.
func (t *trainCommand) towerLLM(ctx context.Context, backend compute.Backend, set *datasets.Set, o recipes.Options) (string, error) {
	if t.llm != "" {
		return t.llm, nil
	}
	o.Dir = filepath.Join(t.out, "llm")
	folder := filepath.Join(o.Dir, "final")
	if exists(filepath.Join(folder, checkpoints.ConfigFile)) {
		return folder, nil
	}
	s := t.lmTower
	o.Resume = true
	t.note("no --llm: first training a language model on the captions, %d steps of recipe lm, into %s", s.Steps, o.Dir)
	_, err := t.lm(ctx, backend, s, set, o, t.batchChosen("lm."))
	return folder, err
}

// batchChosen says whether the user set the batch of the recipe, or of the tower with this prefix.
func (t *trainCommand) batchChosen(tower string) bool {
	return t.batch > 0 && tower == "" || slices.ContainsFunc(t.set, func(s string) bool { return strings.HasPrefix(s, tower+"batch=") })
}

// fitBatch shrinks a recipe's own batch to a small data set and to the number of devices; a batch
// that the user chose stays.
func (t *trainCommand) fitBatch(name string, c *recipes.Common, records int, chosen bool) {
	if chosen {
		return
	}
	devices := max(t.devices, 1)
	fits := max(min(c.Batch, records)/devices, 1) * devices
	if fits != c.Batch {
		t.note("%s: batches of %d instead of %d, for %d records on %d device(s)", name, fits, c.Batch, records, devices)
		c.Batch = fits
	}
}
