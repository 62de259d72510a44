package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goblip/eval"
	"goblip/train/runlog"
)

// TestWrite writes a page with all parts. REPORT_DEMO=page.html keeps it, to look at it in a browser.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if keep := os.Getenv("REPORT_DEMO"); keep != "" {
		path = keep
	}
	if err := Write(path, demo(t)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{
		"<h1>goblip quickstart</h1>", "58.1 %", "novel combination", "a small red circle", "&lt;b&gt;quoted&lt;/b&gt;",
		"without stage 1", "ITC &#43; ITM re-ranking", "class=\"floor\"", "chance 0.636", "Learning rate", "blind 38.0",
		"data:image/png;base64,iVBOR", "found first", "Peak memory", "scripts/quickstart --seed 1",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if bad := regexp.MustCompile(`(src|href)="?(https?:)?//|url\(|@import|ZgotmplZ|<script|[^A-Za-z0-9+/]NaN`).FindString(page); bad != "" {
		t.Errorf("the page holds %q", bad)
	}
	if n := strings.Count(page, "<svg"); n != 3+4+2 {
		t.Errorf("%d charts, want 9: each term and the learning rate of three phases", n)
	}
}

// TestWriteEmpty checks that missing parts are left out.
func TestWriteEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if err := Write(path, &Report{Title: "Nothing"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("<section")) {
		t.Errorf("an empty report has sections:\n%s", b)
	}
}

func TestWriteBadPicture(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	err := Write(path, &Report{Pictures: []Picture{{PNG: []byte("GIF89a")}}})
	if err == nil || !strings.Contains(err.Error(), "report.html: picture 0 is not a PNG") {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("a refused report left %v", left)
	}
}

func TestEncodePNG(t *testing.T) {
	if _, err := EncodePNG(make([]byte, 10), 2); err == nil {
		t.Error("10 bytes were taken for 2 x 2 RGB")
	}
}

func TestResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	r := demoResults()
	if err := WriteResults(path, r); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"image_to_text_r1", "text_to_image_r1", "image_to_text_r1_itm", "text_to_image_r1_itm", "test_images",
		"caption_cider", "caption_bleu4", "caption_attribute_accuracy", "question_accuracy", "without_stage1", "seconds",
		"peak_memory_bytes", "backend", "devices", "seed",
	} {
		if _, there := got[key]; !there {
			t.Errorf("%s is missing", key)
		}
	}
	if _, there := got["clip_image_to_text_r1"]; there {
		t.Error("a figure that was not computed is there")
	}
	if without := got["without_stage1"].(map[string]any); without["caption_cider"] != 1.02 || len(without) != 2 {
		t.Errorf("without_stage1 is %v", without)
	}
	if err := WriteResults(path, &Results{TextToImageR1: number(math.NaN())}); err == nil {
		t.Error("not-a-number was written")
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatCount(1234567), "1,234,567"}, {formatCount(999), "999"}, {formatCount(-1000), "-1,000"},
		{formatSeconds(4.2), "4.2 s"}, {formatSeconds(59.7), "1 min 00 s"}, {formatSeconds(3700), "1 h 01 min"},
		{formatBytes(3 << 29), "1.50 GiB"}, {formatBytes(5 << 20), "5 MiB"},
		{formatTick(0.0003), "3e-4"}, {formatTick(0.25), "0.25"}, {formatTick(0), "0"}, {formatTick(5000), "5,000"},
		{formatPercent(0.1), "0.10 %"}, {formatPercent(62.31), "62.3 %"},
		{fmt.Sprint(niceTicks(0, 4.2, 4)), "[0 2 4]"}, {fmt.Sprint(niceTicks(0.9, 1.3, 4)), "[0.9 1 1.1 1.2000000000000002 1.3]"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// TestChartEdges draws what could divide by zero or leave the chart.
func TestChartEdges(t *testing.T) {
	nan := math.NaN()
	for name, values := range map[string][]float64{
		"one": {1}, "constant": {2, 2, 2}, "zero": {0, 0}, "negative": {-1, -2}, "nan": {nan, 1, nan, 2}, "huge": {1e30, 1e-30},
	} {
		var steps []runlog.Step
		for i, v := range values {
			steps = append(steps, runlog.Step{Step: i + 1, Terms: []runlog.Term{{Name: "x", Value: v}}})
		}
		charts := phaseCharts(steps)
		if len(charts) != 1 {
			t.Fatalf("%s: %d charts", name, len(charts))
		}
		if text := fmt.Sprint(charts[0]); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if charts := phaseCharts([]runlog.Step{{Step: 1, Terms: []runlog.Term{{Name: "x", Value: nan}}}}); len(charts) != 0 {
		t.Errorf("a chart without a finite value: %v", charts)
	}
}

func number(v float64) *float64 { return &v }

func demoResults() *Results {
	return &Results{
		TestImages: 1000, TestTexts: 5000,
		ImageToTextR1: number(58.1), TextToImageR1: number(41.7), ImageToTextR1ITM: number(62.3), TextToImageR1ITM: number(47.9),
		ChanceImageToTextR1: number(0.1), ChanceTextToImageR1: number(0.1),
		CaptionFigures: CaptionFigures{
			CaptionCIDEr: number(1.94), CaptionBLEU4: number(0.412), CaptionAttributeAccuracy: number(93.4),
			QuestionAccuracy: number(84.6),
		},
		QuestionBlindAccuracy: number(44.1),
		WithoutStage1:         &CaptionFigures{CaptionCIDEr: number(1.02), CaptionAttributeAccuracy: number(61.5)},
		ShortStage2:           &CaptionFigures{CaptionAttributeAccuracy: number(80.2)},
		ShortWithoutStage1:    &CaptionFigures{CaptionAttributeAccuracy: number(52.3)},
		Seconds:               map[string]float64{"stage1": 251.5}, PeakMemoryBytes: 2 << 30, Backend: "xla:cpu", Devices: 1, Seed: 1,
	}
}

// demo is a report with invented figures in all its parts.
func demo(t *testing.T) *Report {
	t.Helper()
	r := &Report{
		Summary: "A frozen vision encoder and a frozen language model, joined by a Q-Former that was trained in two stages, " +
			"on 6,000 generated scenes and on one machine in 11 minutes.",
		Created:   time.Date(2026, 11, 24, 14, 5, 0, 0, time.UTC),
		Headlines: demoResults().Headlines(),
		Run: Run{
			Command: "scripts/quickstart --seed 1",
			Facts: []Fact{
				{"Backend", "XLA on the CPU (xla:cpu)"}, {"Devices", "1"}, {"Seed", "1"}, {"goblip", "0.1.0"},
				{"GoMLX", "0.28.3"}, {"Machine", "2 cores, 8 GiB"},
			},
		},
		RetrievalNote: "1,000 pictures and 5,000 captions",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pictures := make([][]byte, 12)
	for i := range pictures {
		pictures[i] = demoPicture(t, rng)
	}
	for i, p := range pictures {
		r.Pictures = append(r.Pictures, Picture{
			PNG: p, Caption: "a small red circle left of a large striped green square", Novel: i%5 == 1,
			Truth: []string{"a small red circle is left of a large green square with stripes", "two shapes: a circle and a square", "a red circle and <b>quoted</b> text", "a round thing and a square one", "shapes"},
			Marks: []Mark{
				{"colour", "red", "red", true}, {"shape", "circle", "circle", true},
				{"size", "small", "large", i%4 != 0}, {"position", "", "left", i%3 != 0},
			},
		})
	}
	share := func(mean, width float64) eval.Interval {
		return eval.Interval{Mean: mean, Low: mean - width, High: mean + width}
	}
	r.Captions = []CaptionRow{
		{Name: "goblip", CIDEr: &eval.Interval{Mean: 1.94, Low: 1.90, High: 1.98}, BLEU4: &eval.Interval{Mean: .412, Low: .412, High: .412},
			Attributes: []Attribute{{"colour", share(95.1, 1.3)}, {"shape", share(96.2, 1.1)}, {"size", share(88, 2)}, {"relation", share(71.4, 2.7)}, {"all", share(93.4, 1)}}},
		{Name: "without stage 1", CIDEr: &eval.Interval{Mean: 1.02, Low: .98, High: 1.06}, BLEU4: &eval.Interval{Mean: .233},
			Attributes: []Attribute{{"colour", share(66.3, 2.9)}, {"shape", share(61, 3)}, {"size", share(58, 3)}}},
	}
	r.Questions = []eval.Accuracy{
		{Questions: 3000, Share: share(84.6, 1.3), Blind: number(44.1)},
		{Kind: "how many", Questions: 1000, Share: share(81.2, 2.4), Blind: number(38)},
		{Kind: "is there", Questions: 1000, Share: share(90.3, 1.8), Blind: number(61.8)},
		{Kind: "what colour", Questions: 1000, Share: share(82.3, 2.3), Blind: number(32.5)},
	}
	r.Retrieval = []RetrievalRow{
		{Name: "CLIP alone", ImageToText: [3]eval.Interval{share(31.5, 2.9), share(62.1, 3), share(75.9, 2.6)}, TextToImage: [3]eval.Interval{share(22.4, 1.6), share(51.3, 2), share(66, 2)}},
		{Name: "ITC", ImageToText: [3]eval.Interval{share(58.1, 3), share(85.2, 2.2), share(92, 1.7)}, TextToImage: [3]eval.Interval{share(41.7, 2), share(73.9, 1.9), share(84.4, 1.5)}},
		{Name: "ITC + ITM re-ranking", ImageToText: [3]eval.Interval{share(62.3, 3), share(87.2, 2.1), share(92.9, 1.6)}, TextToImage: [3]eval.Interval{share(47.9, 2), share(78, 1.8), share(86.1, 1.5)}},
		{Name: "chance", Chance: true, ImageToText: [3]eval.Interval{{Mean: .1}, {Mean: .5}, {Mean: 1}}, TextToImage: [3]eval.Interval{{Mean: .1}, {Mean: .5}, {Mean: 1}}},
	}
	for i := range 4 {
		q := TextQuery{Text: "a large blue striped triangle above two small circles", Rank: []int{1, 3, 1, 9}[i]}
		for j := range 5 {
			q.Pictures = append(q.Pictures, FoundPicture{PNG: pictures[(i*3+j)%12], Right: j == q.Rank-1})
		}
		r.TextQueries = append(r.TextQueries, q)
		r.ImageQueries = append(r.ImageQueries, ImageQuery{PNG: pictures[i], Texts: []FoundText{
			{"a small red circle is left of a large square", i%2 == 0}, {"two shapes, one red", true}, {"a green circle with dots", false},
		}})
	}
	term := func(name string, start, end, floor float64, floorName string, i, n int) runlog.Term {
		v := end + (start-end)*math.Exp(-5*float64(i)/float64(n)) + 0.08*(start-end)*rng.NormFloat64()*0.4
		return runlog.Term{Name: name, Value: v, Floor: floor, FloorName: floorName}
	}
	steps := func(n int, terms func(i int) []runlog.Term, peak float64) (steps []runlog.Step) {
		for i := 1; i <= n; i++ {
			warm := float64(n) / 20
			lr := peak * min(float64(i)/warm, 0.5*(1+math.Cos(math.Pi*(float64(i)-warm)/(float64(n)-warm)))+0.01)
			steps = append(steps, runlog.Step{Step: i * 5, Split: "train", Terms: terms(i), LR: lr})
			if i%(n/5) == 0 {
				steps = append(steps, runlog.Step{Step: i * 5, Split: "eval", Terms: terms(i)[:1]})
			}
		}
		return steps
	}
	r.Phases = []Phase{
		{Name: "Corpus", Seconds: 21},
		{Name: "CLIP towers", Seconds: 122, PeakMemoryBytes: 1_310_000_000, Steps: steps(150, func(i int) []runlog.Term {
			return []runlog.Term{term("clip", 4.8, 1.1, 0, "", i, 150), term("accuracy", .1, .8, .0078, "chance", i, 150)}
		}, 1e-3)},
		{Name: "Stage 1", Note: "The Q-Former learns to read the frozen image encoder.", Seconds: 251, PeakMemoryBytes: 2_250_000_000, Steps: steps(200, func(i int) []runlog.Term {
			return []runlog.Term{term("itc", 4.2, 1.1, .73, "floor", i, 200), term("itm", .69, .28, .6365, "chance", i, 200), term("itg", 7, 1.7, 1.3577, "floor", i, 200)}
		}, 9e-4)},
		{Name: "Stage 2", Seconds: 149, PeakMemoryBytes: 1_710_000_000, Steps: steps(120, func(i int) []runlog.Term {
			return []runlog.Term{term("lm", 5.1, .6, 0, "", i, 120)}
		}, 5e-4)},
		{Name: "Evaluation", Seconds: 96, PeakMemoryBytes: 900_000_000},
	}
	return r
}

// demoPicture draws a few noisy shapes.
func demoPicture(t *testing.T, rng *rand.Rand) []byte {
	t.Helper()
	const size = 48
	rgb := make([]byte, size*size*3)
	for i := range rgb {
		rgb[i] = byte(200 + rng.IntN(40))
	}
	for range 3 {
		cx, cy, radius := 8+rng.IntN(32), 8+rng.IntN(32), 4+rng.IntN(9)
		colour, square := [3]byte{byte(rng.IntN(255)), byte(rng.IntN(255)), byte(rng.IntN(255))}, rng.IntN(2) == 0
		for y := max(0, cy-radius); y < min(size, cy+radius); y++ {
			for x := max(0, cx-radius); x < min(size, cx+radius); x++ {
				if square || (x-cx)*(x-cx)+(y-cy)*(y-cy) < radius*radius {
					copy(rgb[(y*size+x)*3:], colour[:])
				}
			}
		}
	}
	b, err := EncodePNG(rgb, size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
