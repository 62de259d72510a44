package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"goblip/train/runlog"
)

// TestCurves: a chart for each term and one for the learning rate, in well-formed XML, from the first step on.
func TestCurves(t *testing.T) {
	var steps []runlog.Step
	for i := range 30 {
		steps = append(steps, runlog.Step{Step: i + 1, LR: 1e-3, Terms: []runlog.Term{
			{Name: "itc", Value: 4 / float64(i+1), Floor: 0.5, FloorName: "floor"}, {Name: "itm", Value: 0.6}, {Name: "itg", Value: 5}}})
		svg, err := Curves(steps)
		if err != nil {
			t.Fatal(err)
		}
		paths := map[int]int{0: 4, 29: 4 + 3}[i] // with raw values beside the smoothed ones where there are enough
		if n := strings.Count(svg, "<path"); paths != 0 && n != paths {
			t.Errorf("after %d steps: %d lines, want %d", i+1, n, paths)
		}
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("after %d steps: %v", i+1, err)
			}
		}
	}
	if _, err := Curves(nil); err != nil {
		t.Errorf("before the first step: %v", err)
	}
}
