package eval

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

type retrievalCase struct {
	Name      string
	Txt2Img   []int
	ScoresI2T [][]float64 `json:"scores_i2t"`
	ScoresT2I [][]float64 `json:"scores_t2i"`
	Expected  struct {
		Stable map[string]float64 `json:"blip_itm_eval_stable"`
		I2T    struct{ Optimistic, Pessimistic Recall }
		T2I    struct{ Optimistic, Pessimistic Recall }
	}
}

// TestRecalls compares with recalls made by the papers' evaluation code.
func TestRecalls(t *testing.T) {
	var file struct{ Cases []retrievalCase }
	readGzip(t, "testdata/retrieval.json.gz", &file)
	if len(file.Cases) != 6 {
		t.Fatalf("testdata holds %d cases, want 6", len(file.Cases))
	}
	for _, c := range file.Cases {
		if c.ScoresT2I == nil {
			c.ScoresT2I = Transpose(c.ScoresI2T)
		}
		s := c.Expected.Stable
		for _, want := range []struct {
			name     string
			ties     TieRule
			i2t, t2i Recall
		}{
			{"pessimistic", Pessimistic, c.Expected.I2T.Pessimistic, c.Expected.T2I.Pessimistic},
			{"optimistic", Optimistic, c.Expected.I2T.Optimistic, c.Expected.T2I.Optimistic},
			{"stable", Stable, Recall{s["txt_r1"], s["txt_r5"], s["txt_r10"]}, Recall{s["img_r1"], s["img_r5"], s["img_r10"]}},
		} {
			i2t, err := ImageToTextRanks(c.ScoresI2T, c.Txt2Img, want.ties)
			if err != nil {
				t.Fatal(err)
			}
			t2i, err := TextToImageRanks(c.ScoresT2I, c.Txt2Img, want.ties)
			if err != nil {
				t.Fatal(err)
			}
			if got := RecallOf(i2t); !sameRecall(got, want.i2t) {
				t.Errorf("%s, %s, image to text: %v, want %v", c.Name, want.name, got, want.i2t)
			}
			if got := RecallOf(t2i); !sameRecall(got, want.t2i) {
				t.Errorf("%s, %s, text to image: %v, want %v", c.Name, want.name, got, want.t2i)
			}
		}
	}
}

func sameRecall(a, b Recall) bool {
	return math.Abs(a.R1-b.R1) < 1e-9 && math.Abs(a.R5-b.R5) < 1e-9 && math.Abs(a.R10-b.R10) < 1e-9
}

func TestRecallsBadInput(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name        string
		scores      [][]float32
		imageOfText []int
		want        string
	}{
		{"nothing", nil, nil, "no scores"},
		{"ragged", [][]float32{{1, 2}, {3}}, []int{0, 1}, "scores of image 1: 1 numbers"},
		{"nan", [][]float32{{1, 2}, {3, nan}}, []int{0, 1}, "score of image 1 and text 1 is not a number"},
		{"no text", [][]float32{{1, 2}, {3, 4}}, []int{0, 0}, "image 1 has no text"},
		{"no image", [][]float32{{1, 2}, {3, 4}}, []int{0, 2}, "text 1 describes image 2"},
	} {
		if _, _, err := Recalls(c.scores, c.imageOfText); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestChanceRecall(t *testing.T) {
	for _, c := range []struct {
		candidates, right int
		want              Recall
	}{
		{1000, 1, Recall{0.1, 0.5, 1}}, {4, 2, Recall{50, 100, 100}}, {10, 1, Recall{10, 50, 100}},
		{5000, 5, Recall{0.1, 100 * (1 - 4995./5000*4994/4999*4993/4998*4992/4997*4991/4996), 0.996405}},
	} {
		got := ChanceRecall(c.candidates, c.right)
		if math.Abs(got.R1-c.want.R1) > 1e-9 || math.Abs(got.R5-c.want.R5) > 1e-9 || math.Abs(got.R10-c.want.R10) > 1e-6 {
			t.Errorf("%d of %d: %v, want %v", c.right, c.candidates, got, c.want)
		}
	}
}

func TestReRank(t *testing.T) {
	similarities := [][]float32{
		{.9, .8, .1, .2},
		{.3, .7, .6, .5},
	}
	asked := map[int][]int{}
	i2t, t2i, err := ReRank(similarities, func(image int, texts []int) ([]float32, error) {
		asked[image] = texts
		logits := make([]float32, len(texts))
		for i, text := range texts {
			logits[i] = float32(10*image + text)
		}
		return logits, nil
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[int][]int{0: {0, 1}, 1: {1, 2, 3}}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	const no = notRanked
	if want := [][]float32{{.9, no, no, no}, {no, 11.7, no, no}}; !reflect.DeepEqual(i2t, want) {
		t.Errorf("image to text %v, want %v", i2t, want)
	}
	if want := [][]float32{{.9, no}, {1.8, no}, {no, 12.6}, {no, 13.5}}; !reflect.DeepEqual(t2i, want) {
		t.Errorf("text to image %v, want %v", t2i, want)
	}
	if _, _, err := ReRank(similarities, func(int, []int) ([]float32, error) { return nil, nil }, 1); err == nil {
		t.Error("no error for missing logits")
	}
}

// TestRecallInterval checks that queries of one picture are drawn together: with all answers of a picture alike, five
// queries a picture tell no more than one.
func TestRecallInterval(t *testing.T) {
	var ranks, pictures []int
	for p := range 100 {
		for range 5 {
			ranks = append(ranks, p%2)
			pictures = append(pictures, p)
		}
	}
	grouped, alone := RecallInterval(ranks, 1, pictures, 1), RecallInterval(ranks, 1, nil, 1)
	if grouped.Mean != 50 || alone.Mean != 50 {
		t.Errorf("means %v and %v, want 50", grouped.Mean, alone.Mean)
	}
	if g, a := grouped.High-grouped.Low, alone.High-alone.Low; math.Abs(g-19.6) > 3 || math.Abs(a-8.8) > 1.5 {
		t.Errorf("widths %.1f grouped and %.1f alone, want about 19.6 and 8.8", g, a)
	}
	if again := RecallInterval(ranks, 1, pictures, 1); again != grouped {
		t.Errorf("same seed gave %v and then %v", grouped, again)
	}
}

func ExampleRecalls() {
	// Two pictures with two captions each; the first picture's captions are found, the second's only one.
	scores := [][]float32{{.9, .8, .1, .7}, {.2, .3, .6, .5}}
	imageToText, textToImage, _ := Recalls(scores, []int{0, 0, 1, 1})
	fmt.Println(imageToText.R1, textToImage.R1)
	// Output: 100 75
}
