package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/checkpoints/convert"
	"goblip/internal/golden"
)

// openConverted opens a checkpoint for the length of a test.
func openConverted(t *testing.T, path string, o convert.Options) *convert.Model {
	t.Helper()
	m, err := convert.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestConvertOutputs takes a model of each family through a .pth of its original names, runs both sides,
// and wants no difference; then it spoils one number of one tensor, which must show.
func TestConvertOutputs(t *testing.T) {
	for name, c := range map[string]struct {
		spoiled string // a tensor
		outputs int
	}{
		"blip-captioning": {"text_decoder.bert.encoder.layer.0.crossattention.self.value.weight", 3},
		"blip-itm":        {"text_encoder.encoder.layer.1.output.dense.bias", 5},
		"blip-vqa":        {"text_encoder.encoder.layer.0.attention.self.value.bias", 2},
		"blip2-opt":       {"language_model.model.decoder.layers.0.fc2.bias", 4},
		"blip2-t5":        {"language_model.decoder.block.0.layer.0.SelfAttention.v.weight", 5},
		"instructblip":    {"qformer.encoder.layer.0.attention.attention.value.weight", 5},
		"blip2-retrieval": {"text_projection.bias", 6},
		"clip-quickgelu":  {"text_model.encoder.layers.0.mlp.fc2.bias", 5},
		"opt-350m-layout": {"model.decoder.layers.0.fc1.bias", 1},
		"t5-relu-tied":    {"encoder.block.0.layer.0.SelfAttention.v.weight", 2},
		"bert":            {"encoder.layer.0.output.dense.bias", 2},
	} {
		t.Run(name, func(t *testing.T) {
			backend := golden.Go(t)
			source := filepath.Join(golden.Open(t, name).Dir(), "model")
			from := openConverted(t, source, convert.Options{})
			path := filepath.Join(t.TempDir(), "a.pth")
			if err := from.WriteTorch(path, true); err != nil {
				t.Fatal(err)
			}
			back := openConverted(t, path, convert.Options{})
			d, err := compareOutputs(backend, from, back, source, path, true)
			if err != nil {
				t.Fatal(err)
			}
			if d.NotRun != "" || *d.Largest != 0 || len(d.Outputs) != c.outputs || d.Magnitude == 0 || d.check(false) != nil {
				t.Fatalf("a .pth gives other outputs: %+v", d)
			}

			tensor, ok := back.Tensors[c.spoiled]
			if !ok {
				t.Fatalf("no tensor %s", c.spoiled)
			}
			back.Tensors[c.spoiled] = spoil(tensor)
			d, err = compareOutputs(backend, from, back, source, path, true)
			if err != nil {
				t.Fatal(err)
			}
			if *d.Largest == 0 || d.LargestIn == "" || d.Relative == 0 || d.check(false) == nil {
				t.Errorf("a spoiled tensor does not show: largest %g", *d.Largest)
			}
		})
	}
}

// spoil adds 1 to the first number of a tensor.
func spoil(d checkpoints.Deferred) checkpoints.Deferred {
	read := d.Read
	d.Read = func() (*tensors.Tensor, error) {
		value, err := read()
		if err != nil {
			return nil, err
		}
		flat, err := tensors.CopyFlatData[float32](value)
		if err != nil {
			return nil, err
		}
		flat[0]++
		return tensors.FromFlatDataAndDimensions(flat, value.Shape().Dimensions...), nil
	}
	return d
}

// TestConvertSaysOutputs runs the command: outputs that are equal, rounded, not asked for, or cannot be
// computed.
func TestConvertSaysOutputs(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	model := filepath.Join(golden.Open(t, "opt-350m-layout").Dir(), "model")
	status, stdout, stderr := runLine(t, "convert", model, at("a.pth"))
	if status != 0 || !strings.Contains(stdout, "largest difference of outputs 0 (logits)") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	var c conversion
	jsonOf(t, &c, "convert", at("a.pth"), at("half"), "--dtype", "bf16")
	o := c.Outputs
	if o == nil || o.NotRun != "" || *o.Largest == 0 || o.Relative == 0 || o.Relative > 0.1 || o.Magnitude == 0 || o.LargestIn != "logits" || !c.Equal {
		t.Fatalf("rounded: %+v", o)
	}
	var text strings.Builder
	if err := o.print(&text, "bf16"); err != nil || !strings.Contains(text.String(), fmt.Sprintf("rounded to bf16: largest difference of outputs %g, in logits, whose numbers are up to %g", *o.Largest, o.Magnitude)) {
		t.Errorf("%s, %v", text.String(), err)
	}
	c = conversion{}
	jsonOf(t, &c, "convert", model, at("b.pth"), "--outputs", "no")
	if o := c.Outputs; o == nil || o.NotRun != "--outputs no" || o.Largest != nil {
		t.Errorf("not asked for: %+v", o)
	}

	// Tensors alone do not say what they are of.
	if status, _, stderr := runLine(t, "convert", model, at("a.safetensors"), "--outputs", "no"); status != 0 {
		t.Fatal(stderr)
	}
	status, stdout, _ = runLine(t, "convert", at("a.safetensors"), at("b.safetensors"))
	if status != 0 || !strings.Contains(stdout, "outputs were not compared: no config.json") {
		t.Errorf("status %d: %s", status, stdout)
	}
	status, _, stderr = runLine(t, "convert", at("a.safetensors"), at("c.safetensors"), "--outputs", "yes")
	if status != exitFailed || !strings.Contains(stderr, "--outputs yes: no config.json") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status, _, stderr = runLine(t, "convert", model, at("x"), "--outputs", "some"); status != exitUsage || !strings.Contains(stderr, "--outputs some") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// TestConvertLargeModels wants a large model to run only if asked for.
func TestConvertLargeModels(t *testing.T) {
	m := openConverted(t, filepath.Join(golden.Open(t, "bert").Dir(), "model"), convert.Options{})
	if reason := notToRun(m, outputsAuto); reason != "" {
		t.Errorf("a small model: %s", reason)
	}
	large := m.Tensors["embeddings.word_embeddings.weight"]
	large.Shape.DType, large.Shape.Dimensions = dtypes.BFloat16, []int{1 << 20, 1025} // 4 GiB and 4 MiB in float32
	m.Tensors["embeddings.word_embeddings.weight"] = large
	if reason := notToRun(m, outputsAuto); !strings.Contains(reason, "more than 4.0 GiB") {
		t.Errorf("a large model: %q", reason)
	}
	if reason := notToRun(m, outputsYes); reason != "" {
		t.Errorf("a large model that is asked for: %s", reason)
	}
}

func TestDifferenceOf(t *testing.T) {
	of := func(values ...float32) []checkpoints.Named {
		return []checkpoints.Named{{Name: "logits", Tensor: tensors.FromValue(values)}}
	}
	nan := float32(math.NaN())
	for name, c := range map[string]struct {
		want, got        []checkpoints.Named
		exact, asRounded bool // whether check passes
	}{
		"equal":      {of(1, -4), of(1, -4), true, true},
		"all zero":   {of(0, 0), of(0, 0), true, true},
		"different":  {of(1, -4), of(1, -3), false, true},
		"from zero":  {of(0, 0), of(0, 1), false, true},
		"tiny":       {of(1, -4), of(1, -4.000001), true, true},
		"not finite": {of(1, -4), of(1, nan), false, false},
	} {
		d, err := differenceOf(c.want, c.got)
		if err != nil {
			t.Fatal(err)
		}
		if (d.check(false) == nil) != c.exact || (d.check(true) == nil) != c.asRounded {
			t.Errorf("%s: %v, %v: %+v", name, d.check(false), d.check(true), d)
		}
	}
	if d, err := differenceOf(of(nan), of(nan)); err != nil || d.NotRun == "" {
		t.Errorf("outputs that are not finite prove nothing: %+v, %v", d, err)
	}
}
