package capfilt

import (
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"goblip/eval/report"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = report.NewTemplate(pageHTML)

// page is what the template places.
type page struct {
	*Summary
	Lead       string
	Headlines  []report.Headline
	Reasons    []string // columns of the table of sources
	SourceRows []sourceRow
	Charts     []chart // of the deciding score, by source
	Others     []chart // of the other scores
	Slider     *slider
	Kinds      []kindRow
	Groups     []exampleGroup
	Facts      []report.Fact
	// DuplicatesText is the share of kept texts that repeat another picture's, in percent.
	DuplicatesText string
	Style          template.CSS
	Script         template.JS
}

type sourceRow struct {
	Source
	Share   float64 // percent kept
	Reasons []int
}

// chart is a histogram; the page's script colours it by the threshold.
type chart struct {
	Title, Note string
	Total       int
	Bars        []barOf
	Low, High   string
}

// barOf is one bar: of N texts, Right are known to be right and Wrong to be wrong.
type barOf struct {
	X, Width, Y, Height float64
	From                float64 // the lowest score in it
	N, Right, Wrong     int
	Cut                 bool // below the rule's threshold
}

type slider struct {
	Name            string
	Low, High, Step float64
	Value           float64
	TopK            int
	Truth           bool
}

type kindRow struct {
	Kind, Source    string
	Texts, Rejected int
	Share           float64
	Right           bool
}

type exampleGroup struct {
	Name  string
	ID    string
	Cards []card
}

type card struct {
	Thumb template.URL
	Texts []cardText
}

type cardText struct {
	Text, Origin, Reason, Truth string
	Scores                      []report.Fact
	Keep, This                  bool
}

func writeReport(path string, j *Job, s *Stats) error {
	return report.WritePage(path, pageTemplate, newPage(j, s))
}

func newPage(j *Job, s *Stats) *page {
	c, id := &j.Config, j.ID
	p := &page{Summary: &s.Summary, Style: template.CSS(pageCSS), Script: template.JS(pageJS)}
	p.Lead = fmt.Sprintf("%s: %d of %d texts are kept, for %d of %d pictures. %s", c.Source, p.Kept, p.Texts, p.PicturesKept, p.Pictures, c.Rule)
	p.DuplicatesText = fmt.Sprintf("%.1f %%", 100*p.Duplicates)
	p.headlines()
	for _, source := range p.Sources {
		for reason := range source.Rejected {
			if !slices.Contains(p.Reasons, reason) {
				p.Reasons = append(p.Reasons, reason)
			}
		}
	}
	slices.Sort(p.Reasons)
	for _, source := range p.Sources {
		row := sourceRow{Source: source, Share: percent(source.Kept, source.Texts)}
		for _, reason := range p.Reasons {
			row.Reasons = append(row.Reasons, source.Rejected[reason])
		}
		p.SourceRows = append(p.SourceRows, row)
	}
	p.charts(c.Rule, s)
	p.kinds()
	for i, name := range exampleGroups {
		if set := s.Examples[name]; set != nil {
			set.cut()
			p.Groups = append(p.Groups, newGroup(c, name, fmt.Sprintf("g%d", i), set.List))
		}
	}
	p.Facts = facts(c, id)
	return p
}

// String says what a rule does, as a sentence.
func (r Rule) String() string {
	var of []string
	if r.Threshold != nil {
		of = append(of, fmt.Sprintf("with %s of at least %g", strings.ToUpper(r.Score), *r.Threshold))
	}
	if r.TopK > 0 {
		of = append(of, fmt.Sprintf("among the best %d of their picture by %s", r.TopK, strings.ToUpper(r.Score)))
	}
	if len(of) == 0 {
		return "All texts are kept that are not empty and do not repeat another of their picture."
	}
	return "Kept are texts " + strings.Join(of, ", and ") + "."
}

func (p *page) headlines() {
	add := func(label, value, note string) {
		p.Headlines = append(p.Headlines, report.Headline{Label: label, Value: value, Note: note})
	}
	written, writtenKept := 0, 0
	for _, s := range p.Sources {
		switch s.Origin {
		case Human:
		case Web:
			add("web texts kept", percentText(s.Kept, s.Texts), fmt.Sprintf("%d of %d", s.Kept, s.Texts))
		default:
			written, writtenKept = written+s.Texts, writtenKept+s.Kept
		}
	}
	if written > 0 {
		add("written texts kept", percentText(writtenKept, written), fmt.Sprintf("%d of %d", writtenKept, written))
		add("pictures gained", fmt.Sprint(p.PicturesGained), "whose only kept text a captioner wrote")
	}
	add("pictures with a text", percentText(p.PicturesKept, p.Pictures), fmt.Sprintf("%d of %d", p.PicturesKept, p.Pictures))
	add("bad pictures", fmt.Sprint(p.BadPictures), "named in "+BadFile)
	if p.Truth != nil {
		v := p.Truth.All
		if v.Precision != nil {
			add("of the kept are right", fmt.Sprintf("%.1f %%", 100**v.Precision), fmt.Sprintf("precision; %.1f %% of all were", percent(v.Right, v.Texts)))
		}
		if v.Recall != nil {
			add("of the right are kept", fmt.Sprintf("%.1f %%", 100**v.Recall), "recall")
		}
	}
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(1000*float64(part)/float64(whole)) / 10
}

func percentText(part, whole int) string { return fmt.Sprintf("%.1f %%", percent(part, whole)) }

// charts draws the histograms.
func (p *page) charts(rule Rule, s *Stats) {
	for _, key := range slices.Sorted(maps.Keys(s.Scores)) {
		// All sources of a score share their scale, so that they can be compared.
		low, high := bins, 0
		for _, h := range s.Scores[key] {
			for i, n := range h.Counts {
				if n > 0 {
					low, high = min(low, i), max(high, i)
				}
			}
		}
		if strings.HasSuffix(key, " "+ITM) || key == decides && rule.Score == ITM {
			low, high = 0, bins-1
		}
		for _, o := range s.Origins {
			origin := o.Source.Origin
			h := s.Scores[key][origin]
			if h == nil {
				continue
			}
			if key != decides {
				p.Others = append(p.Others, newChart(origin+" · "+key, h, nil, nil, low, high))
				continue
			}
			truth := s.Truth[origin]
			if truth == nil {
				truth = &[2]*Histogram{}
			}
			p.Charts = append(p.Charts, newChart(origin, h, truth[0], truth[1], low, high))
			p.slider(rule, h, low, high, truth[0] != nil)
		}
	}
	if rule.Threshold != nil {
		for _, c := range p.Charts {
			for i := range c.Bars {
				c.Bars[i].Cut = c.Bars[i].From < *rule.Threshold-1e-9
			}
		}
	}
}

func (p *page) slider(rule Rule, h *Histogram, low, high int, truth bool) {
	width := (h.High - h.Low) / bins
	if p.Slider == nil {
		p.Slider = &slider{Name: strings.ToUpper(rule.Score), Low: round(h.Low + float64(low)*width), High: round(h.Low + float64(high+1)*width), Step: width, TopK: rule.TopK}
		p.Slider.Value = p.Slider.Low
		if rule.Threshold != nil {
			p.Slider.Value = *rule.Threshold
		}
	}
	p.Slider.Truth = p.Slider.Truth || truth
}

// The drawing area of a chart, in the units of its view box.
const (
	chartWidth  = 300.0
	chartHeight = 90.0
)

// newChart draws bars of a histogram from bin low to bin high. Their heights are square roots of the counts, or
// the spikes at both ends of a confident filter would hide all between them.
func newChart(title string, h, right, wrong *Histogram, low, high int) chart {
	c := chart{Title: title, Total: h.total()}
	width := (h.High - h.Low) / bins
	// About a hundred bars.
	merge := max(1, (high-low+50)/100)
	most := 1.0
	for at := low; at <= high; at += merge {
		b := barOf{From: round(h.Low + float64(at)*width)}
		for i := at; i < min(at+merge, high+1); i++ {
			b.N += h.Counts[i]
			if right != nil {
				b.Right += right.Counts[i]
				b.Wrong += wrong.Counts[i]
			}
		}
		most = max(most, math.Sqrt(float64(b.N)))
		c.Bars = append(c.Bars, b)
	}
	step := chartWidth / float64(max(1, len(c.Bars)))
	for i := range c.Bars {
		b := &c.Bars[i]
		b.X, b.Width = round2(float64(i)*step), round2(step*0.92)
		b.Height = round2(chartHeight * math.Sqrt(float64(b.N)) / most)
		b.Y = round2(chartHeight - b.Height)
	}
	c.Low, c.High = fmt.Sprintf("%.2f", h.Low+float64(low)*width), fmt.Sprintf("%.2f", h.Low+float64(high+1)*width)
	return c
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// kinds lists how much of each kind of noise was rejected, by source as in the table above it.
func (p *page) kinds() {
	if p.Truth == nil {
		return
	}
	for _, source := range p.Sources {
		verdict := p.Truth.Sources[source.Origin]
		if verdict == nil { // nothing is known of it
			continue
		}
		for _, kind := range slices.Sorted(maps.Keys(verdict.Kinds)) {
			k := verdict.Kinds[kind]
			p.Kinds = append(p.Kinds, kindRow{kind, source.Origin, k.Texts, k.Rejected, percent(k.Rejected, k.Texts), kind == Right})
		}
	}
}

func newGroup(c *Config, name, id string, list []example) exampleGroup {
	g := exampleGroup{Name: name, ID: id}
	for _, e := range list {
		k := card{Thumb: thumbnail(c.Out, e.Image)}
		for i, t := range e.Texts {
			d := e.Decisions[i]
			x := cardText{Text: t.Text, Origin: t.Origin, Reason: d.Reason, Truth: t.Truth, Keep: d.Keep, This: i == e.Which}
			for _, filter := range slices.Sorted(maps.Keys(t.Scores)) {
				for _, kind := range slices.Sorted(maps.Keys(t.Scores[filter])) {
					label := kind
					if len(t.Scores) > 1 {
						label = filter + " " + kind
					}
					x.Scores = append(x.Scores, report.Fact{Name: label, Value: fmt.Sprintf("%.3f", t.Scores[filter][kind])})
				}
			}
			k.Texts = append(k.Texts, x)
		}
		g.Cards = append(g.Cards, k)
	}
	return g
}

func facts(c *Config, id *identity) []report.Fact {
	out := []report.Fact{{Name: "Source", Value: fmt.Sprintf("%s, %d records, fingerprint %s", c.Source, id.Records, id.Data)}}
	for _, m := range id.Captioners {
		out = append(out, report.Fact{Name: "Captioner " + m.Name, Value: m.Fingerprint})
	}
	if o := c.Writing.Options; len(id.Captioners) > 0 {
		how := "greedy search"
		switch {
		case o.DoSample:
			how = fmt.Sprintf("nucleus sampling, p %g, seed %d", o.TopP, o.Seed)
		case o.NumBeams > 1:
			how = fmt.Sprintf("beam search, %d beams", o.NumBeams)
		}
		out = append(out, report.Fact{Name: "Writing", Value: fmt.Sprintf("%d a picture and captioner, %s, %d to %d tokens, repetition penalty %g", c.Captions, how, o.MinNewTokens, o.MaxNewTokens, o.RepetitionPenalty)})
	}
	for _, m := range id.Filters {
		out = append(out, report.Fact{Name: "Filter " + m.Name, Value: m.Fingerprint})
	}
	if c.Rule.needsScores() && len(id.Filters) > 1 {
		out = append(out, report.Fact{Name: "Ensemble", Value: c.Rule.Ensemble + " of the filters"})
	}
	return out
}
