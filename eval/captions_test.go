package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"goblip/eval/ptb"
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
		{"CIDEr_plain", got.Plain, want.Plain},
	} {
		if !(math.Abs(m.got-m.want) <= 1e-9+1e-9*math.Abs(m.want)) {
			t.Errorf("%s: %s = %v, want %v", what, m.name, m.got, m.want)
		}
	}
}

// TestCaptionMetricsLarge is the same comparison from raw text on 300 images, and on the 72, where that data is.
func TestCaptionMetricsLarge(t *testing.T) {
	for _, name := range []string{"edge", "fakecap300"} {
		var annotations struct {
			Images      []struct{ ID int }
			Annotations []struct {
				ImageID int `json:"image_id"`
				Caption string
			}
		}
		var results []struct {
			ImageID int `json:"image_id"`
			Caption string
		}
		var expected struct {
			Overall CaptionScores
			Images  []struct {
				ImageID int `json:"image_id"`
				CaptionScores
			}
		}
		readReference(t, "captions_"+name+"_annotations.json.gz", &annotations)
		readReference(t, "captions_"+name+"_results.json.gz", &results)
		readReference(t, "captions_"+name+"_expected.json.gz", &expected)
		refsOf, captionOf := map[int][]string{}, map[int]string{}
		for _, a := range annotations.Annotations {
			refsOf[a.ImageID] = append(refsOf[a.ImageID], a.Caption)
		}
		for _, r := range results {
			captionOf[r.ImageID] = r.Caption
		}
		want := map[int]CaptionScores{}
		for _, image := range expected.Images {
			want[image.ImageID] = image.CaptionScores
		}
		var hyps []string
		var refs [][]string
		for _, image := range annotations.Images {
			hyps, refs = append(hyps, captionOf[image.ID]), append(refs, refsOf[image.ID])
		}
		got, images, err := Captions(hyps, refs)
		if err != nil {
			t.Fatal(err)
		}
		compareScores(t, name, got, expected.Overall)
		for i, image := range annotations.Images {
			compareScores(t, fmt.Sprintf("%s %d", name, image.ID), images[i], want[image.ID])
		}
	}
}

// TestCaptionsShuffled: the order of the images changes no score but by rounding.
func TestCaptionsShuffled(t *testing.T) {
	var c captionCase
	readGzip(t, "testdata/captions_edge.json.gz", &c)
	rng := rand.New(rand.NewPCG(3, 0))
	order := rng.Perm(len(c.Images))
	read := func(order []int) ([]string, [][]string) {
		var hyps []string
		var refs [][]string
		for _, i := range order {
			hyps, refs = append(hyps, c.Images[i].Hypothesis), append(refs, c.Images[i].References)
		}
		return hyps, refs
	}
	hyps, refs := read(order)
	got, images, err := TokenizedCaptions(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	compareScores(t, "shuffled", got, c.Overall)
	for i, o := range order {
		compareScores(t, fmt.Sprintf("shuffled image %d", o), images[i], c.Images[o].Expected)
	}
}

// TestTokenizeBlocks: blocks of captions that are tokenised side by side give what all at once give.
func TestTokenizeBlocks(t *testing.T) {
	lines := slices.Repeat([]string{"full of vitamin C.", "a dog", "vitamin C.", "The dog sits."}, 100)[3:]
	if got, want := tokenizeAll(lines), ptb.Lines(lines); !slices.Equal(got, want) {
		t.Errorf("blocks give %q, all at once %q", got, want)
	}
}

// TestIdenticalCaptions: a caption that equals its only reference has the most of every metric.
func TestIdenticalCaptions(t *testing.T) {
	hyps := []string{"A red circle on the left.", "two blue squares beside a green star", "the cat isn't on its mat"}
	var refs [][]string
	for _, h := range hyps {
		refs = append(refs, []string{h})
	}
	_, images, err := Captions(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range images {
		if s.BLEU4 < 0.99999 || s.ROUGEL < 0.99999 || s.CIDEr < 9.99999 || s.Plain < 9.99999 {
			t.Errorf("%q against itself: %+v", hyps[i], s)
		}
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

// TestCaptionInterval: equal images give no width, different ones an interval around the corpus' score.
func TestCaptionInterval(t *testing.T) {
	same, err := CaptionInterval("Bleu_4", slices.Repeat([]string{"A red circle on the left."}, 5), slices.Repeat([][]string{{"a red circle on the left"}}, 5), 1)
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
	interval, err := CaptionInterval("Bleu_4", hyps, refs, 1)
	if err != nil {
		t.Fatal(err)
	}
	if interval.Mean != corpus.BLEU4 || !(interval.Low < interval.Mean && interval.Mean < interval.High) {
		t.Errorf("got %+v, want an interval around %g", interval, corpus.BLEU4)
	}
	if _, err := CaptionInterval("Bleu_4", nil, nil, 1); err == nil {
		t.Error("no captions: no error")
	}
}
