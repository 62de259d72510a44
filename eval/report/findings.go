package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"image/png"
)

//go:embed findings.html
var findingsHTML string

var findingsTemplate = NewTemplate(findingsHTML)

// Findings is a page of what is wrong with a data set.
type Findings struct {
	Title     string
	Summary   string
	Headlines []Headline
	Groups    []FindingGroup
}

// FindingGroup is the findings of one kind.
type FindingGroup struct {
	Kind  string
	Count int // Items may be fewer
	Items []FindingItem
}

// FindingItem is one finding. Picture, and Other that it is the same as, are PNGs or nil.
type FindingItem struct {
	Where, What    string
	Picture, Other []byte
}

// WriteFindings writes the page to path, replacing it in one step.
func WriteFindings(path string, f *Findings) error {
	for _, g := range f.Groups {
		for _, item := range g.Items {
			for _, b := range [][]byte{item.Picture, item.Other} {
				if _, err := png.DecodeConfig(bytes.NewReader(b)); b != nil && err != nil {
					return fmt.Errorf("%s: picture of %s is not a PNG: %w", path, item.Where, err)
				}
			}
		}
	}
	return WritePage(path, findingsTemplate, f)
}
