// Package text turns strings into token ids and back, as the checkpoints expect it.
//
// Two kinds of tokenizer are here, both read from and written to Hugging Face folders:
// WordPiece (BERT, used by the Q-Former) and byte-level BPE (GPT-2, used by OPT).
//
// Reading order:
//
//	tokenizer.go    the Tokenizer interface, Open, EncodeMax and Pad
//	vocabulary.go   what both kinds share: tokens, ids, special tokens around a text
//	added.go        special and other added tokens, cut out of a text before anything else
//	normalize.go    BERT's cleaning, accents and case, and its splitting into words
//	wordpiece.go    WordPiece
//	pretokenize.go  GPT-2's splitting into words, and its alphabet of bytes
//	bpe.go          BPE
//	read.go         tokenizer.json -> tokenizer
//	around.go       its post-processor: the special tokens around a text
//	vocabfiles.go   vocab.txt, or vocab.json and merges.txt -> tokenizer
//	save.go         tokenizer -> the same files
//	train.go        new vocabularies from a corpus
//
// Ids equal those of the Python package "tokenizers"; the tests hold reference ids made with it.
// A few hundred rare characters newer than Unicode 8 may be split differently, because the
// Unicode tables of the two sides are of different age.
package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the special tokens that the models here rely on.
const (
	PadToken  = "[PAD]"  // BERT: padding
	UnkToken  = "[UNK]"  // BERT: a word that no pieces make up
	ClsToken  = "[CLS]"  // BERT: starts every text
	SepToken  = "[SEP]"  // BERT: ends every text
	MaskToken = "[MASK]" // BERT: unused by BLIP, kept so that ids agree
	DecToken  = "[DEC]"  // BLIP: replaces [CLS] where the text is to be generated

	OPTBosToken = "<s>"   // OPT: in the vocabulary, not used
	OPTPadToken = "<pad>" // OPT: padding
	OPTEosToken = "</s>"  // OPT: starts every text, and ends generated ones
	OPTUnkToken = "<unk>" // OPT: not used, every byte has a token
)

// Tokenizer turns a text into ids and back. Encode, EncodePlain and Decode may be called
// from several goroutines at a time.
type Tokenizer interface {
	// Encode returns the ids of s with the special tokens of its kind around it:
	// [CLS] ... [SEP] for BERT, </s> ... for OPT.
	Encode(s string) []int32
	// EncodePlain returns the ids of s alone. A special token written out in s still counts as one.
	EncodePlain(s string) []int32
	// Decode returns the text of ids, without special tokens if skipSpecial.
	// Ids outside the vocabulary are left out.
	Decode(ids []int32, skipSpecial bool) string
	// VocabSize is the number of ids, added tokens included.
	VocabSize() int
	// ID returns the id of a token, as it is spelt in the vocabulary.
	ID(token string) (int32, bool)
	// Save writes the files of a Hugging Face tokenizer into dir, made if it does not exist.
	Save(dir string) error
}

// Open reads the tokenizer of a Hugging Face folder: tokenizer.json if there is one, else
// vocab.txt (WordPiece), else vocab.json and merges.txt (BPE).
func Open(dir string) (Tokenizer, error) {
	for _, kind := range []struct {
		file string
		read func(dir string) (Tokenizer, error)
	}{
		{tokenizerFile, readTokenizerJSON},
		{vocabTxtFile, readVocabTxt},
		{vocabJSONFile, readVocabJSON},
	} {
		_, err := os.Stat(filepath.Join(dir, kind.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return kind.read(dir)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: no %s, %s or %s in this folder", dir, tokenizerFile, vocabTxtFile, vocabJSONFile)
}

// EncodeMax is Encode cut to at most length ids. The text is cut, not the special tokens
// around it: a cut BERT text still ends in [SEP].
func EncodeMax(t Tokenizer, s string, length int) []int32 {
	ids := t.Encode(s)
	if len(ids) <= length {
		return ids
	}
	suffix := 0
	if v, ok := t.(interface {
		around() (prefix, suffix []int32)
	}); ok {
		_, after := v.around()
		suffix = len(after)
	}
	if length <= suffix {
		return ids[:max(length, 0)]
	}
	copy(ids[length-suffix:length], ids[len(ids)-suffix:])
	return ids[:length]
}

// Pad lays rows of ids out as one [len(ids), length] matrix, with pad in the free places of each
// row: behind the ids, or in front of them if left (which generation with OPT needs). mask is 1
// where an id is and 0 where padding is. Rows longer than length lose their last ids.
func Pad(ids [][]int32, length int, pad int32, left bool) (flat, mask []int32) {
	flat = make([]int32, len(ids)*length)
	mask = make([]int32, len(ids)*length)
	for i, row := range ids {
		out, seen := flat[i*length:(i+1)*length], mask[i*length:(i+1)*length]
		for j := range out {
			out[j] = pad
		}
		row = row[:min(len(row), length)]
		start := 0
		if left {
			start = length - len(row)
		}
		copy(out[start:], row)
		for j := range row {
			seen[start+j] = 1
		}
	}
	return flat, mask
}
