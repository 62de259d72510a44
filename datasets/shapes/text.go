package shapes

import (
	"iter"
	"strings"

	"goblip/datasets"
)

// Document is one text for a language model, whole and in pieces.
type Document struct {
	Scene    Scene
	Caption  string
	Second   string             // another caption, or
	Question *datasets.Question // a question with its answer, or neither
}

// String is "CAPTION", "CAPTION. CAPTION" or "CAPTION. Question: ...? Answer: ...",
// ended by a new line.
func (d Document) String() string {
	var b strings.Builder
	b.WriteString(d.Caption)
	if d.Second != "" {
		b.WriteString(". " + d.Second)
	}
	if d.Question != nil {
		b.WriteString(". Question: " + d.Question.Question + "? Answer: " + d.Question.Answers[0])
	}
	b.WriteString("\n")
	return b.String()
}

// Documents gives n texts over all combinations of attributes: a language
// model knows of purple stars even where no training picture shows one.
func Documents(n int, seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		for i := range n {
			scene := sampleScene(newRand(seed, splitText, i, streamAttributes), anyPairs)
			rng := newRand(seed, splitText, i, streamCaptions)
			captions := Captions(scene, rng)
			d := Document{Scene: scene, Caption: captions[0]}
			switch rng.IntN(4) {
			case 0:
			case 1:
				d.Second = captions[1]
			default:
				q := pick(rng, Questions(scene, newRand(seed, splitText, i, streamQuestions)))
				d.Question = &q
			}
			if !yield(d) {
				return
			}
		}
	}
}

// TextCorpus is Documents as plain texts.
func TextCorpus(n int, seed uint64) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := range Documents(n, seed) {
			if !yield(d.String()) {
				return
			}
		}
	}
}
