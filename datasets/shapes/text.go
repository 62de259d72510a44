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
			r := datasets.Record{
				Captions:  Captions(scene, newRand(seed, splitText, i, streamCaptions)),
				Questions: Questions(scene, newRand(seed, splitText, i, streamQuestions)),
			}
			if !yield(r) {
				return
			}
		}
	}
}
