package report

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"goblip/eval"
	"goblip/train/runlog"
)

//go:embed page.html
var pageHTML string

//go:embed parts.html
var partsHTML string

//go:embed page.css
var pageCSS string

var pageTemplate = NewTemplate(pageHTML)

// NewTemplate parses a page in this package's style. Beside the language's own functions it may call css (the style
// sheet), image (a PNG's bytes as an address inside the page) and count (12,345), and
// as a template headlines (a list of Headline). A page that does not parse panics.
func NewTemplate(html string) *template.Template {
	parts := template.Must(template.New("parts").Funcs(template.FuncMap{
		"css":   func() template.CSS { return template.CSS(pageCSS) },
		"image": dataURI,
		"count": formatCount,
	}).Parse(partsHTML))
	return template.Must(parts.New("page").Parse(html))
}

// dataURI is a picture inside the page. Its content was checked to be a PNG.
func dataURI(png []byte) template.URL {
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png))
}

// page is what the template places.
type page struct {
	*Report
	Date           string
	PictureCards   []pictureCard
	HasMarks       bool
	HasNovel       bool
	RetrievalRows  []tableRow
	CaptionColumns []string
	CaptionRows    []tableRow
	QuestionRows   []questionRow
	HasBlind       bool
	Curves         []curves
	HasEval        bool // some curve has values on held-out data
	HasTraining    bool // some phase logged its training
	Times          []bar
	Memories       []bar
	TotalTime      string
}

// pictureCard is a picture with the captions that are shown at once and those that unfold.
type pictureCard struct {
	Picture
	Truth, More []string
}

// truthsShown is how many of a picture's captions are shown at once.
const truthsShown = 3

type tableRow struct {
	Name  string
	Faint bool
	Cells []cell
}

type cell struct {
	Value, Range string
	Best         bool
}

type questionRow struct {
	Kind, Value, Range, Blind string
	Questions                 string
	All                       bool
	Width, BlindAt            float64 // percent
}

type curves struct {
	Name, Note string
	Charts     []chart
}

// bar is a phase's bar in the chart of times or memory.
type bar struct {
	Name, Value string
	Width       float64 // percent of the longest
}

func newPage(r *Report) *page {
	p := &page{Report: r}
	if r.Title == "" {
		copied := *r
		copied.Title = "goblip quickstart"
		p.Report = &copied
	}
	if !r.Created.IsZero() {
		p.Date = r.Created.Format("2 January 2006, 15:04")
	}
	for _, picture := range r.Pictures {
		n := min(truthsShown, len(picture.Truth))
		p.PictureCards = append(p.PictureCards, pictureCard{picture, picture.Truth[:n], picture.Truth[n:]})
		p.HasMarks = p.HasMarks || len(picture.Marks) > 0
		p.HasNovel = p.HasNovel || picture.Novel
	}
	p.RetrievalRows = retrievalRows(r.Retrieval)
	p.CaptionColumns, p.CaptionRows = captionTable(r.Captions)
	for _, a := range r.Questions {
		p.QuestionRows = append(p.QuestionRows, newQuestionRow(a))
		p.HasBlind = p.HasBlind || a.Blind != nil
	}
	total := 0.0
	for _, phase := range r.Phases {
		if charts := phaseCharts(phase.Steps); len(charts) > 0 {
			p.Curves = append(p.Curves, curves{Name: phase.Name, Note: phase.Note, Charts: charts})
			p.HasTraining = p.HasTraining || slices.ContainsFunc(phase.Steps, func(s runlog.Step) bool { return s.Split != "eval" })
			p.HasEval = p.HasEval || slices.ContainsFunc(charts, func(c chart) bool { return len(c.Eval) > 0 })
		}
		total += phase.Seconds
	}
	p.Times = bars(r.Phases, func(ph Phase) (float64, string) { return ph.Seconds, formatSeconds(ph.Seconds) })
	p.Memories = bars(r.Phases, func(ph Phase) (float64, string) {
		return float64(ph.PeakMemoryBytes), formatBytes(ph.PeakMemoryBytes)
	})
	p.TotalTime = formatSeconds(total)
	return p
}

func bars(phases []Phase, measure func(Phase) (float64, string)) []bar {
	longest := 0.0
	for _, ph := range phases {
		v, _ := measure(ph)
		longest = max(longest, v)
	}
	var list []bar
	for _, ph := range phases {
		if v, text := measure(ph); v > 0 {
			list = append(list, bar{Name: ph.Name, Value: text, Width: round1(100 * v / longest)})
		}
	}
	return list
}

func retrievalRows(rows []RetrievalRow) []tableRow {
	var table []tableRow
	for _, r := range rows {
		row := tableRow{Name: r.Name, Faint: r.Chance}
		for _, v := range append(r.ImageToText[:], r.TextToImage[:]...) {
			row.Cells = append(row.Cells, percentCell(v))
		}
		table = append(table, row)
	}
	for c := range 6 {
		best := -1.0
		for _, r := range rows {
			best = max(best, column(r, c).Mean)
		}
		for i, r := range rows {
			table[i].Cells[c].Best = len(rows) > 1 && !r.Chance && column(r, c).Mean == best
		}
	}
	return table
}

func column(r RetrievalRow, c int) eval.Interval {
	if c < 3 {
		return r.ImageToText[c]
	}
	return r.TextToImage[c-3]
}

// captionTable has a column for each attribute that some row has; a figure that a row lacks is a dash.
func captionTable(rows []CaptionRow) (columns []string, table []tableRow) {
	hasCIDEr := slices.ContainsFunc(rows, func(r CaptionRow) bool { return r.CIDEr != nil })
	hasBLEU := slices.ContainsFunc(rows, func(r CaptionRow) bool { return r.BLEU4 != nil })
	var attributes []string
	for _, r := range rows {
		for _, a := range r.Attributes {
			if !slices.Contains(attributes, a.Name) {
				attributes = append(attributes, a.Name)
			}
		}
	}
	for _, r := range rows {
		row := tableRow{Name: r.Name}
		if hasCIDEr {
			row.Cells = append(row.Cells, scoreCell(r.CIDEr, 2))
		}
		if hasBLEU {
			row.Cells = append(row.Cells, scoreCell(r.BLEU4, 3))
		}
		for _, name := range attributes {
			c := cell{Value: "–"}
			if i := slices.IndexFunc(r.Attributes, func(a Attribute) bool { return a.Name == name }); i >= 0 {
				c = percentCell(r.Attributes[i].Share)
			}
			row.Cells = append(row.Cells, c)
		}
		table = append(table, row)
	}
	if hasCIDEr {
		columns = append(columns, "CIDEr")
	}
	if hasBLEU {
		columns = append(columns, "BLEU-4")
	}
	for _, name := range attributes {
		columns = append(columns, name+" %")
	}
	return columns, table
}

func newQuestionRow(a eval.Accuracy) questionRow {
	c := percentCell(a.Share)
	row := questionRow{
		Kind: a.Kind, Value: c.Value, Range: c.Range, Questions: formatCount(a.Questions), All: a.Kind == "",
		Width: round1(a.Share.Mean), BlindAt: -1,
	}
	if row.All {
		row.Kind = "all questions"
	}
	if a.Blind != nil {
		row.Blind = fmt.Sprintf("%.1f", *a.Blind)
		row.BlindAt = round1(*a.Blind)
	}
	return row
}

func percentCell(v eval.Interval) cell {
	c := cell{Value: fmt.Sprintf("%.1f", v.Mean)}
	if v.Mean != 0 && v.Mean < 0.95 {
		c.Value = fmt.Sprintf("%.2f", v.Mean)
	}
	if v.High > v.Low {
		c.Range = fmt.Sprintf("%.1f–%.1f", v.Low, v.High)
	}
	return c
}

func scoreCell(v *eval.Interval, decimals int) cell {
	if v == nil {
		return cell{Value: "–"}
	}
	c := cell{Value: fmt.Sprintf("%.*f", decimals, v.Mean)}
	if v.High > v.Low {
		c.Range = fmt.Sprintf("%.*f–%.*f", decimals, v.Low, decimals, v.High)
	}
	return c
}

func round1(v float64) float64 { return float64(int(v*10+0.5)) / 10 }

func formatPercent(v float64) string {
	if v != 0 && v < 0.95 {
		return fmt.Sprintf("%.2f %%", v)
	}
	return fmt.Sprintf("%.1f %%", v)
}

// formatCount writes 12,345.
func formatCount(n int) string {
	if n < 0 {
		return "-" + formatCount(-n)
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func formatSeconds(s float64) string {
	switch n := int(s + 0.5); {
	case s < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", s), ".0") + " s"
	case n < 60:
		return fmt.Sprintf("%d s", n)
	case n < 3600:
		return fmt.Sprintf("%d min %02d s", n/60, n%60)
	default:
		return fmt.Sprintf("%d h %02d min", n/3600, n%3600/60)
	}
}

func formatBytes(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
