// Package shapes generates a corpus of pictures whose truth is known: one large
// textured shape and, on one side of it, one to three small ones.
//
// It is small enough to learn in minutes and yet not solved by mean colour: the
// pictures have gradients, noise, clutter, occlusion and colour jitter, and
// some pairs of colour and shape occur in the test set only.
//
// Reading order: scene.go is the truth of a picture, sample.go draws scenes,
// draw.go, figure.go and palette.go paint them, caption.go and question.go
// speak of them, parse.go reads captions back and scores them, noise.go spoils
// captions as the web does, corpus.go writes the files, text.go makes pure text for a language model.
package shapes
