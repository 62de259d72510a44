package shapes

import (
	"iter"

	"goblip/datasets"
)

// Texts gives n records without pictures, for a language model: captions and questions over all
// combinations of attributes, so that it knows of purple stars even where no training picture
// shows one.
func Texts(n int, seed uint64) iter.Seq[datasets.Record] {
	return func(yield func(datasets.Record) bool) {
		for i := range n {
			scene := sampleScene(newRand(seed, splitText, i, streamAttributes), anyPairs)
			r := datasets.Record{Captions: Captions(scene, newRand(seed, splitText, i, streamCaptions))}
			// More than a picture has: a question has few words to learn from, and its answer one.
			rng := newRand(seed, splitText, i, streamQuestions)
			asked := map[string]bool{}
			for range 3 {
				for _, q := range Questions(scene, rng) {
					if !asked[q.Question] {
						asked[q.Question] = true
						r.Questions = append(r.Questions, q)
					}
				}
			}
			if !yield(r) {
				return
			}
		}
	}
}
