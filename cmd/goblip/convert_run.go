package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/spf13/cobra"

	"goblip/checkpoints"
	"goblip/checkpoints/convert"
	"goblip/infer/forward"
)

// outputsDifference is what running two checkpoints on the same inputs found.
type outputsDifference struct {
	NotRun  string   `json:"not_run,omitempty"` // why the models did not run; nothing else is said then
	Outputs []string `json:"outputs,omitempty"`

	// Largest is the largest difference of two numbers in the same place; it is that of output
	// LargestIn, whose numbers are up to Magnitude in SRC's.
	Largest   *float64 `json:"largest_difference,omitempty"`
	LargestIn string   `json:"largest_in,omitempty"`
	Magnitude float64  `json:"magnitude,omitempty"`

	// Relative is the largest difference of an output divided by its magnitude, over all outputs.
	Relative float64 `json:"relative"`
}

// outputsTolerance is the relative difference up to which outputs of equal tensors count as equal. On
// the CPU there is none; accelerators need not add up in the same order twice.
const outputsTolerance = 1e-5

// maxRunBytes is how large a model, in float32, runs unless it is asked for.
const maxRunBytes = 4 << 30

// Values of --outputs.
const (
	outputsAuto = "auto"
	outputsYes  = "yes"
	outputsNo   = "no"
)

func checkOutputs(value string) error {
	switch value {
	case outputsAuto, outputsYes, outputsNo:
		return nil
	}
	return usagef("--outputs %s: must be auto, yes or no", value)
}

// runBoth compares the outputs of what was read, before any rounding, and of what was written. Why they do
// not run is part of the answer; an error only if --outputs yes asks for it, or what was written does
// not run although what was read does.
func (c *convertCommand) runBoth(cmd *cobra.Command, from, written *convert.Model, source, destination string) (*outputsDifference, error) {
	reason := notToRun(from, c.outputs)
	if reason == "" {
		backend, _, err := openBackend(cmd, 1)
		if err == nil {
			return compareOutputs(backend, from, written, source, destination, c.outputs == outputsYes)
		}
		reason = err.Error()
	}
	if c.outputs == outputsYes {
		return nil, fmt.Errorf("--outputs yes: %s", reason)
	}
	return &outputsDifference{NotRun: reason}, nil
}

// notToRun says what speaks against running a model.
func notToRun(m *convert.Model, outputs string) string {
	size := int64(0)
	for _, d := range m.Tensors {
		size += 4 * int64(d.Shape.Size())
	}
	switch {
	case outputs == outputsNo:
		return "--outputs no"
	case m.Layout == nil:
		return m.Unchecked
	case outputs == outputsAuto && size > maxRunBytes:
		return fmt.Sprintf("they take %s each in float32, more than %s; --outputs yes runs them", formatBytes(uint64(size)), formatBytes(maxRunBytes))
	}
	return ""
}

// compareOutputs runs one model after the other, so that the memory of one is enough.
func compareOutputs(backend compute.Backend, from, written *convert.Model, source, destination string, must bool) (*outputsDifference, error) {
	wanted, err := forward.Sample(backend, from.Layout.Class, from.Config, from.Own(source))
	if err != nil {
		if must {
			return nil, fmt.Errorf("--outputs yes: %w", err)
		}
		return &outputsDifference{NotRun: err.Error()}, nil
	}
	got, err := forward.Sample(backend, from.Layout.Class, written.Config, written.Own(destination))
	if err != nil {
		return nil, fmt.Errorf("what was written does not run, what was read does: %w", err)
	}
	return differenceOf(wanted, got)
}

// differenceOf compares outputs of the same names.
func differenceOf(wanted, got []checkpoints.Named) (*outputsDifference, error) {
	if len(wanted) != len(got) {
		return nil, fmt.Errorf("%d outputs and %d", len(wanted), len(got))
	}
	d := &outputsDifference{Largest: new(float64)}
	for i, want := range wanted {
		largest, err := checkpoints.MaxDifference(want.Tensor, got[i].Tensor)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", want.Name, err)
		}
		magnitude, err := magnitudeOf(want.Tensor)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", want.Name, err)
		}
		if math.IsInf(magnitude, 0) {
			return &outputsDifference{NotRun: fmt.Sprintf("output %s of what was read is not finite", want.Name)}, nil
		}
		largest = min(largest, math.MaxFloat64) // JSON has no infinity
		d.Outputs = append(d.Outputs, want.Name)
		if relative := largest / magnitude; largest > 0 {
			d.Relative = max(d.Relative, min(relative, math.MaxFloat64))
		}
		if largest > *d.Largest || i == 0 {
			*d.Largest, d.LargestIn, d.Magnitude = largest, want.Name, magnitude
		}
	}
	return d, nil
}

// magnitudeOf is the largest absolute value of float32 numbers, infinite if any is not finite.
func magnitudeOf(value *tensors.Tensor) (float64, error) {
	flat, err := tensors.CopyFlatData[float32](value)
	if err != nil {
		return 0, err
	}
	largest := 0.0
	for _, x := range flat {
		if a := math.Abs(float64(x)); a <= math.MaxFloat32 {
			largest = max(largest, a)
		} else {
			return math.Inf(1), nil
		}
	}
	return largest, nil
}

// check is an error where equal tensors give different outputs, or rounded ones some that are no numbers.
func (d *outputsDifference) check(rounded bool) error {
	switch {
	case d.NotRun != "":
		return nil
	case *d.Largest == math.MaxFloat64:
		return fmt.Errorf("output %s of what was written is not finite", d.LargestIn)
	case !rounded && d.Relative > outputsTolerance:
		return fmt.Errorf("the outputs differ by up to %g in %s, whose numbers are up to %g", *d.Largest, d.LargestIn, d.Magnitude)
	}
	return nil
}

// print says it to people. dtype is what numbers were rounded to, "" if they were not.
func (d *outputsDifference) print(out io.Writer, dtype string) error {
	var err error
	switch {
	case d.NotRun != "":
		_, err = fmt.Fprintf(out, "outputs were not compared: %s\n", oneLine(d.NotRun))
	case dtype == "":
		_, err = fmt.Fprintf(out, "run on the same random inputs, largest difference of outputs %g (%s)\n", *d.Largest, strings.Join(d.Outputs, ", "))
	default:
		_, err = fmt.Fprintf(out, "run on the same random inputs, in float32, with weights as in SRC and rounded to %s: largest difference of outputs %g, in %s, whose numbers are up to %g (%s)\n",
			dtype, *d.Largest, d.LargestIn, d.Magnitude, strings.Join(d.Outputs, ", "))
	}
	return err
}

// failure joins what is wrong with tensors and with outputs in one line.
func failure(tensors, outputs error) error {
	if tensors != nil && outputs != nil {
		return fmt.Errorf("%w; %w", tensors, outputs)
	}
	return errors.Join(tensors, outputs)
}
