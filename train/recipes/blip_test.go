package recipes

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"goblip/datasets"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestCleanText compares with what BLIP's pre_caption and pre_question give.
func TestCleanText(t *testing.T) {
	for _, test := range []struct{ text, caption, question string }{
		{"A Dog.", "a dog", "a dog"},
		{`two "dogs" (running); #1:fast~`, "two dogs running 1 fast", "two dogs running 1fast"},
		{"what's this?", "what's this?", "what's this?"},
		{"half-time\n  score 3*2", "half-time score 3 2", "half-time score 32"},
		{"one two three four five six", "one two three four five", "one two three four five"},
		{" .! ", "", ""},
	} {
		if got := CleanCaption(test.text, 5); got != test.caption {
			t.Errorf("caption %q: %q, want %q", test.text, got, test.caption)
		}
		if got := CleanQuestion(test.text, 5); got != test.question {
			t.Errorf("question %q: %q, want %q", test.text, got, test.question)
		}
	}
}

func TestWeighAnswers(t *testing.T) {
	answers, weights, err := weighAnswers([]string{"no", "yes", "yes ", "maybe", "yes"})
	if err != nil || fmt.Sprint(answers, weights) != "[yes no maybe] [0.6 0.2 0.2]" {
		t.Errorf("%v %v %v", answers, weights, err)
	}
	if _, _, err := weighAnswers([]string{"a", " "}); err == nil {
		t.Error("an empty answer has no error")
	}
}

func TestExchangeSides(t *testing.T) {
	for text, want := range map[string]string{
		"the left picture has more than the right": "the right picture has more than the left",
		"leftmost dogs are upright":                "leftmost dogs are upright",
	} {
		if got := exchangeSides(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFreeze(t *testing.T) {
	model := map[string]shapes.Shape{"a.layers.0.w": {}, "a.layers.11.w": {}, "b.w": {}}
	for patterns, want := range map[string]string{
		"": "", "b.w": "b.w", "a.*": "a.layers.0.w a.layers.11.w", "a.layers.[0-3].*, b.*": "a.layers.0.w b.w", "*.w": "a.layers.0.w a.layers.11.w b.w",
	} {
		frozen, err := freeze(patterns, model)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range []string{"a.layers.0.w", "a.layers.11.w", "b.w"} {
			if frozen(name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q freezes %q, want %q", patterns, got, want)
		}
	}
	for _, bad := range []string{"c.*", "a.*,a.layer.*", "["} {
		if _, err := freeze(bad, model); err == nil {
			t.Errorf("%q has no error", bad)
		}
	}
}

// TestPictureNumbers wants records of one id to be one picture, in both sets, unless a mixture has them from
// two sources, and no set of records with and without ids.
func TestPictureNumbers(t *testing.T) {
	set := func(ids ...string) *datasets.Set {
		out := &datasets.Set{}
		for _, id := range ids {
			bare, isLine := strings.CutPrefix(id, "#")
			out.Records = append(out.Records, datasets.Record{ID: bare, NoID: isLine, Origin: "x:" + bare})
		}
		return out
	}
	mixture := set("a", "b", "#1", "#2")
	mixture.Parts = []datasets.Part{{Name: "p", Records: 2}, {Name: "q", Records: 2}}
	same := set("a", "1", "a", "1")
	same.Parts = mixture.Parts
	for _, test := range []struct {
		sets []*datasets.Set
		want string
	}{
		{[]*datasets.Set{set("a", "b", "a"), set("c", "b")}, "[[0 1 0] [2 1]]"},
		{[]*datasets.Set{set("#1", "#2")}, "[[0 1]]"},
		{[]*datasets.Set{mixture}, "[[0 1 2 3]]"},
		{[]*datasets.Set{same}, "[[0 1 2 3]]"},
	} {
		n, got := pictureNumbers{}, [][]int32{}
		for _, s := range test.sets {
			numbers, err := n.add(s)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, numbers)
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%v, want %s", got, test.want)
		}
	}
	if _, err := (pictureNumbers{}).add(set("#1", "2")); err == nil || !strings.HasPrefix(err.Error(), `x:1: no "id"`) {
		t.Error(err)
	}
}

// TestAlphaRamp wants soft targets to come in over the epochs, and to be off for held-out pairs.
func TestAlphaRamp(t *testing.T) {
	c := &BLIPContrast{ITCAlpha: 0.4, AlphaEpochs: 2}
	for _, test := range []struct {
		i    int
		held bool
		want float32
	}{{0, false, 0}, {5, false, 0.1}, {20, false, 0.4}, {999, false, 0.4}, {999, true, 0}} {
		rows := tensors.MustCopyFlatData[float32](c.alpha(test.i, 10, 3, test.held))
		if len(rows) != 3 || math.Abs(float64(rows[0]-test.want)) > 1e-6 || rows[2] != rows[0] {
			t.Errorf("micro-batch %d: %v, want %g", test.i, rows, test.want)
		}
	}
	c.AlphaEpochs = 0
	if rows := tensors.MustCopyFlatData[float32](c.alpha(0, 10, 1, false)); rows[0] != 0.4 {
		t.Errorf("without a ramp: %v", rows)
	}
}

// TestDecaySchedule reads BLIP's schedule from its name.
func TestDecaySchedule(t *testing.T) {
	c := fineTuning()
	c.Schedule, c.LearningRate, c.MinRate, c.WarmupRate, c.WarmupSteps, c.Batch = "decay:0.5", 1, 0.2, 0, 4, 2
	rate := c.schedule(20) // 10 steps an epoch
	var got []float64
	for _, step := range []int{0, 2, 4, 9, 10, 25, 39} {
		got = append(got, rate(step))
	}
	if want := []float64{0, 0.5, 1, 1, 0.5, 0.25, 0.2}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for schedule, ok := range map[string]bool{"decay:0.9": true, "decay:1": true, "decay:0": false, "decay:1.1": false, "decay:": false, "decay": false, "0.9": false} {
		if c.Schedule = schedule; (c.Validate() == nil) != ok {
			t.Errorf("%q: %v", schedule, c.Validate())
		}
	}
}
