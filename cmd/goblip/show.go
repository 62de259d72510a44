package main

import (
	"slices"

	"goblip/datasets/shapes"
	"goblip/eval"
	"goblip/eval/report"
	"goblip/infer"
)

// What the report shows of a test set.
const (
	shownPictures = 12
	shownQueries  = 4
)

// showCaptions adds twelve pictures with what was written, scenes of unseen combinations among them.
func showCaptions(w *written, test *infer.Pictures, page *report.Report) error {
	for _, i := range pick(w, test) {
		png, err := report.EncodePNG(test.Picture(i), test.Side)
		if err != nil {
			return err
		}
		p := report.Picture{PNG: png, Caption: w.captions[i], Truth: test.Set.Records[i].Captions}
		if w.attributes != nil {
			scene, err := shapes.Parse(test.Set.Records[i].Scene)
			if err != nil {
				return err
			}
			p.Novel = scene.Novel
			said, truth := shapes.ParseCaption(w.captions[i]).Words(), scene.Words()
			for a, name := range shapes.Attributes {
				p.Marks = append(p.Marks, report.Mark{Attribute: name, Said: said[a], Truth: truth[a], Right: w.attributes[i][a]})
			}
		}
		for n, a := range w.questions {
			if w.asked[n] == i {
				p.Answers = append(p.Answers, report.Mark{Attribute: a.Question + "?", Said: a.Given, Truth: a.Answers[0], Right: a.Right()})
			}
		}
		page.Pictures = append(page.Pictures, p)
	}
	return nil
}

// pick spreads over the test set, so that neither the best nor the worst are chosen.
func pick(w *written, test *infer.Pictures) []int {
	var out []int
	step := max(1, test.Len()/shownPictures)
	for i := 0; i < test.Len() && len(out) < shownPictures; i += step {
		out = append(out, i)
	}
	return out
}

// showSearch adds text queries with their best pictures and pictures with their best texts.
func showSearch(found *retrieval, test *infer.Pictures, page *report.Report) error {
	byText, byImage := found.byText, found.byImage
	if byText == nil {
		byText, byImage = transpose(found.itc), found.itc
	}
	step := max(1, test.Len()/shownQueries)
	for q := range min(shownQueries, test.Len()) {
		image := q * step
		text := slices.Index(found.imageOfText, image)
		query := report.TextQuery{Text: found.texts[text]}
		for rank, i := range eval.Top(byText[text], test.Len()) {
			right := i == found.imageOfText[text]
			if right {
				query.Rank = rank + 1
			}
			if rank < 5 {
				png, err := report.EncodePNG(test.Picture(i), test.Side)
				if err != nil {
					return err
				}
				query.Pictures = append(query.Pictures, report.FoundPicture{PNG: png, Right: right})
			}
		}
		page.TextQueries = append(page.TextQueries, query)

		png, err := report.EncodePNG(test.Picture(image), test.Side)
		if err != nil {
			return err
		}
		search := report.ImageQuery{PNG: png}
		for _, t := range eval.Top(byImage[image], 3) {
			search.Texts = append(search.Texts, report.FoundText{Text: found.texts[t], Right: found.imageOfText[t] == image})
		}
		page.ImageQueries = append(page.ImageQueries, search)
	}
	return nil
}

func transpose(scores [][]float32) [][]float32 { return eval.Transpose(scores) }
