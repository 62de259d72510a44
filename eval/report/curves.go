package report

import (
	"bytes"
	"html/template"

	"goblip/train/runlog"
)

// curvesTemplate draws charts beside each other in one SVG that needs no style sheet.
var curvesTemplate = template.Must(template.New("curves").Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" width="{{.Width}}" height="{{.Height}}" font-family="sans-serif" font-size="11" style="max-width:100%;height:auto">` +
		`<rect width="100%" height="100%" fill="#fff"/>` +
		`{{range .Charts}}<g transform="translate({{.Left}} {{.Top}})">` +
		`<text x="8" y="16" font-size="13" fill="#1b1f27">{{.Title}}</text><text x="256" y="16" text-anchor="end" font-size="13" font-weight="bold" fill="#1b1f27">{{.Last}}</text>` +
		`<g transform="translate(0 22)" fill="#5d6675">` +
		`{{range .YTicks}}<line x1="40" x2="256" y1="{{.At}}" y2="{{.At}}" stroke="#e1e4ea"/><text x="34" y="{{.At}}" dy="3.5" text-anchor="end">{{.Text}}</text>{{end}}` +
		`{{range .XTicks}}<text x="{{.At}}" y="162" text-anchor="{{.Anchor}}">{{.Text}}</text>{{end}}` +
		`{{with .Raw}}<path d="{{.}}" fill="none" stroke="#a9c0f2"/>{{end}}` +
		`{{with .Floor}}<line x1="40" x2="256" y1="{{.Y}}" y2="{{.Y}}" stroke="#b86e00" stroke-dasharray="4 3"/>{{end}}` +
		`{{with .Smooth}}<path d="{{.}}" fill="none" stroke="#2f62d9" stroke-width="2"/>{{end}}` +
		`{{range .Eval}}<circle cx="{{.X}}" cy="{{.Y}}" r="3.5" fill="#1a7f4b"/>{{end}}` +
		`{{with .Floor}}<text x="256" y="{{.TextY}}" text-anchor="end" fill="#b86e00">{{.Text}}</text>{{end}}` +
		`</g></g>{{end}}</svg>`))

// Curves draws the terms and the learning rate of a training, as it stands, as one SVG of four charts a row.
func Curves(steps []runlog.Step) (svg string, err error) {
	type placed struct {
		chart
		Left, Top int
	}
	const perRow, height = 4, chartHeight + 28
	var data struct {
		Width, Height int
		Charts        []placed
	}
	for i, c := range phaseCharts(steps) {
		p := placed{c, i % perRow * chartWidth, i / perRow * height}
		data.Charts = append(data.Charts, p)
		data.Width, data.Height = max(data.Width, p.Left+chartWidth), p.Top+height
	}
	var b bytes.Buffer
	err = curvesTemplate.Execute(&b, data)
	return b.String(), err
}
