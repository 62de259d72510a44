// Package generate continues token sequences by greedy search, beam search or sampling, over any
// function that gives the logits of the next token. Semantics are those of transformers 5.
//
//	generate.go    options, entry point
//	greedy.go      greedy search and nucleus sampling
//	beam.go        beam search
//	stopping.go    when it ends
//	processors.go  repetition penalty, n-gram blocking, minimum length, top-k, top-p
//	generator.go   decoders as graphs, with their caches on the device: Graphs, Generator
//	rows.go        sequences laid out as transformers returns them
//	blip.go        a BLIP
//	blip2.go       a BLIP-2 with an OPT, and an OPT alone
//	blip2_t5.go    a BLIP-2 with a T5
package generate

import (
	"fmt"
	"math"
)

// Options are named as in a generation_config.json.
type Options struct {
	NumBeams          int      `json:"num_beams"`
	DoSample          bool     `json:"do_sample"`
	TopP              float64  `json:"top_p"` // nucleus: the least set of words with this probability; 1: all
	TopK              int      `json:"top_k"` // 0: all
	Temperature       float64  `json:"temperature"`
	MaxNewTokens      int      `json:"max_new_tokens"`
	MinNewTokens      int      `json:"min_new_tokens"`
	MinLength         int      `json:"min_length"` // counts the prompt too
	RepetitionPenalty float64  `json:"repetition_penalty"`
	LengthPenalty     float64  `json:"length_penalty"` // exponent of the length that divides a beam's score
	EarlyStopping     Stopping `json:"early_stopping"`
	NoRepeatNgramSize int      `json:"no_repeat_ngram_size"`
	EOSTokenID        int      `json:"eos_token_id"`
	Seed              uint64   `json:"seed"` // of sampling

	// Candidates, if there are any, are all that may be written, each with its end token: the most likely is chosen.
	// NumBeams of them, those with the most likely first tokens, are read to the end. LabelSmoothing mixes the mean
	// over the vocabulary into their scores, as BLIP ranks answers by its training loss.
	Candidates     [][]int32 `json:"-"`
	LabelSmoothing float64   `json:"-"`
	// Choices says for each item which of the Candidates it may have, by number; an empty list, or nil for all: any.
	Choices [][]int `json:"-"`
}

// Default is greedy search of at most 30 new tokens.
func Default() Options {
	return Options{NumBeams: 1, TopP: 1, Temperature: 1, MaxNewTokens: 30, RepetitionPenalty: 1, LengthPenalty: 1}
}

// Validate says which option makes no sense.
func (o *Options) Validate() error {
	switch {
	case o.NumBeams < 1:
		return fmt.Errorf("num_beams is %d, want 1 or more", o.NumBeams)
	case o.DoSample && o.NumBeams > 1:
		return fmt.Errorf("do_sample works with num_beams 1, not %d", o.NumBeams)
	case o.MaxNewTokens < 1:
		return fmt.Errorf("max_new_tokens is %d, want 1 or more", o.MaxNewTokens)
	case o.TopP <= 0 || o.TopP > 1:
		return fmt.Errorf("top_p is %g, want a number in (0, 1]", o.TopP)
	case o.Temperature <= 0:
		return fmt.Errorf("temperature is %g, want more than 0", o.Temperature)
	case o.RepetitionPenalty <= 0:
		return fmt.Errorf("repetition_penalty is %g, want more than 0", o.RepetitionPenalty)
	case o.TopK < 0 || o.NoRepeatNgramSize < 0 || o.MinNewTokens < 0 || o.MinLength < 0:
		return fmt.Errorf("top_k, no_repeat_ngram_size and minimum lengths must not be negative")
	}
	return nil
}

// Decoder gives the logits of the next token for a fixed number of rows, items*NumBeams, the beams
// of an item beside each other.
type Decoder interface {
	// First returns the logits after the prompt, [rows][vocab] flat; beams of an item are equal.
	First() ([]float32, error)
	// Next appends tokens[r] to what row parents[r] held and returns the logits after it.
	Next(tokens, parents []int32) ([]float32, error)
}

// Sequence is one continuation.
type Sequence struct {
	IDs      []int32   // new tokens, the end token included where it came
	LogProbs []float64 // of each token, before any processor
	Score    float64   // sum of the (processed) log-probabilities / length^LengthPenalty
}

// Run continues each prompt. prompts[i] are the token ids of item i as penalties and MinLength see
// them (image placeholders included); streams[i] names the item's random stream in sampling, so that
// its result does not depend on its neighbours; nil means 0, 1, 2, ...
func Run(d Decoder, prompts [][]int32, vocab int, o Options, streams []uint64) ([]Sequence, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.EOSTokenID < 0 || o.EOSTokenID >= vocab {
		return nil, fmt.Errorf("eos_token_id is %d, outside the vocabulary of %d", o.EOSTokenID, vocab)
	}
	if len(o.Candidates) > 0 {
		return rank(d, len(prompts), vocab, o)
	}
	if o.NumBeams > 1 {
		return beamSearch(d, prompts, vocab, o)
	}
	return greedy(d, prompts, vocab, o, streams)
}

// logSoftmax of one row, in float64.
func logSoftmax(logits []float32, into []float64) []float64 {
	top := float64(math.Inf(-1))
	for _, x := range logits {
		top = math.Max(top, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	norm := top + math.Log(sum)
	into = into[:0]
	for _, x := range logits {
		into = append(into, float64(x)-norm)
	}
	return into
}
