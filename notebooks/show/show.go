// Package show draws what notebooks show, as SVG without outside files: hand it to gonbui.DisplaySVG.
//
//	show.go    drawing, which all others are made with
//	grid.go    pictures with words under them
//	heat.go    where attention lies on a picture
//	matrix.go  similarities, attention masks
//	bars.go    scores with intervals, histograms
package show

import (
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"strings"
)

// Colours of all drawings.
const (
	ink, soft, line = "#1b1f27", "#5d6675", "#e1e4ea"
	blue            = "#2f62d9"
	green, red      = "#1a7f4b", "#bb3333"
)

// drawing collects the elements of an SVG and grows with them.
type drawing struct {
	elements      strings.Builder
	width, height float64
}

// grow makes room up to a point.
func (d *drawing) grow(x, y float64) { d.width, d.height = max(d.width, x), max(d.height, y) }

// text writes one line; anchor is start, middle or end.
func (d *drawing) text(x, y, size float64, anchor, fill, text string) {
	fmt.Fprintf(&d.elements, `<text x="%s" y="%s" font-size="%s" text-anchor="%s" fill="%s">%s</text>`,
		number(x), number(y), number(size), anchor, fill, html.EscapeString(text))
	d.grow(0, y+size/2)
}

// slanted writes one line upwards to the right, as the heading of a narrow column.
func (d *drawing) slanted(x, y, size float64, fill, text string) {
	fmt.Fprintf(&d.elements, `<text transform="translate(%s %s) rotate(-40)" font-size="%s" fill="%s">%s</text>`,
		number(x), number(y), number(size), fill, html.EscapeString(text))
}

func (d *drawing) rect(x, y, width, height float64, fill string) {
	fmt.Fprintf(&d.elements, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, number(x), number(y), number(width), number(height), fill)
	d.grow(x+width, y+height)
}

// frame is a rectangle's outline.
func (d *drawing) frame(x, y, width, height float64, stroke string) {
	fmt.Fprintf(&d.elements, `<rect x="%s" y="%s" width="%s" height="%s" fill="none" stroke="%s" stroke-width="2"/>`,
		number(x), number(y), number(width), number(height), stroke)
}

func (d *drawing) line(x1, y1, x2, y2, width float64, stroke string) {
	fmt.Fprintf(&d.elements, `<line x1="%s" y1="%s" x2="%s" y2="%s" stroke-width="%s" stroke="%s"/>`,
		number(x1), number(y1), number(x2), number(y2), number(width), stroke)
	d.grow(max(x1, x2), max(y1, y2))
}

func (d *drawing) circle(x, y, radius float64, fill string) {
	fmt.Fprintf(&d.elements, `<circle cx="%s" cy="%s" r="%s" fill="%s"/>`, number(x), number(y), number(radius), fill)
	d.grow(x+radius, y+radius)
}

// picture places square 8-bit pixels [side, side, 3].
func (d *drawing) picture(x, y, size float64, pixels []byte, side int) {
	fmt.Fprintf(&d.elements, `<image x="%s" y="%s" width="%s" height="%s" image-rendering="pixelated" href="data:image/png;base64,%s"/>`,
		number(x), number(y), number(size), number(size), base64.StdEncoding.EncodeToString(PNG(pixels, side)))
	d.grow(x+size, y+size)
}

// svg is the whole drawing on white, with a margin.
func (d *drawing) svg() string {
	width, height := number(d.width+10), number(d.height+10)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" font-family="sans-serif" style="max-width:100%%;height:auto">`+
		`<rect width="100%%" height="100%%" fill="#fff"/>%s</svg>`, width, height, width, height, d.elements.String())
}

// number writes a coordinate with as few digits as can be seen.
func number(x float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

// PNG is the file of square 8-bit pixels [side, side, 3], as infer.Pictures has them.
func PNG(pixels []byte, side int) []byte {
	picture := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		picture.SetNRGBA(i%side, i/side, color.NRGBA{R: pixels[3*i], G: pixels[3*i+1], B: pixels[3*i+2], A: 255})
	}
	var b strings.Builder
	if err := png.Encode(&b, picture); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return []byte(b.String())
}

// wrapped breaks a text into lines of at most so many characters; a longer word is a line of its own.
func wrapped(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// shortened cuts a text that is longer than so many characters.
func shortened(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// mixed is a colour between white (0) and blue (1).
func mixed(share float64) string {
	share = min(max(share, 0), 1)
	at := func(full float64) int { return int(255 + (full-255)*share + 0.5) }
	return fmt.Sprintf("#%02x%02x%02x", at(0x1f), at(0x4f), at(0xc8))
}
