package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/infer"
	"goblip/models/generate"
)

// Commands that use a trained model on pictures: caption, ask, match, embed.

// picturesOf makes a set of the paths of a command line: pictures, or folders of them.
func picturesOf(paths []string) (*datasets.Set, error) {
	set := &datasets.Set{Name: strings.Join(paths, " ")}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("picture path does not exist: %s", p)
		}
		if !info.IsDir() {
			set.Records = append(set.Records, datasets.Record{ID: p, Image: p})
			continue
		}
		folder, err := datasets.Open(p)
		if err != nil {
			return nil, err
		}
		set.Records = append(set.Records, folder.Records...)
	}
	return set, nil
}

// loadFor reads pictures as a model folder wants them.
func loadFor(checkpoint string, set *datasets.Set, quiet bool) (*infer.Pictures, error) {
	processor, err := infer.ImageProcessor(checkpoint)
	if err != nil {
		return nil, err
	}
	bar := barFor("reading pictures", len(set.Records), quiet)
	pictures, err := infer.PreparePictures(set, processor, bar.Update)
	if err != nil {
		return nil, err
	}
	bar.Done()
	return pictures, nil
}

// generationFlags adds the options of generation, named as in transformers.
func generationFlags(cmd *cobra.Command, o *generate.Options) {
	*o = generate.Default()
	flags := cmd.Flags()
	flags.IntVar(&o.NumBeams, "num-beams", 1, "beam search with this many beams; 1: greedy")
	flags.BoolVar(&o.DoSample, "sample", false, "draw words (nucleus sampling, with --top-p) instead of taking the best; what is drawn depends on seed, picture and prompt alone")
	flags.Float64Var(&o.TopP, "top-p", 1, "sample among the most likely words that have this probability together")
	flags.IntVar(&o.TopK, "top-k", 0, "sample among this many most likely words; 0: all")
	flags.Float64Var(&o.Temperature, "temperature", 1, "of sampling")
	flags.Uint64Var(&o.Seed, "seed", 1, "of sampling")
	flags.IntVar(&o.MaxNewTokens, "max-new-tokens", 30, "length limit")
	flags.IntVar(&o.MinNewTokens, "min-new-tokens", 0, "no end before this many tokens")
	flags.Float64Var(&o.RepetitionPenalty, "repetition-penalty", 1, "above 1 makes repeated words less likely")
	flags.Float64Var(&o.LengthPenalty, "length-penalty", 1, "exponent of the length that divides a beam's score; below 0 favours short texts")
	flags.IntVar(&o.NoRepeatNgramSize, "no-repeat-ngram-size", 0, "forbid repeating this many words in a row; 0: allow")
}

// writeTexts captions or answers and prints one line a picture and prompt; prompts depend on the model.
func writeTexts(cmd *cobra.Command, checkpoint string, paths []string, prompts func(infer.Writer) ([]string, error), o generate.Options, asJSON bool) error {
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	set, err := picturesOf(paths)
	if err != nil {
		return err
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	model, err := infer.OpenWriter(backend, checkpoint)
	if err != nil {
		return err
	}
	asked, err := prompts(model)
	if err != nil {
		return fmt.Errorf("%s: %w", checkpoint, err)
	}
	pictures, err := loadFor(checkpoint, set, true)
	if err != nil {
		return err
	}
	states, err := model.States(pictures, nil)
	if err != nil {
		return err
	}
	var requests []infer.Request
	for i := range set.Records {
		for _, p := range asked {
			requests = append(requests, infer.Request{Image: i, Prompt: p})
		}
	}
	bar := barFor("writing", len(requests), asJSON || len(requests) < 100)
	texts, err := model.Write(states, requests, o, bar.Update)
	if err != nil {
		return err
	}
	bar.Done()
	for i, t := range texts {
		path := set.Records[requests[i].Image].Image
		if asJSON {
			if err := writeJSON(cmd.OutOrStdout(), map[string]any{
				"image": path, "prompt": requests[i].Prompt, "text": t.Text, "score": t.Score, "token_logprobs": t.LogProbs,
			}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", path, t.Text)
	}
	return nil
}

func newCaptionCommand() *cobra.Command {
	var checkpoint, prompt string
	var asJSON bool
	var o generate.Options
	command := &cobra.Command{
		Use:   "caption --checkpoint DIR PICTURE...",
		Short: "Describe pictures",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeTexts(cmd, checkpoint, args, func(model infer.Writer) ([]string, error) {
				if !model.Captions() {
					return nil, errors.New("this model answers questions and does not caption: use ask")
				}
				if !cmd.Flags().Changed("prompt") {
					prompt = model.CaptionPrompt()
				}
				return []string{prompt}, nil
			}, o, asJSON)
		},
	}
	command.Flags().StringVar(&checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 that writes")
	command.Flags().StringVar(&prompt, "prompt", "", "text to continue, such as \"a photo of\"; published BLIPs were tuned behind \"a picture of\"; an InstructBLIP is told \"A short image caption.\" where this is not given")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a picture, with token log-probabilities")
	generationFlags(command, &o)
	requireFlags(command, "checkpoint")
	return command
}

func newAskCommand() *cobra.Command {
	var checkpoint string
	var questions []string
	var raw, asJSON, seePadding bool
	var token string
	var o generate.Options
	command := &cobra.Command{
		Use:   "ask --checkpoint DIR --question TEXT PICTURE...",
		Short: "Ask questions about pictures",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeTexts(cmd, checkpoint, args, func(model infer.Writer) ([]string, error) {
				if !model.Answers() {
					return nil, errors.New("this model captions and does not answer: use caption, with --prompt")
				}
				if b, ok := model.(*infer.BLIPWriter); ok {
					b.SeePadding = seePadding
					if err := b.UseQuestionToken(token); err != nil {
						return nil, usageError{fmt.Errorf("--question-token: %w", err)}
					}
				}
				prompts := slices.Clone(questions)
				for i := range prompts {
					if !raw {
						prompts[i] = model.QuestionPrompt(prompts[i])
					}
				}
				return prompts, nil
			}, o, asJSON)
		},
	}
	command.Flags().StringVar(&checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 that writes")
	command.Flags().StringArrayVarP(&questions, "question", "q", nil, "may be repeated; asked of a BLIP as it is, of an OPT as \"Question: ...? Answer:\", of a T5 \"Question: ...? Short answer:\"")
	command.Flags().StringVar(&token, "question-token", infer.TokenEnc, "what a BLIP reads in front of a question: enc, the [ENC] it was trained with, or cls, the [CLS] that transformers leaves there")
	command.Flags().BoolVar(&seePadding, "see-padding", false, "let a BLIP's answers attend to the padding of their question, as transformers does: they then depend on the longest question beside them")
	command.Flags().BoolVar(&raw, "raw", false, "give the question to the language model as it is")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object an answer, with token log-probabilities")
	generationFlags(command, &o)
	requireFlags(command, "checkpoint", "question")
	return command
}

func newMatchCommand() *cobra.Command {
	var checkpoint, token string
	var texts []string
	var asJSON bool
	command := &cobra.Command{
		Use:   "match --checkpoint DIR --text TEXT PICTURE...",
		Short: "Say how well texts fit pictures: ITM probability and ITC cosine",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			model, states, set, err := openRetriever(cmd, checkpoint, args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("itm-token") {
				if err := model.UseMatchToken(token); err != nil {
					return usageError{fmt.Errorf("--itm-token: %w", err)}
				}
			}
			images, err := model.ImageFeatures(states)
			if err != nil {
				return err
			}
			features, err := model.TextFeatures(texts)
			if err != nil {
				return err
			}
			cosines, err := model.Similarities(images, features)
			if err != nil {
				return err
			}
			var pairs []infer.Pair
			for i := range set.Records {
				for t := range texts {
					pairs = append(pairs, infer.Pair{Image: i, Text: t})
				}
			}
			logits, probabilities, err := model.MatchScores(states, texts, pairs)
			if err != nil {
				return err
			}
			for k, p := range pairs {
				path, itc := set.Records[p.Image].Image, cosines[p.Image][p.Text]
				if asJSON {
					if err := writeJSON(cmd.OutOrStdout(), map[string]any{"image": path, "text": texts[p.Text], "itm": probabilities[k], "itm_logit": logits[k], "itc": itc}); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\titm %.4f\titc %.4f\t%s\n", path, probabilities[k], itc, texts[p.Text])
			}
			return nil
		},
	}
	command.Flags().StringVar(&checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 for retrieval (stage 1)")
	command.Flags().StringArrayVarP(&texts, "text", "t", nil, "may be repeated")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a pair")
	command.Flags().StringVar(&token, "itm-token", infer.TokenEnc, "what a BLIP reads in front of a text that it matches: enc, the [ENC] it was trained with, or cls, the [CLS] that transformers leaves there; a BLIP-2 always reads [CLS]")
	requireFlags(command, "checkpoint", "text")
	return command
}

func newEmbedCommand() *cobra.Command {
	var checkpoint string
	var texts []string
	var asJSON bool
	command := &cobra.Command{
		Use:   "embed --checkpoint DIR [--text TEXT] PICTURE...",
		Short: "Print normalized embeddings of pictures and texts",
		Long: `Print normalized embeddings. A picture has one vector, or of a BLIP-2 one for each query; its similarity with a text is
the largest of their dot products with the text's vector.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && len(texts) == 0 {
				return usagef("no pictures and no --text")
			}
			print := func(kind, name string, vectors [][]float32) error {
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), map[string]any{kind: name, "embedding": vectors})
				}
				for _, v := range vectors {
					fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\n", name, strings.Trim(fmt.Sprint(v), "[]"))
				}
				return nil
			}
			model, states, set, err := openRetriever(cmd, checkpoint, args)
			if err != nil {
				return err
			}
			d := model.Dim
			if len(args) > 0 {
				flat, err := model.ImageFeatures(states)
				if err != nil {
					return err
				}
				for i, r := range set.Records {
					size := d * model.Vectors
					if err := print("image", r.Image, slices.Collect(slices.Chunk(flat[i*size:(i+1)*size], d))); err != nil {
						return err
					}
				}
			}
			flat, err := model.TextFeatures(texts)
			if err != nil {
				return err
			}
			for i, t := range texts {
				if err := print("text", t, [][]float32{flat[i*d : (i+1)*d]}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	command.Flags().StringVar(&checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 for retrieval (stage 1)")
	command.Flags().StringArrayVarP(&texts, "text", "t", nil, "may be repeated")
	command.Flags().BoolVar(&asJSON, "json", false, "one JSON object a picture or text")
	requireFlags(command, "checkpoint")
	return command
}

func openRetriever(cmd *cobra.Command, checkpoint string, paths []string) (*infer.Retriever, *infer.Features, *datasets.Set, error) {
	set, err := picturesOf(paths)
	if err != nil {
		return nil, nil, nil, err
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	model, err := infer.OpenRetriever(backend, checkpoint)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(paths) == 0 {
		return model, nil, set, nil
	}
	pictures, err := loadFor(checkpoint, set, true)
	if err != nil {
		return nil, nil, nil, err
	}
	states, err := model.States(pictures, nil)
	return model, states, set, err
}
