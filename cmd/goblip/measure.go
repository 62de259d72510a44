package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/shapes"
	"goblip/eval"
	"goblip/eval/report"
	"goblip/infer"
	"goblip/models/generate"
	"goblip/train/runlog"
)

// retrieval is what searching a test set gave.
type retrieval struct {
	texts       []string
	imageOfText []int
	itc         [][]float32 // [pictures][texts]
	byImage     [][]float32 // re-ranked by ITM, [pictures][texts]
	byText      [][]float32 // re-ranked by ITM, [texts][pictures]
	passes      int         // pairs that ITM judged
}

// captionsOf lists every caption of a set with the number of its picture.
func captionsOf(set *datasets.Set) (texts []string, imageOfText []int) {
	for i, r := range set.Records {
		for _, c := range r.Captions {
			texts, imageOfText = append(texts, c), append(imageOfText, i)
		}
	}
	return texts, imageOfText
}

// searchAll scores every picture with every caption by ITC, and the best k of each row and column
// again by ITM (k 0: not at all).
func searchAll(r *infer.Retriever, f *infer.Features, set *datasets.Set, k int, quiet bool) (*retrieval, error) {
	out := &retrieval{}
	out.texts, out.imageOfText = captionsOf(set)
	if len(out.texts) == 0 {
		return nil, fmt.Errorf("%s: no captions to search", set.Name)
	}
	images, err := r.ImageFeatures(f)
	if err != nil {
		return nil, err
	}
	texts, err := r.TextFeatures(out.texts)
	if err != nil {
		return nil, err
	}
	if out.itc, err = r.Similarities(images, texts); err != nil {
		return nil, err
	}
	if k <= 0 {
		return out, nil
	}
	// The pairs are known before the first is scored: one pass in full batches.
	var pairs []infer.Pair
	if _, _, err := eval.ReRank(out.itc, func(image int, texts []int) ([]float32, error) {
		for _, t := range texts {
			pairs = append(pairs, infer.Pair{Image: image, Text: t})
		}
		return make([]float32, len(texts)), nil
	}, k); err != nil {
		return nil, err
	}
	out.passes = len(pairs)
	if !quiet {
		fmt.Fprintf(os.Stderr, "matching: %d pairs, a pass of the matching model each (the best %d of %d pictures and of %d captions)\n",
			len(pairs), k, f.Len(), len(out.texts))
	}
	bar := barFor("matching", len(pairs), quiet)
	logits, err := r.Match(f, out.texts, pairs, bar.Update)
	if err != nil {
		return nil, err
	}
	bar.Done()
	at := 0
	out.byImage, out.byText, err = eval.ReRank(out.itc, func(_ int, texts []int) ([]float32, error) {
		at += len(texts)
		return logits[at-len(texts) : at], nil
	}, k)
	return out, err
}

// writeCase writes the scores that were ranked in the layout that "score retrieval" reads.
func (f *retrieval) writeCase(path string, images int) error {
	wide := func(rows [][]float32) [][]float64 {
		out := make([][]float64, len(rows))
		for r, row := range rows {
			for _, x := range row {
				out[r] = append(out[r], float64(x))
			}
		}
		return out
	}
	c := retrievalCase{TextsOfImage: make([][]int, images), ImageOfText: f.imageOfText, ScoresI2T: wide(f.itc)}
	for t, i := range f.imageOfText {
		c.TextsOfImage[i] = append(c.TextsOfImage[i], t)
	}
	if f.byImage != nil {
		c.ScoresI2T, c.ScoresT2I = wide(f.byImage), wide(f.byText)
	}
	content, err := json.Marshal(&c)
	if err != nil {
		return err
	}
	return checkpoints.WriteFile(path, content)
}

// recalls are R@1, R@5 and R@10 with their confidence intervals, in percent.
func recalls(name string, byImage, byText [][]float32, imageOfText []int, seed uint64) (report.RetrievalRow, error) {
	row := report.RetrievalRow{Name: name}
	i2t, err := eval.ImageToTextRanks(byImage, imageOfText, eval.Pessimistic)
	if err != nil {
		return row, err
	}
	t2i, err := eval.TextToImageRanks(byText, imageOfText, eval.Pessimistic)
	if err != nil {
		return row, err
	}
	for i, k := range []int{1, 5, 10} {
		row.ImageToText[i] = eval.RecallInterval(i2t, k, nil, seed)
		row.TextToImage[i] = eval.RecallInterval(t2i, k, imageOfText, seed)
	}
	return row, nil
}

// chanceRow is what guessing would find.
func chanceRow(images int, imageOfText []int) report.RetrievalRow {
	row := report.RetrievalRow{Name: "chance", Chance: true}
	right := float64(len(imageOfText)) / float64(images)
	texts := eval.ChanceRecall(len(imageOfText), int(math.Round(right)))
	pictures := eval.ChanceRecall(images, 1)
	for i, pair := range [][2]float64{{texts.R1, pictures.R1}, {texts.R5, pictures.R5}, {texts.R10, pictures.R10}} {
		row.ImageToText[i] = eval.Interval{Mean: pair[0], Low: pair[0], High: pair[0]}
		row.TextToImage[i] = eval.Interval{Mean: pair[1], Low: pair[1], High: pair[1]}
	}
	return row
}

// written is what models wrote for a test set.
type written struct {
	captions []string
	scores   eval.CaptionScores
	perImage []eval.CaptionScores
	bleu     eval.Interval

	// Where the truth of scenes is known:
	attributes [][]bool // of each picture, in the order of shapes.Attributes; nil without truth

	questions []eval.Answered
	asked     []int // the picture of each question
	answers   eval.Accuracy
	kinds     []eval.Accuracy
}

// writeAll captions every picture of a set and answers its questions. blind learnt from training
// answers; nil leaves the baseline out.
func writeAll(c infer.Writer, f *infer.Features, set *datasets.Set, prompt string, o generate.Options, blind *eval.Blind, seed uint64, quiet bool) (*written, error) {
	w := &written{}
	err := w.captionAll(c, f, set, prompt, o, seed, quiet)
	if err == nil && c.Answers() {
		err = w.answerAll(c, f, set, o, blind, seed, quiet)
	}
	return w, err
}

// captionAll captions every picture of a set.
func (w *written) captionAll(c infer.Writer, f *infer.Features, set *datasets.Set, prompt string, o generate.Options, seed uint64, quiet bool) error {
	var requests []infer.Request
	for i := range set.Records {
		requests = append(requests, infer.Request{Image: i, Prompt: prompt})
	}
	bar := barFor("captioning", len(requests), quiet)
	texts, err := c.Write(f, requests, o, bar.Update)
	if err != nil {
		return err
	}
	bar.Done()
	var refs [][]string
	for i, t := range texts {
		w.captions = append(w.captions, t.Text)
		refs = append(refs, set.Records[i].Captions)
	}
	if w.scores, w.perImage, err = eval.Captions(w.captions, refs); err != nil {
		return err
	}
	if w.bleu, err = eval.CaptionInterval("Bleu_4", w.captions, refs, seed); err != nil {
		return err
	}
	for i, r := range set.Records {
		if len(r.Scene) == 0 {
			w.attributes = nil
			break
		}
		scene, err := shapes.Parse(r.Scene)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Origin, err)
		}
		score := shapes.Score(scene, w.captions[i])
		w.attributes = append(w.attributes, score.Flags())
	}
	return nil
}

// answerAll answers the questions of a set, if it has any.
func (w *written) answerAll(c infer.Writer, f *infer.Features, set *datasets.Set, o generate.Options, blind *eval.Blind, seed uint64, quiet bool) error {
	var requests []infer.Request
	for i, r := range set.Records {
		for _, q := range r.Questions {
			requests = append(requests, infer.Request{Image: i, Prompt: c.QuestionPrompt(q.Question)})
			w.asked = append(w.asked, i)
			w.questions = append(w.questions, eval.Answered{Question: q.Question, Kind: q.Kind, Answers: q.Answers})
		}
	}
	if len(requests) == 0 {
		return nil
	}
	bar := barFor("answering", len(requests), quiet)
	answers := o
	answers.MaxNewTokens, answers.MinNewTokens, answers.NumBeams = 6, 0, 1
	texts, err := c.Write(f, requests, answers, bar.Update)
	if err != nil {
		return err
	}
	bar.Done()
	for i, t := range texts {
		w.questions[i].Given = t.Text
	}
	w.answers, w.kinds = eval.ScoreAnswers(w.questions, blind, seed)
	return nil
}

// attributeShares are the percent of captions that state each attribute rightly, and of all attributes together.
func (w *written) attributeShares(seed uint64) (each []report.Attribute, all eval.Interval) {
	if w.attributes == nil {
		return nil, all
	}
	groups := make([][]float64, len(w.attributes)) // those of one picture
	for a, name := range shapes.Attributes {
		values := make([]float64, len(w.attributes))
		for i, flags := range w.attributes {
			if flags[a] {
				values[i] = 100
			}
			groups[i] = append(groups[i], values[i])
		}
		each = append(each, report.Attribute{Name: name, Share: eval.Bootstrap(values, seed)})
	}
	return each, eval.BootstrapGroups(groups, seed)
}

// cider is the mean over pictures with its interval.
func (w *written) cider(seed uint64) eval.Interval {
	values := make([]float64, len(w.perImage))
	for i, s := range w.perImage {
		values[i] = s.CIDEr
	}
	return eval.Bootstrap(values, seed)
}

// row is the line of the caption table.
func (w *written) row(name string, seed uint64) report.CaptionRow {
	cider := w.cider(seed)
	row := report.CaptionRow{Name: name, CIDEr: &cider, BLEU4: &w.bleu}
	row.Attributes, _ = w.attributeShares(seed)
	return row
}

// figures are the same numbers for results.json.
func (w *written) figures(seed uint64) report.CaptionFigures {
	f := report.CaptionFigures{CaptionCIDEr: &w.scores.CIDEr, CaptionBLEU4: &w.scores.BLEU4}
	if each, all := w.attributeShares(seed); each != nil {
		f.CaptionAttributeAccuracy = &all.Mean
		f.CaptionAttributes = map[string]float64{}
		for _, a := range each {
			f.CaptionAttributes[a.Name] = a.Share.Mean
		}
	}
	if len(w.questions) > 0 {
		f.QuestionAccuracy = &w.answers.Share.Mean
		f.QuestionKinds = map[string]float64{}
		for _, k := range w.kinds {
			f.QuestionKinds[k.Kind] = k.Share.Mean
		}
	}
	return f
}

// learnBlind counts the answers of a training set for the baseline that sees no pictures.
func learnBlind(set *datasets.Set) *eval.Blind {
	blind := eval.NewBlind()
	for _, r := range set.Records {
		for _, q := range r.Questions {
			blind.Learn(q.Kind, q.Question, q.Answers)
		}
	}
	return blind
}

// barFor is a progress bar, silent if quiet.
func barFor(name string, total int, quiet bool) *runlog.Bar {
	if quiet {
		return nil
	}
	return runlog.Progress(name, total)
}
