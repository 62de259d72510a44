package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"goblip/train/runlog"
)

// Size of a chart in the units of its viewBox, and the margins around the plot.
const (
	chartWidth, chartHeight = 264, 170
	marginLeft, marginRight = 40, 8
	marginTop, marginBottom = 10, 24
	plotWidth, plotHeight   = chartWidth - marginLeft - marginRight, chartHeight - marginTop - marginBottom
	// maxPoints bounds the points of a line: more cannot be seen.
	maxPoints = 400
)

// chart is a small line chart, ready to be drawn.
type chart struct {
	Title  string
	Last   string // the latest smoothed value
	Raw    string // path data; empty when there is nothing to smooth
	Smooth string
	Eval   []chartPoint // values on held-out data
	YTicks []chartTick
	XTicks []chartTick
	Floor  *chartFloor
	Label  string // what a screen reader says
}

type chartPoint struct{ X, Y string }

type chartTick struct {
	At, Text string
	Anchor   string // text-anchor of a tick on the x axis
}

type chartFloor struct{ Y, TextY, Text string }

type point struct{ x, y float64 }

// termTitles explain the terms that goblip logs.
var termTitles = map[string]string{
	"itc":  "ITC · telling pairs apart",
	"itm":  "ITM · match or not",
	"itg":  "ITG · writing the text",
	"lm":   "LM · next token",
	"clip": "Contrastive loss",
	"loss": "Loss",
}

// phaseCharts makes one chart for each term of the phase and one of its learning rate.
func phaseCharts(steps []runlog.Step) []chart {
	type line struct {
		train, eval []point
		floor       float64
		floorName   string
	}
	lines := map[string]*line{}
	var names []string // in order of appearance
	var lr []point
	for _, s := range steps {
		for _, t := range s.Terms {
			l := lines[t.Name]
			if l == nil {
				l = &line{}
				lines[t.Name] = l
				names = append(names, t.Name)
			}
			p := point{float64(s.Step), t.Value}
			if s.Split == "eval" {
				l.eval = append(l.eval, p)
			} else {
				l.train = append(l.train, p)
			}
			if t.Floor != 0 {
				l.floor, l.floorName = t.Floor, t.FloorName
			}
		}
		if s.Split != "eval" {
			lr = append(lr, point{float64(s.Step), s.LR})
		}
	}
	var charts []chart
	for _, name := range names {
		l := lines[name]
		title := termTitles[name]
		if title == "" {
			title = name
		}
		if c, ok := newChart(title, l.train, l.eval, l.floor, l.floorName); ok {
			charts = append(charts, c)
		}
	}
	if slices.ContainsFunc(lr, func(p point) bool { return p.y != 0 }) {
		if c, ok := newChart("Learning rate", lr, nil, 0, ""); ok {
			c.Raw, c.Smooth = "", pathOf(lr, scaleOf(lr, nil, 0)) // a schedule has no noise to smooth
			c.Last = formatTick(lr[len(lr)-1].y)
			charts = append(charts, c)
		}
	}
	return charts
}

// newChart lays out a chart; ok is false if there is no finite value.
func newChart(title string, train, eval []point, floor float64, floorName string) (c chart, ok bool) {
	train, eval = finite(train), finite(eval)
	if len(train) == 0 && len(eval) == 0 {
		return c, false
	}
	s := scaleOf(train, eval, floor)
	c = chart{Title: title}
	if len(train) > 0 {
		smooth := smoothed(train)
		if len(train) > 10 {
			c.Raw = pathOf(train, s)
		}
		c.Smooth = pathOf(smooth, s)
		c.Last = formatTick(smooth[len(smooth)-1].y)
	}
	for _, p := range eval {
		c.Eval = append(c.Eval, chartPoint{format1(s.x(p.x)), format1(s.y(p.y))})
	}
	if len(train) == 0 { // checkpoints that were measured afterwards
		c.Smooth = pathOf(eval, s)
		c.Last = formatTick(eval[len(eval)-1].y)
	}
	for _, v := range niceTicks(s.minY, s.maxY, 4) {
		c.YTicks = append(c.YTicks, chartTick{At: format1(s.y(v)), Text: formatTick(v)})
	}
	c.XTicks = xTicks(s)
	c.Label = fmt.Sprintf("%s: now %s", title, c.Last)
	if floor != 0 {
		y := s.y(floor)
		f := &chartFloor{Y: format1(y), TextY: format1(y + 12), Text: fmt.Sprintf("%s %s", floorName, formatTick(floor))}
		if y+14 > chartHeight-marginBottom { // no room below, where the curve does not come
			f.TextY = format1(y - 4)
		}
		c.Floor = f
		c.Label += ", " + f.Text
	}
	return c, true
}

func finite(points []point) []point {
	return slices.DeleteFunc(slices.Clone(points), func(p point) bool { return math.IsNaN(p.y) || math.IsInf(p.y, 0) })
}

// smoothed is a moving average over about a tenth of the run around each point, the nearer points weighing more.
func smoothed(points []point) []point {
	reach := len(points)/20 + 1
	out := make([]point, len(points))
	for i, p := range points {
		// At the start, where curves are steep, the window shrinks to stay even on both sides; at the end, where they
		// are flat, it loses its right side rather than show the noise of one step as the result.
		r := min(reach, i+1)
		sum, weight := 0.0, 0.0
		for d := -r + 1; d < r && i+d < len(points); d++ {
			w := 1 - math.Abs(float64(d))/float64(r)
			sum += w * points[i+d].y
			weight += w
		}
		out[i] = point{p.x, sum / weight}
	}
	return out
}

// scale maps values to places in the chart.
type scale struct{ minX, maxX, minY, maxY float64 }

func scaleOf(train, eval []point, floor float64) scale {
	s := scale{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for _, p := range append(slices.Clone(train), eval...) {
		s.minX, s.maxX = min(s.minX, p.x), max(s.maxX, p.x)
		s.minY, s.maxY = min(s.minY, p.y), max(s.maxY, p.y)
	}
	if floor != 0 {
		s.minY, s.maxY = min(s.minY, floor), max(s.maxY, floor)
	}
	s.minX = min(s.minX, 0) // steps are counted from 0
	if s.maxX == s.minX {
		s.maxX++
	}
	if s.minY > 0 && s.minY < s.maxY/2 {
		s.minY = 0 // an axis from 0 where it costs little room
	}
	if s.maxY == s.minY {
		s.maxY += max(1e-9, math.Abs(s.maxY)*0.1)
	}
	pad := (s.maxY - s.minY) * 0.05
	s.maxY += pad
	if s.minY != 0 {
		s.minY -= pad
	}
	return s
}

func (s scale) x(v float64) float64 { return marginLeft + plotWidth*(v-s.minX)/(s.maxX-s.minX) }

func (s scale) y(v float64) float64 { return marginTop + plotHeight*(1-(v-s.minY)/(s.maxY-s.minY)) }

func pathOf(points []point, s scale) string {
	var b strings.Builder
	stride := (len(points) + maxPoints - 1) / maxPoints
	for i, p := range points {
		if i%stride != 0 && i != len(points)-1 {
			continue
		}
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		fmt.Fprintf(&b, "%s%s %s", letter, format1(s.x(p.x)), format1(s.y(p.y)))
	}
	return b.String()
}

// niceTicks returns about n round values between low and high.
func niceTicks(low, high float64, n int) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*m) <= float64(n) {
			step *= m
			break
		}
	}
	var ticks []float64
	first := math.Ceil(low / step)
	for i := range n + 2 { // bounded: adding 1 to a huge first changes nothing
		if v := (first + float64(i)) * step; v <= high {
			ticks = append(ticks, v)
		}
	}
	return ticks
}

func xTicks(s scale) []chartTick {
	ticks := []chartTick{}
	for _, v := range niceTicks(s.minX, s.maxX, 4) {
		anchor := "middle"
		if v == 0 {
			anchor = "start"
		}
		if s.x(v) > chartWidth-marginRight-14 {
			anchor = "end"
		}
		ticks = append(ticks, chartTick{At: format1(s.x(v)), Text: formatCount(int(v)), Anchor: anchor})
	}
	return ticks
}

func format1(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// formatTick writes a value with as many digits as a reader wants.
func formatTick(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a < 0.01:
		return strings.Replace(strconv.FormatFloat(v, 'e', -1, 64), "e-0", "e-", 1)
	case a >= 1000 && a < 1e9:
		return formatCount(int(v))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
