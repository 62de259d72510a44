// Package ptb splits captions into the tokens that caption metrics count: those of the Penn Treebank tokeniser
// (edu.stanford.nlp.process.PTBTokenizer of CoreNLP 3.4.1 with -preserveLines -lowerCase) behind the published scores,
// less the 17 punctuation tokens that coco-caption drops.
//
// The program was observed, not read: what it makes of every character, every word of up to four letters with a point,
// and of millions of generated lines (scripts/fuzz_ptb.py repeats that comparison, where Java and the program are).
//
// In reading order:
//
//	ptb.go      Tokenize and Lines: captions -> tokens
//	lexer.go    the longest match of all rules at a position
//	classes.go  what kind of character a character is (classes.txt, embedded)
//	rules.go    the rules: words, numbers, addresses, marks
//	words.go    contractions and abbreviations
package ptb
