// Package eval measures what a model produced. It works on numbers and strings only and needs no model, so the same
// code scores a checkpoint, a file of results and a test.
//
// In reading order:
//
//	ngrams.go     tokenised captions -> numbered words and n-grams
//	bleu.go       BLEU-1..4, of the corpus and of each image
//	cider.go      CIDEr-D, the number that papers report as CIDEr, and CIDEr without the D
//	rouge.go      ROUGE-L
//	captions.go   all caption metrics of a set of pictures at once
//	retrieval.go  ranks, recall at 1, 5 and 10 and median rank in both directions, with a stated tie rule
//	rerank.go     image-text matching on the best candidates of the contrastive scores
//	vqa.go        accuracy of answers by the rules of VQA v2, VizWiz, GQA and A-OKVQA; yes-or-no questions
//	vqa_text.go   the form in which these rules compare answers
//	answers.go    accuracy of short answers, by kind, beside a blind baseline
//	interval.go   bootstrap confidence intervals and the paired comparison of two systems
//
// Captions become tokens in the package eval/ptb; METEOR is the package eval/meteor.
// The report for people is the package eval/report.
package eval
