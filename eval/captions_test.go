package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

type captionCase struct {
	Overall CaptionScores
	Images  []struct {
		Kind       string
		Hypothesis string
		References []string
		Expected   CaptionScores
	}
}

// TestCaptionMetrics compares with the published programs on 72 nasty captions.
func TestCaptionMetrics(t *testing.T) {
	var c captionCase
	readGzip(t, "testdata/captions_edge.json.gz", &c)
	var hyps []string
	var refs [][]string
	for _, image := range c.Images {
		hyps = append(hyps, image.Hypothesis)
		refs = append(refs, image.References)
	}
	if len(hyps) != 72 {
		t.Fatalf("testdata holds %d images, want 72", len(hyps))
	}
	overall, images, err := TokenizedCaptions(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	compareScores(t, "overall", overall, c.Overall)
	for i, image := range c.Images {
		compareScores(t, fmt.Sprintf("image %d (%s)", i, image.Kind), images[i], image.Expected)
	}
}

func compareScores(t *testing.T, what string, got, want CaptionScores) {
	t.Helper()
	for _, m := range []struct {
		name      string
		got, want float64
	}{
		{"Bleu_1", got.BLEU1, want.BLEU1}, {"Bleu_2", got.BLEU2, want.BLEU2}, {"Bleu_3", got.BLEU3, want.BLEU3},
		{"Bleu_4", got.BLEU4, want.BLEU4}, {"ROUGE_L", got.ROUGEL, want.ROUGEL}, {"CIDEr", got.CIDEr, want.CIDEr},
	} {
		if !(math.Abs(m.got-m.want) <= 1e-9+1e-9*math.Abs(m.want)) {
			t.Errorf("%s: %s = %v, want %v", what, m.name, m.got, m.want)
		}
	}
}

// TestCaptionMetricsLarge is the same comparison from raw text on 300 images, where that data is. The tokeniser is the
// only source of difference left, hence the wider tolerance.
func TestCaptionMetricsLarge(t *testing.T) {
	var annotations struct {
		Annotations []struct {
			ImageID int `json:"image_id"`
			Caption string
		}
	}
	var results []struct {
		ImageID int `json:"image_id"`
		Caption string
	}
	var expected struct{ Overall CaptionScores }
	readReference(t, "captions_fakecap300_annotations.json.gz", &annotations)
	readReference(t, "captions_fakecap300_results.json.gz", &results)
	readReference(t, "captions_fakecap300_expected.json.gz", &expected)
	refsOf := map[int][]string{}
	for _, a := range annotations.Annotations {
		refsOf[a.ImageID] = append(refsOf[a.ImageID], a.Caption)
	}
	var hyps []string
	var refs [][]string
	for _, r := range results {
		hyps = append(hyps, r.Caption)
		refs = append(refs, refsOf[r.ImageID])
	}
	got, _, err := Captions(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got.CIDEr-expected.Overall.CIDEr) > 1e-3 || math.Abs(got.BLEU4-expected.Overall.BLEU4) > 1e-4 {
		t.Errorf("got %+v, want %+v", got, expected.Overall)
	}
}

func TestCaptionsBadInput(t *testing.T) {
	for _, c := range []struct {
		name string
		hyps []string
		refs [][]string
		want string
	}{
		{"nothing", nil, nil, "no captions"},
		{"count", []string{"a"}, nil, "1 captions but references of 0 images"},
		{"no reference", []string{"a", "b"}, [][]string{{"a"}, {}}, "image 1 has no reference"},
	} {
		if _, _, err := Captions(c.hyps, c.refs); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func ExampleCaptions() {
	hyps := []string{"A red circle.", "two blue squares"}
	refs := [][]string{{"a red circle", "a small red circle"}, {"two green squares"}}
	corpus, _, _ := Captions(hyps, refs)
	fmt.Printf("BLEU-1 %.2f CIDEr %.2f\n", corpus.BLEU1, corpus.CIDEr)
	// Output: BLEU-1 0.83 CIDEr 3.49
}

// TestBLEU4Interval: equal images give no width, different ones an interval around the corpus' score.
func TestBLEU4Interval(t *testing.T) {
	same, err := BLEU4Interval(slices.Repeat([]string{"A red circle on the left."}, 5), slices.Repeat([][]string{{"a red circle on the left"}}, 5), 1)
	if err != nil {
		t.Fatal(err)
	}
	if same.Mean < 0.999 || same.Low != same.Mean || same.High != same.Mean {
		t.Errorf("equal images: %+v", same)
	}
	hyps := []string{"a red circle on the left", "a blue square on the right side", "two small green stars", "one ring"}
	refs := [][]string{{"a red circle on the left"}, {"a blue square on the right"}, {"three small green stars"}, {"a large ring"}}
	corpus, _, err := Captions(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	interval, err := BLEU4Interval(hyps, refs, 1)
	if err != nil {
		t.Fatal(err)
	}
	if interval.Mean != corpus.BLEU4 || !(interval.Low < interval.Mean && interval.Mean < interval.High) {
		t.Errorf("got %+v, want an interval around %g", interval, corpus.BLEU4)
	}
	if _, err := BLEU4Interval(nil, nil, 1); err == nil {
		t.Error("no captions: no error")
	}
}
