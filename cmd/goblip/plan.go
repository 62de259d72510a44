package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/internal/pjrt"
	"goblip/models/blip2"
	"goblip/scripts"
	"goblip/train"
	"goblip/train/plan"
)

// planCommand holds the flags of "goblip plan".
type planCommand struct {
	device, precision, shard, checkpoint string
	vision, llm, config                  string
	batch, text, steps                   int
	compile, asJSON                      bool
	export, python                       string
}

// planResult is printed by --json.
type planResult struct {
	Recipe   string         `json:"recipe"`
	Steps    int            `json:"steps"`
	Estimate *plan.Estimate `json:"estimate"`
	Products float64        `json:"program_product_flops,omitempty"` // in the exported program, of a chip
	Compiled *compiled      `json:"compiled,omitempty"`
}

// compiled is what scripts/aot_compile.py prints.
type compiled struct {
	Target         string  `json:"target"`
	Devices        int     `json:"devices"`
	CompileSeconds float64 `json:"compile_seconds"`
	Argument       float64 `json:"argument_bytes"`
	Output         float64 `json:"output_bytes"`
	Alias          float64 `json:"alias_bytes"`
	Temp           float64 `json:"temp_bytes"`
	Peak           float64 `json:"peak_bytes"`
	Flops          float64 `json:"flops,omitempty"`
	ProductFlops   float64 `json:"product_flops,omitempty"`
	BytesAccessed  float64 `json:"bytes_accessed,omitempty"`
	Collectives    map[string]struct {
		Count   int      `json:"count"`
		Bytes   float64  `json:"bytes"`
		Largest []tensor `json:"largest"`
	} `json:"collectives"`
}

// tensor is a kind of result of a collective.
type tensor struct {
	Type  string  `json:"type"`
	Dims  []int   `json:"dims"`
	Count int     `json:"count"`
	Bytes float64 `json:"bytes"` // of all of them
}

func newPlanCommand() *cobra.Command {
	p := &planCommand{}
	command := &cobra.Command{
		Use:   "plan RECIPE --device KIND-COUNT",
		Short: "Tell the memory, arithmetic and time that training needs, before anything is bought",
		Long: `Tell what a stage of BLIP-2 needs on accelerators: memory of a chip, arithmetic, what is sent between
chips, the step's time and what bounds it, days and chip hours. Sizes, batch and steps are the paper's
unless told otherwise. The estimate is counted from the sizes, in milliseconds, without any device.

With --compile the step that training would run is exported and compiled by XLA for those devices,
none of which has to be here, and XLA's own figures are printed beside the estimate. That takes
minutes, a Python with jax (TPU: jax libtpu; GPU: jax[cuda13]) and, at full size, gigabytes.`,
		Example: `  goblip plan blip2/stage1 --device v5e-32
  goblip plan blip2/stage2 --lm flan-t5-xl --device h100x8 --precision f32
  goblip plan blip2/stage1 --device v5e-8 --batch 64 --compile`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) },
	}
	flags := command.Flags()
	flags.StringVar(&p.device, "device", "", "kind and number of chips: v5e-8, v5p-16, v6e-8, h100x8, a100x16, a100-40x16")
	flags.StringVar(&p.precision, "precision", "bf16", strings.Join(train.Precisions, " or "))
	flags.StringVar(&p.shard, "shard", "none", "what chips divide among each other: "+strings.Join(train.Shards, ", "))
	flags.StringVar(&p.checkpoint, "checkpointing", "none", "what the backward pass computes again: "+strings.Join(train.Checkpoints, ", "))
	flags.StringVar(&p.vision, "tower", "vit-g", "image tower: "+strings.Join(plan.Visions, " or "))
	flags.StringVar(&p.llm, "lm", "opt-2.7b", "language model of stage 2: "+strings.Join(plan.LLMs, ", "))
	flags.StringVar(&p.config, "config", "", "a BLIP-2's config.json, whose sizes replace the paper's")
	flags.IntVar(&p.batch, "batch", 0, "pictures a step, over all chips (0: the paper's, rounded up to a multiple of the chips)")
	flags.IntVar(&p.text, "text", 0, "tokens of a text (0: 32)")
	flags.IntVar(&p.steps, "steps", 0, "optimizer steps (0: the paper's)")
	flags.BoolVar(&p.compile, "compile", false, "compile the step for the devices and print XLA's figures")
	flags.StringVar(&p.export, "export", "", "write the step as a StableHLO text to this file")
	flags.StringVar(&p.python, "python", "python3", "for --compile: a Python with jax")
	flags.BoolVar(&p.asJSON, "json", false, "print a line of JSON")
	requireFlags(command, "device")
	command.AddCommand(newPlanCapfiltCommand())
	return command
}

func (p *planCommand) run(cmd *cobra.Command, recipe string) error {
	slice, err := plan.ParseDevices(p.device)
	if err != nil {
		return usageError{err}
	}
	job, err := p.job(recipe)
	if err != nil {
		return err
	}
	job.SendStates = slice.Count > 1
	if p.batch == 0 {
		job.Batch = (job.Batch + slice.Count - 1) / slice.Count * slice.Count
	}
	estimate, err := job.Estimate(slice, p.shard)
	if err != nil {
		return usageError{err}
	}
	result := &planResult{Recipe: recipe, Steps: job.Steps, Estimate: estimate}
	if !p.compile && p.export == "" {
		return p.print(cmd.OutOrStdout(), job, slice, result)
	}
	if !p.asJSON {
		if err := p.print(cmd.OutOrStdout(), job, slice, result); err != nil {
			return err
		}
	}
	if err := p.compileStep(cmd, job, slice, result); err != nil {
		return err
	}
	if p.asJSON {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	return result.printCompiled(cmd.OutOrStdout())
}

// job is the paper's, with the flags' changes.
func (p *planCommand) job(recipe string) (*plan.Job, error) {
	job, err := plan.Paper(recipe, p.vision, p.llm)
	if err != nil {
		return nil, usageError{err}
	}
	if p.config != "" {
		c := blip2.Default()
		if err := checkpoints.ReadConfigFile(p.config, &c); err != nil {
			return nil, err
		}
		job.Config, job.Source = c, p.config
	}
	job.Precision, job.Remat = p.precision, p.checkpoint
	for _, n := range []struct {
		flag string
		to   *int
		is   int
	}{{"batch", &job.Batch, p.batch}, {"text", &job.Text, p.text}, {"steps", &job.Steps, p.steps}} {
		if n.is < 0 {
			return nil, usagef("--%s %d: must not be negative", n.flag, n.is)
		}
		if n.is > 0 {
			*n.to = n.is
		}
	}
	return job, nil
}

// compileStep exports the step, and compiles it if asked to.
func (p *planCommand) compileStep(cmd *cobra.Command, job *plan.Job, slice plan.Devices, result *planResult) error {
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	exporter, err := pjrt.NewExporter(backend, slice.Count)
	if err != nil {
		return err
	}
	objective, inputs := job.Objective()
	settings := job.Settings(slice.Count)
	settings.Shard, settings.Checkpoint = p.shard, result.Estimate.Checkpoint
	program, err := train.Export(exporter, objective, settings, inputs)
	if err != nil {
		return err
	}
	products, err := plan.Products(program)
	if err != nil {
		return err
	}
	result.Products = products / float64(slice.Count)
	path := p.export
	if path == "" {
		dir, err := os.MkdirTemp("", "goblip-plan-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // scratch
		path = filepath.Join(dir, "step.mlir")
	}
	if err := os.WriteFile(path, program, 0o644); err != nil {
		return err
	}
	if !p.compile {
		return nil
	}
	if !p.asJSON {
		cmd.PrintErrf("compiling for %s; this takes minutes\n", slice)
	}
	run := exec.CommandContext(cmd.Context(), p.python, "-", path, "--devices", strconv.Itoa(slice.Count), "--target", strings.TrimSuffix(slice.Chip.Name, "-40"))
	run.Stdin = strings.NewReader(scripts.AOTCompile)
	var stderr strings.Builder
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("--python %s: %w", p.python, err)
		}
		return fmt.Errorf("compiling failed: %s", lines[len(lines)-1])
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return json.Unmarshal([]byte(lines[len(lines)-1]), &result.Compiled)
}

// print writes the estimate as people read it.
func (p *planCommand) print(out io.Writer, job *plan.Job, slice plan.Devices, r *planResult) error {
	if p.asJSON {
		return writeJSON(out, r)
	}
	e := r.Estimate
	m := e.Memory
	size := func(b float64) string { return formatBytes(uint64(b)) }
	fits := "fits"
	if !e.Fits {
		fits = "DOES NOT FIT; try more chips, --checkpointing blocks, --shard optimizer or full, a smaller --batch"
	}
	kept, checkpointed := "", ""
	for _, kind := range slices.SortedFunc(maps.Keys(m.Kept), func(a, b string) int { return cmp.Compare(m.Kept[b], m.Kept[a]) }) {
		kept += fmt.Sprintf("\n      %-11s %s", size(m.Kept[kind]), kind)
	}
	if e.Why != "" {
		checkpointed = fmt.Sprintf("  checkpointing %s: %s\n", e.Checkpoint, e.Why)
	}
	sent := ""
	for _, t := range e.Traffic {
		sent += fmt.Sprintf("    %-11s %s: %s\n", size(t.Bytes), t.What, t.Why)
	}
	_, err := fmt.Fprintf(out, `%s on %s, %s, batch %d (%d a chip), %d steps; sizes of %s
  parameters    %.1f M trained, %.1f M frozen
  memory/chip   %s of %s: %s
    weights     %s
    optimizer   %s
    gradients   %s, and copies in %s %s
    activations %s%s
    working     %s, inputs %s
%s  a step, chip  %.3g flop, %s read and written, %s sent
%s  roofline      compute %s, memory %s, interconnect %s: %s bound
  step time     %s (compute at %.0f %% of the peak)
  the recipe    %.1f days, %.0f chip hours
`, r.Recipe, slice, e.Precision, e.Batch, e.Batch/e.Devices, r.Steps, job.Source, float64(e.Trained)/1e6, float64(e.Frozen)/1e6,
		size(e.MemoryTotal), size(slice.Chip.Memory), fits, size(m.Weights), size(m.Optimizer), size(m.Gradients), e.Precision, size(m.Copies),
		size(m.Activations), kept, size(m.Working), size(m.Inputs), checkpointed, e.Flops, size(e.Bytes), size(e.Sent), sent,
		milliseconds(e.Compute), milliseconds(e.MemoryTime), milliseconds(e.Interconnect), e.Bound, milliseconds(e.Step), 100*slice.Chip.MFU, e.Days, e.ChipHours)
	return err
}

func milliseconds(s float64) string { return fmt.Sprintf("%.1f ms", 1000*s) }

// printCompiled writes XLA's figures beside the estimate's.
func (r *planResult) printCompiled(out io.Writer) error {
	if r.Compiled == nil {
		return nil
	}
	c, e := r.Compiled, r.Estimate
	size := func(b float64) string { return formatBytes(uint64(b)) }
	flops, what := c.Flops, "flop"
	if flops == 0 {
		flops, what = c.ProductFlops, "flop of products"
	}
	fmt.Fprintf(out, "XLA, %d x %s, compiled in %.0f s\n", c.Devices, c.Target, c.CompileSeconds)
	fmt.Fprintf(out, "  memory/chip   %s: arguments %s, written over %s, temporary %s (estimate %+.1f %%)\n", size(c.Peak), size(c.Argument), size(c.Alias), size(c.Temp), 100*(e.MemoryTotal/c.Peak-1))
	fmt.Fprintf(out, "  a step, chip  %.4g %s (estimate %+.1f %%; products in the program %.4g)\n", flops, what, 100*(e.Flops/flops-1), r.Products)
	if c.BytesAccessed > 0 {
		fmt.Fprintf(out, "                %s read and written (estimate %+.1f %%)\n", size(c.BytesAccessed), 100*(e.Bytes/c.BytesAccessed-1))
	}
	for _, name := range []string{"all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"} {
		if k, ok := c.Collectives[name]; ok {
			fmt.Fprintf(out, "  %-20s %4d, %s\n", name, k.Count, size(k.Bytes))
			for _, t := range k.Largest {
				fmt.Fprintf(out, "    %-11s %d x %s%v\n", size(t.Bytes), t.Count, t.Type, t.Dims)
			}
		}
	}
	return nil
}
