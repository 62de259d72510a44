package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gomlx/compute/shapes"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/checkpoints/convert"
	"goblip/checkpoints/layout"
	"goblip/checkpoints/torch"
)

// inspection is what inspect prints.
type inspection struct {
	Path       string             `json:"path"`
	Tensors    []inspectedTensor  `json:"tensors"`
	Count      int                `json:"count"`
	Parameters int64              `json:"parameters"` // numbers in all tensors
	Bytes      int64              `json:"bytes"`
	DTypes     map[string]int64   `json:"dtypes"`           // bytes of each element type
	Config     json.RawMessage    `json:"config,omitempty"` // config.json
	Class      string             `json:"class,omitempty"`  // that the tensors were compared with
	Compared   *layout.Difference `json:"compared,omitempty"`
	Extra      []string           `json:"pretraining,omitempty"` // tensors that only training needs
	Files      []string           `json:"files,omitempty"`       // beside config and weights
	Skipped    []string           `json:"skipped,omitempty"`     // what else a file of torch.save has
	Note       string             `json:"note,omitempty"`        // why nothing was compared
}

// inspectedTensor is one tensor as it lies on disk.
type inspectedTensor struct {
	Name  string `json:"name"`
	As    string `json:"as,omitempty"` // transformers' name, where the file has another
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

func newInspectCommand() *cobra.Command {
	var config string
	var summary, asJSON bool
	command := &cobra.Command{
		Use:   "inspect SRC",
		Short: "List what a checkpoint holds, without loading it",
		Long: `List the tensors of a model folder, a .safetensors, .pth, .pt or .bin file or a model of the Hugging
Face hub, with element types and shapes; and compare them with what the class that config.json names
wants. Only headers are read, so the largest checkpoint takes moments, one on the hub too: its weights
are not downloaded. Nothing in a .pth is executed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tensors, err := openModel(cmd, args[0])
			if err != nil {
				return err
			}
			defer tensors.Close()
			if config != "" {
				if config, err = modelFolder(cmd, config, false); err != nil {
					return err
				}
			}
			found, err := inspect(tensors, config)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), found)
			}
			return found.print(cmd.OutOrStdout(), !summary)
		},
	}
	command.Flags().StringVar(&config, "config", "", "folder or hub model with config.json, or a config.json, to compare with")
	command.Flags().BoolVar(&summary, "summary", false, "totals and differences, without the list of tensors")
	command.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return command
}

// inspect looks at headers.
func inspect(tensors checkpoints.Tensors, config string) (*inspection, error) {
	found := &inspection{Path: tensors.Path(), DTypes: map[string]int64{}, Tensors: []inspectedTensor{}}
	for _, name := range tensors.Names() {
		shape, _ := tensors.Shape(name)
		dtype := checkpoints.TypeName(shape.DType)
		found.Tensors = append(found.Tensors, inspectedTensor{Name: name, DType: dtype, Shape: append([]int{}, shape.Dimensions...)})
		found.Parameters += int64(shape.Size())
		found.Bytes += shape.ByteSize()
		found.DTypes[dtype] += shape.ByteSize()
	}
	found.Count = len(found.Tensors)
	if file, ok := tensors.(*torch.File); ok {
		found.Skipped = file.Skipped()
	}
	return found, found.compare(tensors, config)
}

// compare looks at config.json and what it wants.
func (i *inspection) compare(tensors checkpoints.Tensors, config string) error {
	model, err := convert.Describe(tensors, convert.Options{Config: config})
	if err != nil {
		return err
	}
	i.Config = model.Config
	i.Files = slices.Sorted(maps.Keys(model.Files))
	i.Extra = slices.Sorted(maps.Keys(model.Pretraining))
	for at := range i.Tensors {
		if as := model.Names[i.Tensors[at].Name]; as != i.Tensors[at].Name {
			i.Tensors[at].As = as
		}
	}
	if model.Layout == nil {
		i.Note = "whether tensors are missing was not checked: " + model.Unchecked
		return nil
	}
	i.Class = model.Layout.Class
	all := map[string]shapes.Shape{}
	for name, d := range model.Tensors {
		all[name] = d.Shape
	}
	i.Compared = model.Layout.Compare(all, nil)
	return nil
}

// print writes for people.
func (i *inspection) print(out io.Writer, list bool) error {
	if list {
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, t := range i.Tensors {
			as := ""
			if t.As != "" {
				as = "\t" + t.As
			}
			fmt.Fprintf(table, "%s\t%s\t%v%s\n", t.Name, t.DType, t.Shape, as)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	var types []string
	for _, name := range slices.Sorted(maps.Keys(i.DTypes)) {
		types = append(types, fmt.Sprintf("%s %s", name, formatBytes(uint64(i.DTypes[name]))))
	}
	fmt.Fprintf(out, "%s: %d tensors, %d parameters, %d bytes (%s)\n", i.Path, i.Count, i.Parameters, i.Bytes, strings.Join(types, ", "))
	for _, line := range configSummary(i.Config) {
		fmt.Fprintln(out, line)
	}
	lists := []struct {
		what  string
		names []string
	}{{"files", i.Files}, {"beside the tensors", i.Skipped}, {"for training only", i.Extra}}
	if c := i.Compared; c != nil {
		if c.Empty() {
			fmt.Fprintf(out, "names and shapes are those of %s\n", i.Class)
		}
		lists = append(lists, []struct {
			what  string
			names []string
		}{{"missing from " + i.Class, c.Missing}, {"not of " + i.Class, c.Unexpected}, {"of another shape", c.Shapes}}...)
	} else if i.Note != "" {
		fmt.Fprintln(out, i.Note)
	}
	for _, l := range lists {
		if len(l.names) > 0 {
			fmt.Fprintf(out, "%s (%d): %s\n", l.what, len(l.names), strings.Join(l.names, ", "))
		}
	}
	return nil
}

// summaryKeys are the keys of a config.json that say how large a model is.
var summaryKeys = []string{
	"model_type", "num_query_tokens", "image_size", "patch_size", "hidden_size", "d_model", "num_hidden_layers", "num_layers", "num_attention_heads", "num_heads",
	"intermediate_size", "ffn_dim", "d_ff", "vocab_size", "hidden_act", "layer_norm_eps", "image_text_hidden_size", "projection_dim", "dtype", "torch_dtype",
}

// configSummary is a line for the config and one for each part of it.
func configSummary(config []byte) []string {
	var top map[string]json.RawMessage
	if len(config) == 0 || json.Unmarshal(config, &top) != nil {
		return nil
	}
	describe := func(name string, values map[string]json.RawMessage) string {
		line := name + ":"
		for _, key := range summaryKeys {
			if value, ok := values[key]; ok && string(value) != "null" && len(value) < 60 {
				line += fmt.Sprintf(" %s %s", key, strings.Trim(string(value), `"`))
			}
		}
		return line
	}
	var architectures []string
	_ = json.Unmarshal(top["architectures"], &architectures)
	lines := []string{describe(strings.Join(append([]string{checkpoints.ConfigFile}, architectures...), " "), top)}
	for _, part := range []string{"vision_config", "qformer_config", "text_config"} {
		var values map[string]json.RawMessage
		if json.Unmarshal(top[part], &values) == nil && len(values) > 0 {
			lines = append(lines, describe("  "+part, values))
		}
	}
	return lines
}
