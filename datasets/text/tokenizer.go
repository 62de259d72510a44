// Package text turns strings into token ids and back, as the checkpoints expect it.
//
// Three kinds of tokenizer are here, all read from and written to Hugging Face folders:
// WordPiece (BERT, used by BLIP and the Q-Former), byte-level BPE (GPT-2 and OPT, and CLIP's, which
// lower-cases and marks the ends of words), and Unigram (T5).
//
// Reading order:
//
//	tokenizer.go      the Tokenizer interface, Open, EncodeMax and Pad
//	vocabulary.go     what all kinds share: tokens, ids, special tokens around a text, decoding
//	added.go          special and other added tokens, cut out of a text before anything else
//	bertnormalizer.go BERT's cleaning, accents and case, and its splitting into words
//	wordpiece.go      WordPiece
//	pretokenize.go    GPT-2's and CLIP's splitting into words, and the alphabet of bytes
//	bpe.go            BPE
//	metaspace.go      T5's splitting into words, with marks for spaces
//	unigram.go        Unigram: the most probable way to cut a word
//	normalizers.go    normalizers other than BERT's; replace.go, one of them
//	charsmap.go       SentencePiece's normalization; grapheme.go, its characters
//	decoders.go       tokens back to text
//	unicode.go        what the reference holds of each character; normalform.go, NFC and its like
//	trie.go           the tables behind all look-ups; wordcache.go, the words seen before
//	read.go           tokenizer.json -> tokenizer
//	bytelevel.go      its pre_tokenizer for BPE
//	around.go         its post_processor: the special tokens around a text
//	settings.go       the files beside it: names of special tokens, sides, clean-up
//	vocabfiles.go     vocab.txt, or vocab.json and merges.txt -> tokenizer
//	spiece.go         spiece.model -> tokenizer
//	save.go           tokenizer -> the same files
//	train.go          new vocabularies from a corpus
//
// Ids and decoded texts equal those of the Python packages tokenizers 0.23 and transformers 5; the
// tests hold reference ids made with them, and scripts/check_tokenizers.py compares any number of
// generated texts.
package text

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Names of the special tokens that the models here rely on.
const (
	PadToken  = "[PAD]"  // BERT: padding
	UnkToken  = "[UNK]"  // BERT: a word that no pieces make up
	ClsToken  = "[CLS]"  // BERT: starts every text
	SepToken  = "[SEP]"  // BERT: ends every text
	MaskToken = "[MASK]" // BERT: unused by BLIP, kept so that ids agree
	DecToken  = "[DEC]"  // BLIP: replaces [CLS] where the text is to be generated
	EncToken  = "[ENC]"  // BLIP: replaces [CLS] where the text is read with an image

	OPTBosToken = "<s>"   // OPT: in the vocabulary, not used
	OPTPadToken = "<pad>" // OPT, T5: padding
	OPTEosToken = "</s>"  // OPT: starts every text, and ends generated ones; T5: ends every text
	OPTUnkToken = "<unk>" // OPT: not used, every byte has a token; T5: characters without a token

	CLIPBosToken = "<|startoftext|>" // CLIP: starts every text
	CLIPEosToken = "<|endoftext|>"   // CLIP: ends every text, and is padding and unknown
)

// Tokenizer turns a text into ids and back. Encode, EncodePlain and Decode may be called
// from several goroutines at a time.
type Tokenizer interface {
	// Encode returns the ids of s with the special tokens of its kind around it:
	// [CLS] ... [SEP] for BERT, </s> ... for OPT, ... </s> for T5.
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
	// Settings returns what the folder says of cutting, padding and decoding, to be changed before
	// the tokenizer is used.
	Settings() *Settings
	// Save writes the files of a Hugging Face tokenizer into dir, made if it does not exist.
	Save(dir string) error
}

// Open reads the tokenizer of a Hugging Face folder: tokenizer.json if there is one, else
// vocab.txt (WordPiece), else vocab.json and merges.txt (BPE), else spiece.model (Unigram).
// What tokenizer_config.json says is heeded, and in older folders special_tokens_map.json and
// added_tokens.json.
func Open(dir string) (Tokenizer, error) {
	for _, kind := range []struct {
		file string
		read func(dir string, config *folderConfig) (Tokenizer, error)
	}{
		{tokenizerFile, readTokenizerJSON},
		{vocabTxtFile, readVocabTxt},
		{vocabJSONFile, readVocabJSON},
		{spieceFile, readSpiece},
	} {
		_, err := os.Stat(filepath.Join(dir, kind.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		config, err := readFolderConfig(dir)
		if err != nil {
			return nil, err
		}
		return kind.read(dir, config)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: no %s, %s, %s or %s in this folder", dir, tokenizerFile, vocabTxtFile, vocabJSONFile, spieceFile)
}

// EncodeMax is Encode cut to at most length ids. The text is cut, not the special tokens around
// it: a cut BERT text still ends in [SEP]. It loses its end, or its beginning where the tokenizer's
// settings say so.
func EncodeMax(t Tokenizer, s string, length int) []int32 {
	ids := t.Encode(s)
	prefix, suffix := 0, 0
	if v, ok := t.(interface {
		around() (prefix, suffix []int32)
	}); ok {
		before, after := v.around()
		prefix, suffix = len(before), len(after)
	}
	return cut(ids, length, prefix, suffix, t.Settings().TruncateLeft)
}

// EncodePlainMax is EncodePlain cut to at most length ids, on the side that the tokenizer's
// settings say.
func EncodePlainMax(t Tokenizer, s string, length int) []int32 {
	return cut(t.EncodePlain(s), length, 0, 0, t.Settings().TruncateLeft)
}

// cut takes ids of the text out from between prefix and suffix special ones, as many as are too
// much. Where there is no room even for those, the last ones go.
func cut(ids []int32, length, prefix, suffix int, left bool) []int32 {
	excess := len(ids) - max(length, 0)
	if excess <= 0 {
		return ids
	}
	if length < prefix+suffix {
		if length <= suffix {
			return ids[:max(length, 0)]
		}
		prefix = length - suffix
	}
	if left {
		return slices.Delete(ids, prefix, prefix+excess)
	}
	return slices.Delete(ids, len(ids)-suffix-excess, len(ids)-suffix)
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
