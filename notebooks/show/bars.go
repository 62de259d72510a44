package show

import (
	"fmt"
	"math"
)

// Score is a figure with its interval.
type Score struct {
	Name            string
	Low, Mean, High float64
}

// Intervals draws scores below each other on one axis: a point each, and its interval as a line. A vertical
// line stands at zero where the axis crosses it.
func Intervals(scores []Score) string {
	const left, width, height, right = 230.0, 420.0, 26.0, 210.0
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range scores {
		low, high = min(low, s.Low), max(high, s.High)
	}
	if low > 0 && low < high/2 {
		low = 0
	}
	pad := max((high-low)*0.04, 1e-9)
	low, high = low-pad, high+pad
	at := func(v float64) float64 { return left + width*(v-low)/(high-low) }
	d := &drawing{}
	bottom := 10 + height*float64(len(scores))
	if low < 0 && high > 0 {
		d.line(at(0), 6, at(0), bottom, 1, soft)
	}
	for i, s := range scores {
		y := 10 + height*(float64(i)+0.5)
		d.text(left-10, y+4, 12, "end", ink, s.Name)
		d.line(left, y, left+width, y, 1, line)
		d.line(at(s.Low), y, at(s.High), y, 4, "#a9c0f2")
		d.circle(at(s.Mean), y, 5, blue)
		d.text(left+width+12, y+4, 12, "start", soft, fmt.Sprintf("%.3g   (%.3g to %.3g)", s.Mean, s.Low, s.High))
	}
	d.grow(left+width+right, bottom)
	return d.svg()
}

// Layer is one kind of values of a Histogram.
type Layer struct {
	Name   string
	Mark   Mark
	Values []float64
}

// Histogram draws how values lie between low and high, each kind as bars of its own beside those of the
// others, and a line at a threshold.
func Histogram(low, high, threshold float64, layers []Layer) string {
	const left, top, width, height, bins = 40.0, 50.0, 560.0, 180.0, 20
	counts := make([][bins]int, len(layers))
	most := 1
	for i, l := range layers {
		for _, v := range l.Values {
			bin := min(max(int(bins*(v-low)/(high-low)), 0), bins-1)
			counts[i][bin]++
			most = max(most, counts[i][bin])
		}
	}
	d := &drawing{}
	x := left
	for _, l := range layers {
		d.rect(x, 10, 10, 10, l.Mark.colour())
		name := fmt.Sprintf("%s (%d)", l.Name, len(l.Values))
		d.text(x+15, 19, 12, "start", ink, name)
		x += 40 + float64(len(name))*6.5
	}
	for _, share := range []float64{0, 0.5, 1} {
		y := top + height*(1-share)
		d.line(left, y, left+width, y, 1, line)
		d.text(left-6, y+4, 11, "end", soft, fmt.Sprint(int(float64(most)*share+0.5)))
	}
	bar := width / bins / float64(len(layers))
	for i, l := range layers {
		for bin, n := range counts[i] {
			if n > 0 {
				h := height * float64(n) / float64(most)
				d.rect(left+bar*float64(bin*len(layers)+i)+1, top+height-h, bar-1, h, l.Mark.colour())
			}
		}
	}
	for i := range 5 {
		v := low + (high-low)*float64(i)/4
		d.text(left+width*float64(i)/4, top+height+16, 11, "middle", soft, fmt.Sprintf("%.3g", v))
	}
	at := left + width*(threshold-low)/(high-low)
	d.line(at, top-6, at, top+height, 2, ink)
	d.text(at, top-10, 11, "middle", ink, fmt.Sprintf("threshold %.3g", threshold))
	d.grow(left+width+30, top+height+24)
	return d.svg()
}
