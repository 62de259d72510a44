package recipes

import (
	"fmt"
	"slices"
	"strings"

	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/train/objective"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// exchange is what a T5 reads and what it learns to write: a question and its answer, a prompt and a
// caption, or a caption that is still to be split.
type exchange struct {
	read, written string
	split         bool
}

// at cuts an exchange that is to be split; u is uniform in [0, 1).
func (e exchange) at(u float64) (read, written string) {
	if e.split {
		return objective.SplitPrefix(e.written, u)
	}
	return e.read, e.written
}

// t5Texts prepares texts for the T5 of the folder llm and completes cfg. Captions are split for prefix
// language modelling (BLIP-2, section 3.3). Behind a prompt they are not: the encoder reads that and the
// decoder learns the caption, as LAVIS fine-tunes.
func (s *Stage2Settings) t5Texts(cfg *blip2.Config, llm string, set *datasets.Set) (llmTexts, error) {
	var none llmTexts
	words, err := openT5Words(cfg, llm)
	if err != nil {
		return none, err
	}
	captions, questions, err := s.exchanges(set, words)
	if err != nil {
		return none, err
	}
	longestRead, longestWritten := longestExchange(words, captions, questions)
	read, written := min(roundUp(longestRead, 4), s.MaxTextLength), min(roundUp(longestWritten, 4), s.MaxTextLength)
	// T5 has relative positions and would take any length; its folder says for which it was made.
	if need, most := cfg.NumQueryTokens+read, words.Settings().MaxLength; most > 0 && max(need, written) > most {
		return none, fmt.Errorf("stage2: %d soft tokens and %d of text to read, or %d to write, are more than the %d tokens (model_max_length) of %s",
			cfg.NumQueryTokens, read, written, most, llm)
	}
	pad := int32(cfg.T5.PadTokenID)
	batches := func(set *datasets.Set) (textBatch, error) {
		captions, questions, err := s.exchanges(set, words)
		return func(rows []int, epoch int) []*tensors.Tensor {
			reads, writes := make([][]int32, len(rows)), make([][]int32, len(rows))
			for j, row := range rows {
				one, rng := pick(s, captions[row], questions[row], row, epoch)
				beginning, rest := one.at(rng.Float64())
				reads[j], writes[j] = text.EncodeMax(words, beginning, read), text.EncodeMax(words, rest, written)
			}
			lengths := s.buckets([]int{read, written}, reads, writes)
			ids, mask := padded(reads, lengths[0], pad)
			labels, targets := padded(writes, lengths[1], pad)
			return []*tensors.Tensor{ids, mask, labels, targets}
		}, err
	}
	reads, writes := shapeInt32(s.Batch, read), shapeInt32(s.Batch, written)
	return llmTexts{objective.Stage2T5(cfg), []shapes.Shape{reads, reads, writes, writes}, batches, words.Save}, nil
}

// openT5Words opens a T5's tokenizer, which must end a text with </s>: that is how the decoder learns to
// stop. Where the word table has a row to spare, as FlanT5's has, a token stands for the picture.
func openT5Words(cfg *blip2.Config, dir string) (text.Tokenizer, error) {
	words, err := text.Open(dir)
	if err != nil {
		return nil, err
	}
	llm := cfg.T5
	if n := words.VocabSize(); n > llm.VocabSize {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the word table %d rows", dir, n, llm.VocabSize)
	}
	if ids := words.Encode("a"); len(ids) < 2 || slices.Index(ids, int32(llm.EOSTokenID)) != len(ids)-1 {
		return nil, fmt.Errorf("%s: the tokenizer does not end a text with </s> (eos_token_id %d): a T5 would not learn to stop", dir, llm.EOSTokenID)
	}
	if t, ok := words.(interface{ AddSpecial(tokens ...string) }); ok && words.VocabSize() < llm.VocabSize {
		t.AddSpecial(infer.ImageToken)
	}
	cfg.UseDecoderOnlyLLM, cfg.QFormer.UseQFormerTextInput, cfg.ImageTokenIndex = false, false, nil
	if id, ok := words.ID(infer.ImageToken); ok {
		index := int(id)
		cfg.ImageTokenIndex = &index
	}
	return words, nil
}

// exchanges are the captions and questions of every record. A prompt or question that is cut would lose
// its end, which says what is wanted, so one that is too long is an error.
func (s *Stage2Settings) exchanges(set *datasets.Set, words text.Tokenizer) (captions, questions [][]exchange, err error) {
	fits := func(read string) error {
		if n := len(words.Encode(read)); n > s.MaxTextLength {
			return fmt.Errorf("%q has %d tokens, max_text_length is %d", read, n, s.MaxTextLength)
		}
		return nil
	}
	prompt := strings.TrimRight(s.Prompt, " ")
	if err := fits(prompt); err != nil {
		return nil, nil, fmt.Errorf("stage2: prompt: %w", err)
	}
	for _, r := range set.Records {
		if len(r.Captions) == 0 {
			return nil, nil, fmt.Errorf("%s: picture %s has no caption", r.Origin, r.Image)
		}
		var c, q []exchange
		for _, caption := range r.Captions {
			c = append(c, exchange{prompt, caption, prompt == ""})
		}
		for _, question := range r.Questions {
			if len(question.Answers) == 0 || s.QuestionShare == 0 {
				continue
			}
			asked := infer.T5QuestionPrompt(question.Question)
			if err := fits(asked); err != nil {
				return nil, nil, fmt.Errorf("%s: question: %w", r.Origin, err)
			}
			q = append(q, exchange{read: asked, written: question.Answers[0]})
		}
		captions, questions = append(captions, c), append(questions, q)
	}
	return captions, questions, nil
}

// longestExchange is the most tokens that are read and written, wherever captions are split.
func longestExchange(words text.Tokenizer, kinds ...[][]exchange) (read, written int) {
	for _, records := range kinds {
		for _, of := range records {
			for _, one := range of {
				_, rest := one.at(0)
				beginning, _ := one.at(1) // the latest cut
				read, written = max(read, len(words.Encode(beginning))), max(written, len(words.Encode(rest)))
			}
		}
	}
	return read, written
}
