// Package meteor computes METEOR 1.5 for English: Michael Denkowski and Alon Lavie, "Meteor Universal: Language Specific
// Translation Evaluation for Any Target Language", 2014. It gives the numbers of the authors' program, which
// coco-caption runs, without that program; its word lists are data that a user brings (see [Open]).
//
// In reading order:
//
//	stats.go        what an alignment counts, and the score that follows from it
//	normalize.go    the form in which captions are compared
//	stem.go         stems of English words: the second version of M. Porter's rules
//	data.go         the authors' lists: function words, WordNet's synonyms, and where the paraphrases lie
//	wordnet.go      base forms and synonyms
//	paraphrases.go  the part of the table of paraphrases that some captions need
//	matches.go      which words and phrases of two captions may be matched
//	align.go        the best set of matches, by beam search
//	score.go        captions and references to statistics
package meteor
