package generate

import (
	"math"
	"slices"
	"testing"
)

// fixedDecoder gives the same logits at a step whatever was written, and wants rows to keep their places.
type fixedDecoder struct {
	t     *testing.T
	steps [][]float32 // [step][vocab]
	rows  int
	at    int
}

func (d *fixedDecoder) logits() ([]float32, error) {
	d.at++
	return slices.Repeat(d.steps[d.at-1], d.rows), nil
}

func (d *fixedDecoder) First() ([]float32, error) { return d.logits() }

func (d *fixedDecoder) Next(_, parents []int32) ([]float32, error) {
	for r, p := range parents {
		if int(p) != r {
			d.t.Errorf("row %d has parent %d", r, p)
		}
	}
	return d.logits()
}

func TestRank(t *testing.T) {
	steps := [][]float32{{0, 2, 1, -3}, {0, -4, 3, 0}, {1, 1, 1, 1}}
	logProb := func(step, token int) float64 { return logSoftmax(steps[step], nil)[token] }
	o := Default()
	o.Candidates = [][]int32{{1, 1, 0}, {2, 2, 0}, {3, 0}, {2, 0}}
	for _, c := range []struct {
		name  string
		beams int
		want  []int32
		score float64
	}{
		{"all", 4, []int32{2, 0}, logProb(0, 2) + logProb(1, 0)},
		{"the likeliest first token alone", 1, []int32{1, 1, 0}, logProb(0, 1) + logProb(1, 1) + logProb(2, 0)},
		{"more beams than candidates", 6, []int32{2, 0}, logProb(0, 2) + logProb(1, 0)},
	} {
		o.NumBeams = c.beams
		best := c.want
		score := c.score
		if long := logProb(0, 2) + logProb(1, 2) + logProb(2, 0); c.beams > 1 && long > score {
			best, score = []int32{2, 2, 0}, long
		}
		got, err := Run(&fixedDecoder{t: t, steps: steps, rows: 2 * c.beams}, make([][]int32, 2), 4, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got {
			if !slices.Equal(s.IDs, best) || math.Abs(s.Score-score) > 1e-12 || len(s.LogProbs) != len(best) {
				t.Errorf("%s: %+v, want %v with %v", c.name, s, best, score)
			}
		}
	}
	o.NumBeams, o.Choices = 3, [][]int{{2, 0}, {2}}
	got, err := Run(&fixedDecoder{t: t, steps: steps, rows: 6}, make([][]int32, 2), 4, o, nil)
	first := []int32{1, 1, 0}
	if logProb(0, 3)+logProb(1, 0) > logProb(0, 1)+logProb(1, 1)+logProb(2, 0) {
		first = []int32{3, 0}
	}
	if err != nil || !slices.Equal(got[0].IDs, first) || !slices.Equal(got[1].IDs, []int32{3, 0}) {
		t.Errorf("each with choices of its own: %+v, %v", got, err)
	}
	for _, bad := range [][][]int{{{0}}, {{0}, {4}}} {
		o.Choices = bad
		if _, err := Run(&fixedDecoder{t: t, steps: steps, rows: 6}, make([][]int32, 2), 4, o, nil); err == nil {
			t.Errorf("choices %v were accepted", bad)
		}
	}
	o.Choices = nil
	o.NumBeams, o.LabelSmoothing, o.Candidates = 1, 0.1, [][]int32{{1}}
	smooth, err := Run(&fixedDecoder{t: t, steps: steps, rows: 1}, make([][]int32, 1), 4, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for token := range 4 {
		mean += logProb(0, token) / 4
	}
	if want := 0.9*logProb(0, 1) + 0.1*mean; math.Abs(smooth[0].Score-want) > 1e-12 {
		t.Errorf("smoothed %v, want %v", smooth[0].Score, want)
	}
	for _, bad := range [][][]int32{{{}}, {{4}}, {slices.Repeat([]int32{1}, 31)}} {
		o.Candidates = bad
		if _, err := Run(&fixedDecoder{t: t, steps: steps, rows: 1}, make([][]int32, 1), 4, o, nil); err == nil {
			t.Errorf("candidates %v: no error", bad)
		}
	}
}
