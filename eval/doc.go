// Package eval measures what a model produced. It works on numbers and strings only and needs no model, so the same
// code scores a checkpoint, a file of results and a test.
//
// In reading order:
//
//	tokens.go     captions -> the tokens that BLEU, ROUGE-L and CIDEr count
//	bleu.go       BLEU-1..4, of the corpus and of each image
//	cider.go      CIDEr-D, the number that papers report as CIDEr
//	rouge.go      ROUGE-L
//	captions.go   all caption metrics of a set of pictures at once
//	retrieval.go  ranks and recall at 1, 5 and 10 in both directions, with a stated tie rule
//	rerank.go     image-text matching on the best candidates of the contrastive scores
//	answers.go    accuracy of short answers, by kind, beside a blind baseline
//	interval.go   bootstrap confidence intervals
//
// The report for people is the package eval/report.
package eval
