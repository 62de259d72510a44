// Package datasets reads pictures with their captions and questions.
//
// Reading order: record.go says what is known about one picture, open.go picks
// the reader of a source (jsonl.go, folder.go), pixels.go decodes all pictures
// of a set, order.go draws epochs, captions and splits from counters instead
// of a random state, check.go looks for everything that is wrong with a set,
// stats.go counts, write.go writes one, emoji.go makes one of drawings.
//
// Sub-packages: image (files to pixels), text (words to ids), shapes (a
// generated corpus whose truth is known).
package datasets
