package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"goblip/eval"
)

func newScoreRetrievalCommand() *cobra.Command {
	var r retrievalScoring
	command := &cobra.Command{
		Use:   "retrieval --scores CASE.json",
		Short: "Recall at 1, 5 and 10 and median rank of a matrix of image-text scores",
		Long: `Reads {"img2txt": [[text, ...], ...], "txt2img": [image, ...], "scores_i2t": [images][texts], "scores_t2i":
[texts][images]} (scores_t2i is optional: without it, scores_i2t counts in both directions), gzipped or not. An image
counts as found by its best-ranked text.

Equal scores are counted in three ways: against the right answer (pessimistic: the one to quote), for it (optimistic),
and as the papers' code orders them when its sort is stable (the higher index first). Median ranks count from 1.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return show(command, &r.scoreOptions, r.score) },
	}
	r.flags(command, "scores", "CASE.json: a list with a value for each image")
	command.Flags().StringVar(&r.path, "scores", "", "file of scores")
	requireFlags(command, "scores")
	return command
}

type retrievalScoring struct {
	scoreOptions
	path string
}

// retrievalReport is what "score retrieval --json" prints.
type retrievalReport struct {
	I2T        tieRecalls                `json:"i2t"`
	T2I        tieRecalls                `json:"t2i"`
	MedianRank medianRanks               `json:"median_rank"`
	Slices     map[string]retrievalSlice `json:"slices,omitempty"` // of the queries; all images and texts are searched
	statistics
}

type tieRecalls struct {
	Optimistic  eval.Recall `json:"optimistic"`
	Pessimistic eval.Recall `json:"pessimistic"`
	Stable      eval.Recall `json:"stable"`
}

// medianRanks count from 1, equal scores against the right answer.
type medianRanks struct {
	I2T float64 `json:"i2t"`
	T2I float64 `json:"t2i"`
}

type retrievalSlice struct {
	Images int         `json:"images"`
	I2T    eval.Recall `json:"i2t"`
	T2I    eval.Recall `json:"t2i"`
}

func (r *retrievalReport) print(out io.Writer, metrics []metric) error {
	row := func(name string, s eval.Recall, more string) {
		fmt.Fprintf(out, "%-16s%6.2f  %6.2f  %6.2f%s\n", name, s.R1, s.R5, s.R10, more)
	}
	fmt.Fprintf(out, "                   R@1     R@5    R@10  median rank\n")
	row("image to text", r.I2T.Pessimistic, fmt.Sprintf("  %g", r.MedianRank.I2T))
	row("text to image", r.T2I.Pessimistic, fmt.Sprintf("  %g", r.MedianRank.T2I))
	for _, name := range slices.Sorted(maps.Keys(r.Slices)) {
		s := r.Slices[name]
		row(name+" i2t", s.I2T, fmt.Sprintf("  of %d images", s.Images))
		row(name+" t2i", s.T2I, "")
	}
	if r.Intervals == nil {
		return nil
	}
	return r.statistics.print(out, metrics, "%.2f")
}

// retrievalCase is a file of scores.
type retrievalCase struct {
	TextsOfImage [][]int     `json:"img2txt"`
	ImageOfText  []int       `json:"txt2img"`
	ScoresI2T    [][]float64 `json:"scores_i2t"`
	ScoresT2I    [][]float64 `json:"scores_t2i,omitempty"`
}

// directions are the ranks of all queries.
type directions struct {
	images int
	of     []int // the image of a text
	i2t    map[eval.TieRule][]int
	t2i    map[eval.TieRule][]int
}

func readRetrieval(path string) (*directions, error) {
	var c retrievalCase
	if err := readJSON(path, &c); err != nil {
		return nil, err
	}
	if c.ScoresI2T == nil {
		return nil, fmt.Errorf("%s: scores_i2t is missing", path)
	}
	if c.ImageOfText == nil {
		return nil, fmt.Errorf("%s: txt2img is missing", path)
	}
	for image, texts := range c.TextsOfImage {
		for _, text := range texts {
			if text < 0 || text >= len(c.ImageOfText) || c.ImageOfText[text] != image {
				return nil, fmt.Errorf("%s: img2txt gives text %d to image %d, but txt2img does not", path, text, image)
			}
		}
	}
	name := "scores_t2i"
	if c.ScoresT2I == nil {
		name, c.ScoresT2I = "scores_i2t", eval.Transpose(c.ScoresI2T)
	}
	d := &directions{images: len(c.ScoresI2T), of: c.ImageOfText, i2t: map[eval.TieRule][]int{}, t2i: map[eval.TieRule][]int{}}
	for _, rule := range []eval.TieRule{eval.Pessimistic, eval.Optimistic, eval.Stable} {
		var err error
		if d.i2t[rule], err = eval.ImageToTextRanks(c.ScoresI2T, c.ImageOfText, rule); err != nil {
			return nil, fmt.Errorf("%s: scores_i2t: %w", path, err)
		}
		if d.t2i[rule], err = eval.TextToImageRanks(c.ScoresT2I, c.ImageOfText, rule); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	return d, nil
}

// metrics are the recalls, equal scores against the right answer, of images drawn with their texts.
func (d *directions) metrics() []metric {
	byImage := map[string][][]float64{} // metric -> image -> hits in percent
	add := func(name string, image, rank int) {
		for _, k := range []int{1, 5, 10} {
			key, hit := fmt.Sprintf("%s_r%d", name, k), 0.0
			if byImage[key] == nil {
				byImage[key] = make([][]float64, d.images)
			}
			if rank < k {
				hit = 100
			}
			byImage[key][image] = append(byImage[key][image], hit)
		}
	}
	for i, rank := range d.i2t[eval.Pessimistic] {
		add("i2t", i, rank)
	}
	for t, rank := range d.t2i[eval.Pessimistic] {
		add("t2i", d.of[t], rank)
	}
	var out []metric
	for _, name := range []string{"i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"} {
		out = append(out, metric{name, eval.GroupMeanOf(byImage[name])})
	}
	return out
}

func (r *retrievalScoring) score() (*retrievalReport, []metric, error) {
	d, err := readRetrieval(r.path)
	if err != nil {
		return nil, nil, err
	}
	recalls := func(ranks map[eval.TieRule][]int) tieRecalls {
		return tieRecalls{eval.RecallOf(ranks[eval.Optimistic]), eval.RecallOf(ranks[eval.Pessimistic]), eval.RecallOf(ranks[eval.Stable])}
	}
	report := &retrievalReport{I2T: recalls(d.i2t), T2I: recalls(d.t2i),
		MedianRank: medianRanks{eval.MedianRank(d.i2t[eval.Pessimistic]), eval.MedianRank(d.t2i[eval.Pessimistic])}}
	metrics, others := d.metrics(), []metric(nil)
	if r.against != "" {
		other, err := readRetrieval(r.against)
		if err != nil {
			return nil, nil, err
		}
		if other.images != d.images || !slices.Equal(other.of, d.of) {
			return nil, nil, fmt.Errorf("%s and %s: txt2img or the number of images differ", r.path, r.against)
		}
		others = other.metrics()
	}
	if report.statistics, err = r.statistics(d.images, metrics, others); err != nil {
		return nil, nil, err
	}
	if r.slice != "" {
		report.Slices, err = r.slices(d)
	}
	return report, metrics, err
}

func (r *retrievalScoring) slices(d *directions) (map[string]retrievalSlice, error) {
	var file map[string]json.RawMessage
	if err := readJSON(r.path, &file); err != nil {
		return nil, err
	}
	var values []json.RawMessage
	if err := json.Unmarshal(file[r.slice], &values); err != nil || len(values) != d.images {
		return nil, fmt.Errorf("%s: %q is not a list with a value for each of %d images", r.path, r.slice, d.images)
	}
	name := func(image int) string {
		return sliceValue(map[string]json.RawMessage{r.slice: values[image]}, r.slice)
	}
	i2t, t2i := map[string][]int{}, map[string][]int{}
	for i, rank := range d.i2t[eval.Pessimistic] {
		i2t[name(i)] = append(i2t[name(i)], rank)
	}
	for t, rank := range d.t2i[eval.Pessimistic] {
		t2i[name(d.of[t])] = append(t2i[name(d.of[t])], rank)
	}
	out := map[string]retrievalSlice{}
	for part, ranks := range i2t {
		out[part] = retrievalSlice{len(ranks), eval.RecallOf(ranks), eval.RecallOf(t2i[part])}
	}
	return out, nil
}
