package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"goblip/datasets/text"
)

// maxTokenizeLine bounds a line of standard input.
const maxTokenizeLine = 64 << 20

// tokenizeOptions are the flags of tokenize.
type tokenizeOptions struct {
	noSpecial, pad, decode, skipSpecial bool
	maxLength                           int
}

func newTokenizeCommand() *cobra.Command {
	var o tokenizeOptions
	var dir, paddingSide, truncationSide string
	var cleanUp bool
	command := &cobra.Command{
		Use:   "tokenize --tokenizer DIR",
		Short: "Turn texts into token ids, or ids into texts",
		Long: `Turn texts into token ids: JSON strings on standard input, one a line, become lines of
{"ids":[...]}; with --pad, {"ids":[...],"attention_mask":[...]}, the mask being 0 where padding is.

With --decode, lines of ids, [...] or {"ids":[...]}, become JSON strings.

DIR is a Hugging Face folder with tokenizer.json, or with the older vocab.txt, vocab.json and
merges.txt, or spiece.model. Where its tokenizer_config.json says which side is padded or cut,
and whether decoded texts are cleaned up, the flags need not.`,
		Example: `  echo '"a photo of a cat"' | goblip tokenize --tokenizer bert-base-uncased
  echo '[101, 1037, 6302, 102]' | goblip tokenize --tokenizer bert-base-uncased --decode --skip-special`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags := cmd.Flags()
			if err := o.validate(flags.Changed); err != nil {
				return err
			}
			t, err := text.Open(dir)
			if err != nil {
				return err
			}
			settings := t.Settings()
			if flags.Changed("clean-up") {
				settings.CleanUp = cleanUp
			}
			for _, side := range []struct {
				flag, value string
				left        *bool
			}{{"padding-side", paddingSide, &settings.PadLeft}, {"truncation-side", truncationSide, &settings.TruncateLeft}} {
				switch {
				case side.value == "left", side.value == "right":
					*side.left = side.value == "left"
				case flags.Changed(side.flag):
					return usagef("--%s %q: must be left or right", side.flag, side.value)
				}
			}
			return o.run(t, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.StringVar(&dir, "tokenizer", "", "folder of the tokenizer")
	flags.BoolVar(&o.noSpecial, "no-special", false, "no special tokens around a text")
	flags.IntVar(&o.maxLength, "max-length", 0, "cut texts to this many ids, special tokens included")
	flags.BoolVar(&o.pad, "pad", false, "pad texts to --max-length, and print the mask too")
	flags.StringVar(&paddingSide, "padding-side", "", "left or right, instead of what the folder says")
	flags.StringVar(&truncationSide, "truncation-side", "", "left or right, instead of what the folder says")
	flags.BoolVar(&o.decode, "decode", false, "read ids, write texts")
	flags.BoolVar(&o.skipSpecial, "skip-special", false, "with --decode: leave special tokens out")
	flags.BoolVar(&cleanUp, "clean-up", false, "with --decode: take the spaces before punctuation away, or not, instead of what the folder says")
	requireFlags(command, "tokenizer")
	return command
}

// validate refuses flags that do nothing together.
func (o *tokenizeOptions) validate(changed func(flag string) bool) error {
	if changed("max-length") && o.maxLength < 1 {
		return usagef("--max-length %d: must be at least 1", o.maxLength)
	}
	if o.pad && o.maxLength == 0 {
		return usagef("--pad needs --max-length")
	}
	encoding := []string{"no-special", "max-length", "pad", "padding-side", "truncation-side"}
	other, why := encoding, "has no meaning with --decode"
	if !o.decode {
		other, why = []string{"skip-special", "clean-up"}, "needs --decode"
	}
	for _, flag := range other {
		if changed(flag) {
			return usagef("--%s %s", flag, why)
		}
	}
	return nil
}

// run goes through the lines.
func (o *tokenizeOptions) run(t text.Tokenizer, in io.Reader, out io.Writer) error {
	line := o.encodeLine
	if o.decode {
		line = o.decodeLine
	}
	pad, ok := text.PadID(t)
	if o.pad && !ok {
		return errors.New("--pad: the tokenizer has no padding token")
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxTokenizeLine)
	w := bufio.NewWriter(out)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	n := 0
	for n++; lines.Scan(); n++ {
		result, err := line(t, pad, lines.Bytes())
		if err != nil {
			w.Flush() // the lines before it are right
			return fmt.Errorf("standard input, line %d: %w", n, err)
		}
		if err := encoder.Encode(result); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		w.Flush()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d MiB", maxTokenizeLine>>20)
		}
		return fmt.Errorf("standard input, line %d: %w", n, err)
	}
	return w.Flush()
}

// tokenized is a line of output.
type tokenized struct {
	IDs  []int32 `json:"ids"`
	Mask []int32 `json:"attention_mask,omitempty"`
}

func (o *tokenizeOptions) encodeLine(t text.Tokenizer, pad int32, line []byte) (any, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("not UTF-8")
	}
	var s *string
	if err := json.Unmarshal(line, &s); err != nil || s == nil {
		return nil, errors.New("not a JSON string")
	}
	var ids []int32
	switch {
	case o.maxLength == 0 && o.noSpecial:
		ids = t.EncodePlain(*s)
	case o.maxLength == 0:
		ids = t.Encode(*s)
	case o.noSpecial:
		ids = text.EncodePlainMax(t, *s, o.maxLength)
	default:
		ids = text.EncodeMax(t, *s, o.maxLength)
	}
	if ids == nil {
		ids = []int32{} // not null
	}
	result := tokenized{IDs: ids}
	if o.pad {
		result.IDs, result.Mask = text.Pad([][]int32{ids}, o.maxLength, pad, t.Settings().PadLeft)
	}
	return result, nil
}

func (o *tokenizeOptions) decodeLine(t text.Tokenizer, _ int32, line []byte) (any, error) {
	var object struct {
		IDs *[]int32 `json:"ids"`
	}
	var ids *[]int32
	if err := json.Unmarshal(line, &ids); err != nil {
		if json.Unmarshal(line, &object) != nil || object.IDs == nil {
			return nil, errors.New(`neither [...] nor {"ids":[...]} with ids`)
		}
		ids = object.IDs
	}
	if ids == nil {
		return nil, errors.New("no ids")
	}
	for _, id := range *ids {
		if id < 0 { // those beyond the vocabulary are left out: models have more rows than tokens
			return nil, fmt.Errorf("id %d is negative", id)
		}
	}
	return t.Decode(*ids, o.skipSpecial), nil
}
