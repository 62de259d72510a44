package plan

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"goblip/internal/golden"
	"goblip/internal/pjrt"
	"goblip/models/blip2"
	"goblip/models/opt"
	"goblip/models/t5"
	"goblip/train"
)

// small is a job of odd sizes.
func small(stage int, withT5 bool) *Job {
	c := blip2.Default()
	c.NumQueryTokens, c.ImageTextHiddenSize = 5, 24
	v := &c.Vision
	v.HiddenSize, v.IntermediateSize, v.NumHiddenLayers, v.NumAttentionHeads, v.ImageSize, v.PatchSize = 48, 80, 2, 3, 28, 7
	q := &c.QFormer
	q.HiddenSize, q.IntermediateSize, q.NumHiddenLayers, q.NumAttentionHeads = 32, 72, 3, 4
	q.EncoderHiddenSize, q.VocabSize, q.MaxPositionEmbeddings = 48, 97, 40
	q.UseQFormerTextInput = stage == 1
	t := opt.Default()
	t.HiddenSize, t.WordEmbedProjDim, t.NumHiddenLayers, t.FFNDim, t.NumAttentionHeads, t.VocabSize, t.MaxPositionEmbeddings = 40, 40, 3, 56, 4, 89, 64
	c.Text = t
	if withT5 {
		t := t5.Default()
		t.DModel, t.DKV, t.NumHeads, t.DFF, t.NumLayers, t.NumDecoderLayers, t.VocabSize = 40, 8, 3, 48, 2, 3, 83
		t.IsGatedAct, t.DenseActFn, t.UntiedHead, t.ScaleDecoderOutputs = true, "gelu", true, false
		c.T5 = &t
	}
	return &Job{Stage: stage, Config: c, Batch: 8, Text: 9, Steps: 10, Precision: "bf16", Remat: "none"}
}

var jobs = []struct {
	name string
	job  *Job
}{{"stage 1", small(1, false)}, {"stage 2, OPT", small(2, false)}, {"stage 2, T5", small(2, true)}}

// TestCountIsTheProgram holds the count of products, and of parameters, against the step that would
// run: both must be exact.
func TestCountIsTheProgram(t *testing.T) {
	for _, devices := range []int{1, 8} { // more than there are
		e, err := pjrt.NewExporter(golden.Backend(t), devices)
		if err != nil {
			t.Skip(err)
		}
		for _, c := range jobs {
			c.job.SendStates, c.job.Remat = devices > 1, "none"
			if devices > 1 { // where it is of use
				c.job.Remat = "blocks"
			}
			obj, inputs := c.job.Objective()
			program, err := train.Export(e, obj, c.job.Settings(devices), inputs)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := Products(program)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			want := c.job.Count().Flops()
			if got != want {
				t.Errorf("%s on %d devices: %g flops of products in the program, %g counted", c.name, devices, got, want)
			}
			if text := string(program); devices == 8 && !strings.Contains(text, `<["data"=8]>`) || strings.Contains(text, "dot_algorithm") {
				t.Errorf("%s on %d devices: the program is not one for them", c.name, devices)
			}
			if n := widenedProducts(program); n > 0 {
				t.Errorf("%s on %d devices: %d products of bfloat16 numbers are computed in float32", c.name, devices, n)
			}
			trained, frozen, err := train.Parameters(golden.Go(t), obj, c.job.Settings(1), inputs)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []struct {
				what      string
				got, want int
			}{{"trained", trained, first(c.job.Parameters())}, {"frozen", frozen, second(c.job.Parameters())}} {
				if n.got != n.want {
					t.Errorf("%s: the model has %d %s parameters, %d counted", c.name, n.got, n.what, n.want)
				}
			}
		}
	}
}

// widenedProducts counts products of two values that were bfloat16 just before.
func widenedProducts(program []byte) (n int) {
	wide := map[string]bool{}
	for _, m := range regexp.MustCompile(`(%\w+) = "stablehlo.convert"\(%\w+\) : \(tensor<[0-9x]*bf16>\) -> tensor<[0-9x]*f32>`).FindAllSubmatch(program, -1) {
		wide[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`"stablehlo.dot_general"\((%\w+), (%\w+)\)`).FindAllSubmatch(program, -1) {
		if wide[string(m[1])] && wide[string(m[2])] {
			n++
		}
	}
	return n
}

func first(a, _ int) int  { return a }
func second(_, b int) int { return b }

// TestPaper holds parameters and arithmetic against figures of the paper and of others.
func TestPaper(t *testing.T) {
	for _, c := range []struct {
		recipe, vision, llm string
		trained, frozen     float64 // millions
		flops               float64 // of a picture, 1e12; 0: not known
	}{
		{"blip2/stage1", "vit-g", "", 187, 986, 0.76},
		{"blip2/stage2", "vit-g", "opt-2.7b", 107, 986 + 2651, 1.24},
		{"blip2/stage2", "vit-g", "opt-6.7b", 108, 986 + 6658, 0},
		{"blip2/stage2", "vit-l", "flan-t5-xl", 103, 303 - 12.6 + 2850, 0},
	} {
		j, err := Paper(c.recipe, c.vision, c.llm)
		if err != nil {
			t.Fatal(err)
		}
		trained, frozen := j.Parameters()
		if math.Abs(float64(trained)/1e6/c.trained-1) > 0.02 || math.Abs(float64(frozen)/1e6/c.frozen-1) > 0.01 {
			t.Errorf("%s %s %s: %d trained, %d frozen, want %g and %g M", c.recipe, c.vision, c.llm, trained, frozen, c.trained, c.frozen)
		}
		if got := j.Count().Flops() / float64(j.Batch) / 1e12; c.flops > 0 && math.Abs(got/c.flops-1) > 0.1 {
			t.Errorf("%s %s %s: %.3g Tflop a picture, want about %g", c.recipe, c.vision, c.llm, got, c.flops)
		}
	}
}

// TestEstimate checks how an estimate follows what it is made for.
func TestEstimate(t *testing.T) {
	estimate := func(device, shard, remat string) *Estimate {
		t.Helper()
		d, err := ParseDevices(device)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Paper("blip2/stage2", "vit-g", "flan-t5-xl")
		if err != nil {
			t.Fatal(err)
		}
		j.Remat = remat
		e, err := j.Estimate(d, shard)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	one, eight := estimate("h100", "none", "none"), estimate("h100x8", "none", "none")
	if math.Abs(one.Flops/eight.Flops-8) > 1e-9 || eight.Memory.Weights != one.Memory.Weights || one.Sent != 0 {
		t.Errorf("eight chips do not share the work of one: %+v, %+v", one, eight)
	}
	full := estimate("h100x8", "full", "none")
	if math.Abs(eight.Memory.Weights/full.Memory.Weights-8) > 1e-9 || full.Sent <= eight.Sent {
		t.Errorf("sharding all does not divide the weights, or sends nothing more")
	}
	again := estimate("h100x8", "none", "blocks")
	if again.Memory.Activations >= eight.Memory.Activations/2 || again.Flops <= eight.Flops || again.Flops > 1.4*eight.Flops {
		t.Errorf("computing blocks again: activations %g -> %g, flops %g -> %g", eight.Memory.Activations, again.Memory.Activations, eight.Flops, again.Flops)
	}
}

func TestParseDevices(t *testing.T) {
	for _, c := range []struct {
		text, kind string
		count      int
	}{{"v5e-8", "v5e", 8}, {"h100x8", "h100", 8}, {"v5p", "v5p", 1}, {"a100-40", "a100-40", 1}, {"a100-40x16", "a100-40", 16}, {"a100-16", "a100", 16}} {
		if d, err := ParseDevices(c.text); err != nil || d.Chip.Name != c.kind || d.Count != c.count {
			t.Errorf("%s: %+v, %v", c.text, d, err)
		}
	}
	for _, text := range []string{"", "v5e-0", "tpu-8", "h100x99999999999", "h100x-2", "8"} {
		if d, err := ParseDevices(text); err == nil {
			t.Errorf("%q is taken as %+v", text, d)
		}
	}
}
