package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/spf13/cobra"

	"goblip/checkpoints/convert"
)

// convertCommand is "goblip convert".
type convertCommand struct {
	config, dtype, names, shardSize, outputs string
	frozen, drop                             []string
	json                                     bool
}

// conversion is what convert prints with --json.
type conversion struct {
	Source      string             `json:"source"`
	Destination string             `json:"destination"`
	Class       string             `json:"class,omitempty"` // of the tensors' names and shapes, if they were checked
	DType       string             `json:"dtype,omitempty"` // that floating-point tensors became
	Equal       bool               `json:"equal"`
	Proof       *convert.Proof     `json:"proof"`
	Rounding    *float64           `json:"rounding,omitempty"`  // largest difference that the new precision makes
	Outputs     *outputsDifference `json:"outputs"`             // of SRC, not rounded, and DST, run on the same inputs
	Unchecked   string             `json:"unchecked,omitempty"` // why Class is empty
	Notes       []string           `json:"notes,omitempty"`
}

func newConvertCommand() *cobra.Command {
	c := &convertCommand{}
	command := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Turn checkpoints into one another: folders of transformers, .pth of LAVIS and BLIP, safetensors",
		Long: `Turn a checkpoint into another kind, and prove that nothing was lost: both are read again and compared
byte for byte; the largest difference is printed, and the exit status is 1 if there is any. Then both
run on the same random picture and text, and the largest difference of their outputs is printed: 0, or
with --dtype what rounding makes of the outputs. Models of more than 4 GiB in float32 run only with
--outputs yes: it takes the time and the memory of one such model, twice in turn. What does not run, and
why, is printed.

SRC is a model folder, a model of the Hugging Face hub, a .pth, .pt, .bin or .safetensors file. DST
decides what is written:
  a folder                 for transformers: safetensors, config.json, tokenizer and processor files
  NAME.pth, .pt, .ckpt     for LAVIS or BLIP: {"model": ...} under their names, with the folder's files
                           beside it, so that it can become a folder again
  NAME.bin                 a bare state dict under transformers' names
  NAME.safetensors         the tensors alone, under transformers' names
It appears whole or not at all. Tensors are read and written one at a time.

If config.json names a class that goblip knows, every tensor of the class must be there and no other.
LAVIS saves only what it trained: --frozen takes the rest from other files and folders, such as
eva_vit_g.pth, an OPT or T5 folder, or a folder of the whole model. Nothing in a .pth is executed.`,
		Example: `  goblip convert Salesforce/blip2-opt-2.7b blip2.pth
  goblip convert model_base_caption.pth caption --config Salesforce/blip-image-captioning-base
  goblip convert checkpoint_9.pth tuned --config Salesforce/blip2-opt-2.7b --frozen Salesforce/blip2-opt-2.7b
  goblip convert runs/stage2/final small --dtype bf16`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0], args[1]) },
	}
	flags := command.Flags()
	flags.StringVar(&c.config, "config", "", "folder or hub model with config.json and tokenizer files, or a config.json, for a SRC without")
	flags.StringArrayVar(&c.frozen, "frozen", nil, "file, folder or hub model with tensors that SRC lacks; may be repeated")
	flags.StringArrayVar(&c.drop, "drop", nil, "leave out tensors whose name fits this pattern, such as \"text_encoder.*\"; may be repeated")
	flags.StringVar(&c.dtype, "dtype", "", "f32, f16 or bf16: the precision of floating-point tensors; default: as they are")
	flags.StringVar(&c.names, "names", "", "original (LAVIS', BLIP's) or hf: the names in a .pth; default: original")
	flags.StringVar(&c.shardSize, "shard-size", "5GB", "split the weights of a folder above this size")
	flags.StringVar(&c.outputs, "outputs", outputsAuto, "run both models and compare their outputs: auto (up to 4 GiB in float32), yes or no")
	flags.BoolVar(&c.json, "json", false, "print the proof as JSON")
	return command
}

func (c *convertCommand) run(cmd *cobra.Command, source, destination string) error {
	debug.SetGCPercent(garbagePercent)
	if err := checkOutputs(c.outputs); err != nil {
		return err
	}
	write, err := c.writer(destination)
	if err != nil {
		return err
	}
	options, err := c.options(cmd)
	if err != nil {
		return err
	}
	from, err := modelFolder(cmd, source, true)
	if err != nil {
		return err
	}
	same, err := samePath(from, destination)
	if err == nil && same {
		err = usagef("SRC and DST are the same: %s", destination)
	}
	if err != nil {
		return err
	}
	model, err := convert.Open(from, options)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(destination)), 0o755); err != nil {
		return err
	}
	if err := write(model); err != nil {
		return err
	}
	return c.prove(cmd, model, from, destination, options)
}

// garbagePercent is how much memory, in percent of what is used, may wait to be collected: tensors are
// large, and there are few at a time.
const garbagePercent = 20

// shownBytes is the size from which on a conversion shows its progress.
const shownBytes = 1 << 30

// options reads the flags.
func (c *convertCommand) options(cmd *cobra.Command) (convert.Options, error) {
	o := convert.Options{Drop: c.drop}
	var err error
	if o.DType, err = parseDType(c.dtype); err != nil {
		return o, err
	}
	for _, pattern := range c.drop {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return o, usagef("--drop %s: %v", pattern, err)
		}
	}
	if c.config != "" {
		if o.Config, err = modelFolder(cmd, c.config, false); err != nil {
			return o, err
		}
	}
	for _, name := range c.frozen {
		folder, err := modelFolder(cmd, name, true)
		if err != nil {
			return o, err
		}
		o.Frozen = append(o.Frozen, folder)
	}
	return o, nil
}

// writer says how the destination is written.
func (c *convertCommand) writer(destination string) (func(*convert.Model) error, error) {
	if c.names != "" && c.names != "hf" && c.names != "original" {
		return nil, usagef("--names %s: must be original or hf", c.names)
	}
	shardBytes, err := parseBytes(c.shardSize)
	if err != nil {
		return nil, usagef("--shard-size %s: %v", c.shardSize, err)
	}
	kind := strings.ToLower(filepath.Ext(destination))
	if stat, err := os.Stat(destination); err == nil && stat.IsDir() {
		kind = ""
	}
	switch kind {
	case ".pth", ".pt", ".ckpt":
		return func(m *convert.Model) error { return m.WriteTorch(destination, c.names != "hf") }, nil
	case ".bin", ".safetensors":
		if c.names == "original" {
			return nil, usagef("--names original: a %s file has transformers' names; write a .pth", kind)
		}
		if kind == ".bin" {
			return func(m *convert.Model) error { return m.WriteTorch(destination, false) }, nil
		}
		return func(m *convert.Model) error { return m.WriteSafetensors(destination) }, nil
	}
	if c.names == "original" {
		return nil, usagef("--names original: a folder has transformers' names; write a .pth")
	}
	return func(m *convert.Model) error { return m.WriteFolder(destination, shardBytes) }, nil
}

// prove reads what was written as anybody would, and compares.
func (c *convertCommand) prove(cmd *cobra.Command, model *convert.Model, source, destination string, o convert.Options) error {
	written, err := model.Reopen(destination)
	if err != nil {
		return fmt.Errorf("what was written cannot be read: %w", err)
	}
	defer written.Close()
	bar := barFor("comparing tensors", len(model.Tensors), c.json || model.Bytes() < shownBytes)
	proof, err := convert.Compare(model, written, bar.Update)
	if err != nil {
		return err
	}
	bar.Done()
	result := conversion{Source: source, Destination: destination, DType: c.dtype, Proof: proof, Equal: proof.Equal(), Unchecked: model.Unchecked, Notes: model.Notes}
	if model.Layout != nil {
		result.Class = model.Layout.Class
	}
	unrounded := model
	if o.DType != dtypes.InvalidDType {
		exact := o
		exact.DType = dtypes.InvalidDType
		if unrounded, err = convert.Open(source, exact); err != nil {
			return err
		}
		defer unrounded.Close()
		if err := result.compareUnrounded(unrounded, written); err != nil {
			return err
		}
	}
	if result.Outputs, err = c.runBoth(cmd, unrounded, written, source, destination); err != nil {
		return err
	}
	if c.json {
		err = writeJSON(cmd.OutOrStdout(), &result)
	} else {
		err = result.print(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	outputs := result.Outputs.check(unrounded != model)
	if !result.Equal {
		err = fmt.Errorf("%s: differs from %s: %d tensors differ, %d are missing, %d are too many; the first: %s", destination, source,
			len(proof.Different), len(proof.Missing), len(proof.Unexpected), append(append(proof.Different, proof.Missing...), proof.Unexpected...)[0])
	} else if outputs != nil {
		outputs = fmt.Errorf("%s: %w", destination, outputs)
	}
	return failure(err, outputs)
}

// compareUnrounded says how much the new precision changed.
func (r *conversion) compareUnrounded(unrounded, written *convert.Model) error {
	proof, err := convert.Compare(unrounded, written, nil)
	if err != nil {
		return err
	}
	r.Rounding = &proof.Largest
	return nil
}

func (r *conversion) print(out io.Writer) error {
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	if r.Class != "" {
		fmt.Fprintf(out, "names and shapes are those of %s\n", r.Class)
	} else {
		fmt.Fprintf(out, "whether tensors are missing was not checked: %s\n", r.Unchecked)
	}
	if r.Rounding != nil {
		fmt.Fprintf(out, "rounding to %s changed numbers by at most %g\n", r.DType, *r.Rounding)
	}
	if err := r.Outputs.print(out, r.DType); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s: %d tensors, %d bytes, largest difference %g\n", r.Destination, r.Proof.Tensors, r.Proof.Bytes, r.Proof.Largest)
	return err
}

func parseDType(name string) (dtypes.DType, error) {
	switch strings.ToLower(name) {
	case "":
		return dtypes.InvalidDType, nil
	case "f32", "fp32", "float32":
		return dtypes.Float32, nil
	case "f16", "fp16", "float16":
		return dtypes.Float16, nil
	case "bf16", "bfloat16":
		return dtypes.BFloat16, nil
	}
	return dtypes.InvalidDType, usagef("--dtype %s: must be f32, f16 or bf16", name)
}

// parseBytes reads a size such as 5GB, 500MB or 1000; 0 is no limit.
func parseBytes(size string) (int64, error) {
	number, factor := strings.ToUpper(strings.TrimSpace(size)), int64(1)
	for unit, f := range map[string]int64{"KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, factor = rest, f
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, errors.New("must be a size such as 5GB or 500MB")
	}
	return n * factor, nil
}

// samePath says whether two paths are one file or folder.
func samePath(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second), nil
}
