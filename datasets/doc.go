// Package datasets reads pictures with their captions and questions.
//
// Reading order: record.go says what is known about one picture, open.go picks
// the reader of a source (jsonl.go, folder.go; stream.go for sets too large
// for memory), pixels.go decodes all pictures
// of a set, order.go draws epochs, captions and splits from counters instead
// of a random state, check.go looks for everything that is wrong with a set,
// stats.go counts, write.go writes one, emoji.go makes one of drawings,
// noise.go spoils one on purpose.
//
// Sub-packages: image (files to pixels), text (words to ids), shapes (a
// generated corpus whose truth is known).
package datasets
