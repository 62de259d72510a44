package capfilt

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"html/template"
	stdimage "image"
	"image/jpeg"
	"path/filepath"
	"slices"

	"goblip/datasets/image"
)

// Groups of examples, in the order of the report.
const (
	webRejected     = "web texts rejected"
	writtenRejected = "written texts rejected"
	webKept         = "web texts kept"
	writtenKept     = "written texts kept"
)

var exampleGroups = []string{webRejected, writtenRejected, webKept, writtenKept}

func groupOf(t Text, d Decision) string {
	switch {
	case t.Origin == Web && d.Keep:
		return webKept
	case t.Origin == Web:
		return webRejected
	case d.Keep:
		return writtenKept
	}
	return writtenRejected
}

// examplesShown is how many examples of each group the report shows.
const examplesShown = 100

// exampleSet keeps the examples of least hash: a fair choice, the same in every run.
type exampleSet struct {
	List []example `json:"list"`
}

type example struct {
	Hash      uint64     `json:"hash"`
	Image     string     `json:"image"`
	Texts     []Text     `json:"texts"`
	Decisions []Decision `json:"decisions"`
	Which     int        `json:"which"`
}

// example notes a picture's texts as examples.
func (s *Stats) example(l *line, decisions []Decision) {
	for i, t := range l.Texts {
		s.exampleSet(groupOf(t, decisions[i])).add(example{hashOf("example", l.Record.ID, t.Origin, t.Text), l.Record.Image, l.Texts, decisions, i})
	}
}

func (s *Stats) exampleSet(group string) *exampleSet {
	if s.Examples[group] == nil {
		s.Examples[group] = &exampleSet{}
	}
	return s.Examples[group]
}

func (s *exampleSet) add(e example) {
	s.List = append(s.List, e)
	if len(s.List) >= 4*examplesShown {
		s.cut()
	}
}

// cut keeps those that are shown, one text a picture.
func (s *exampleSet) cut() {
	slices.SortFunc(s.List, func(a, b example) int {
		return cmp.Or(cmp.Compare(a.Hash, b.Hash), cmp.Compare(a.Image, b.Image), cmp.Compare(a.Which, b.Which))
	})
	seen := map[string]bool{}
	s.List = slices.DeleteFunc(s.List, func(e example) bool {
		again := seen[e.Image]
		seen[e.Image] = true
		return again
	})
	s.List = s.List[:min(examplesShown, len(s.List))]
}

// thumbnailSide is the longer side of a picture in the report, in pixels.
const thumbnailSide = 120

// thumbnail is a picture as an address inside the page; empty if it cannot be read any more.
func thumbnail(out, path string) template.URL {
	if !filepath.IsAbs(path) {
		path = filepath.Join(out, filepath.FromSlash(path))
	}
	picture, err := image.Open(path, image.Options{Alpha: image.AlphaWhite})
	if err != nil {
		return ""
	}
	if longer := max(picture.Width, picture.Height); longer > thumbnailSide {
		picture = image.Resize(picture, max(1, picture.Width*thumbnailSide/longer), max(1, picture.Height*thumbnailSide/longer), image.Bicubic)
	}
	img := stdimage.NewRGBA(stdimage.Rect(0, 0, picture.Width, picture.Height))
	for i := range picture.Width * picture.Height {
		copy(img.Pix[4*i:], picture.Pix[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 88}); err != nil {
		return ""
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}
