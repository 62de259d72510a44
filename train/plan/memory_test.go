package plan

import (
	"math"
	"strings"
	"testing"

	"goblip/models/blip2"
	"goblip/models/t5"
)

// shortened is a stage of the paper's widths with few blocks, batch 24, as XLA compiled it.
func shortened(t *testing.T, recipe, llm, precision string) *Job {
	t.Helper()
	j, err := Paper(recipe, "vit-g", "opt-2.7b")
	if err != nil {
		t.Fatal(err)
	}
	j.Batch, j.Precision = 24, precision
	c := &j.Config
	keep := c.QFormer.UseQFormerTextInput
	*c = blip2.Default()
	c.Vision.NumHiddenLayers, c.QFormer.NumHiddenLayers, c.QFormer.VocabSize, c.QFormer.UseQFormerTextInput = 2, 4, 30523, keep
	c.Architectures = []string{blip2.RetrievalClass}
	if recipe == "blip2/stage2" {
		c.Architectures = []string{blip2.GenerationClass}
		t := &c.Text
		t.NumHiddenLayers, t.HiddenSize, t.WordEmbedProjDim, t.FFNDim, t.NumAttentionHeads, t.VocabSize, t.Dropout = 2, 2560, 2560, 10240, 32, 50304, 0
	}
	if llm == "t5" {
		t := t5.Default()
		t.DModel, t.DKV, t.NumHeads, t.DFF, t.NumLayers, t.NumDecoderLayers, t.VocabSize = 1024, 64, 16, 2816, 4, 4, 32128
		t.IsGatedAct, t.DenseActFn, t.UntiedHead, t.DropoutRate = true, "gelu", false, 0
		c.T5 = &t
	}
	return j
}

// TestMemoryIsXLAs holds the estimate against what XLA (jaxlib 0.10.2, libtpu 0.0.52) gave buffers to for one
// chip, in MiB.
func TestMemoryIsXLAs(t *testing.T) {
	for _, c := range []struct {
		recipe, llm, precision, device string
		xla, within                    float64
	}{
		{"blip2/stage1", "", "bf16", "h100", 2319, 0.1},
		{"blip2/stage1", "", "f32", "h100", 3241, 0.1},
		{"blip2/stage2", "opt", "bf16", "h100", 1630, 0.1},
		{"blip2/stage2", "opt", "f32", "h100", 2584, 0.1},
		{"blip2/stage2", "t5", "bf16", "h100", 1501, 0.1},
		{"blip2/stage2", "t5", "f32", "h100", 2332, 0.1},
		{"blip2/stage1", "", "bf16", "v5e", 2204, 0.15}, // ITM is over before ITG begins
		{"blip2/stage1", "", "f32", "v5e", 2936, 0.1},
		{"blip2/stage2", "opt", "bf16", "v5e", 1703, 0.1},
		{"blip2/stage2", "opt", "f32", "v5e", 2473, 0.1},
		{"blip2/stage2", "t5", "bf16", "v5e", 1552, 0.1},
		{"blip2/stage2", "t5", "f32", "v5e", 2080, 0.1},
	} {
		d, err := ParseDevices(c.device)
		if err != nil {
			t.Fatal(err)
		}
		e, err := shortened(t, c.recipe, c.llm, c.precision).Estimate(d, "none")
		if err != nil {
			t.Fatal(err)
		}
		got := e.MemoryTotal / (1 << 20)
		t.Logf("%s %s %s %s: %.0f MiB, XLA %.0f (%+.1f %%)", c.recipe, c.llm, c.precision, c.device, got, c.xla, 100*(got/c.xla-1))
		if math.Abs(got/c.xla-1) > c.within {
			t.Errorf("%s %s %s %s: %.0f MiB, XLA's %.0f: more than %.0f %% off; kept: %v", c.recipe, c.llm, c.precision, c.device, got, c.xla, 100*c.within, e.Memory.Kept)
		}
	}
}

// TestDecide wants blocks to be computed again only where a step does not fit otherwise.
func TestDecide(t *testing.T) {
	j := small(1, false)
	line, inputs, err := j.timeline()
	if err != nil {
		t.Fatal(err)
	}
	set := j.Settings(1)
	set.Checkpoint = "none"
	plain := MemoryOf(line, set, inputs, forGPU).Total()
	set.Checkpoint = "blocks"
	if again := MemoryOf(line, set, inputs, forGPU).Total(); again >= plain {
		t.Errorf("%g bytes with blocks computed again, %g without", again, plain)
	}
	for memory, want := range map[float64]string{plain / usable * 1.01: "none", plain / usable * 0.99: "blocks"} {
		if got, why := Decide(line, set, inputs, forGPU, memory, "a test"); got != want || !strings.Contains(why, "a test") {
			t.Errorf("%g bytes of memory: %s (%s), want %s", memory, got, why, want)
		}
	}
}

// TestChipOf wants a device's own words to be understood.
func TestChipOf(t *testing.T) {
	for said, want := range map[string]string{"NVIDIA H100 80GB HBM3": "h100", "NVIDIA A100-SXM4-80GB": "a100", "NVIDIA A100-SXM4-40GB": "a100-40",
		"TPU v5 lite": "v5e", "TPU v5p": "v5p", "TPU v6 lite": "v6e", "Host cpu device": "", "NVIDIA L4": ""} {
		if got, known := ChipOf(said); got.Name != want || known != (want != "") {
			t.Errorf("%q is %q", said, got.Name)
		}
	}
}
