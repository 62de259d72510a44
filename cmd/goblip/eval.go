package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/eval"
	"goblip/eval/report"
	"goblip/infer"
	"goblip/train/recipes"
)

// evalSeed is that of the bootstrap: a model has one interval.
const evalSeed = 1

// evaluation are the flags that evaluations have.
type evaluation struct {
	checkpoint, data, predictions string
	reading                       sourceFlags
	clean                         bool // texts as BLIP and LAVIS prepare them
	resultsFile                   bool // predictions may be a file of results as COCO and VQA want it
	json                          bool
}

func (e *evaluation) flags(cmd *cobra.Command, kind string) {
	flags := cmd.Flags()
	flags.StringVar(&e.checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 "+kind)
	flags.StringVar(&e.data, "data", "", "data source (goblip data --help)")
	e.reading.registerReading(cmd)
	flags.BoolVar(&e.json, "json", false, "print the metrics as JSON, and no progress")
	flags.StringVar(&e.predictions, "predictions", "", "write what the model found or said here, one JSON object a line"+map[bool]string{true: "; named .json: the official file of results"}[e.resultsFile])
	requireFlags(cmd, "checkpoint", "data")
}

// newEvalCommand returns "eval": metrics of a model folder on a data set.
func newEvalCommand() *cobra.Command {
	var all runEvaluation
	command := &cobra.Command{
		Use:   "eval",
		Short: "Measure a model on pictures with known captions, answers or classes",
		Long: `Measures a model folder by one of the protocols below, or with --all every checkpoint of a run: its figures go to
RUN/eval/results.json and their curves to RUN/eval/report.html.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknownCommand(cmd, args[0])
			case all.run == "":
				return cmd.Help()
			}
			return all.evaluate(cmd)
		},
	}
	all.flags(command)
	command.AddCommand(newEvalRetrievalCommand(), newEvalCaptionCommand(), newEvalVQACommand(), newEvalNLVRCommand(), newEvalClassifyCommand(), newEvalPOPECommand())
	return command
}

func newEvalRetrievalCommand() *cobra.Command {
	var e evaluation
	var top int
	var scores string
	command := &cobra.Command{
		Use:   "retrieval --checkpoint DIR --data PATH",
		Short: "Recall at 1, 5 and 10 of a BLIP or a stage-1 model, picture to text and text to picture",
		Long: `Searches every caption of a data set by picture, and every picture by caption: by the contrastive score (ITC),
and with the best --top of each search judged again by image-text matching (ITM logit + ITC cosine, as the paper does).
Equal scores count against the right answer. Intervals are 95 %, by bootstrap over pictures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if top < 0 {
				return usagef("--top %d: must not be negative", top)
			}
			return e.retrieval(cmd, top, scores)
		},
	}
	e.flags(command, "for retrieval (stage 1)")
	command.Flags().StringVar(&scores, "scores", "", "write the scores here, in the layout that \"score retrieval\" reads")
	command.Flags().BoolVar(&e.clean, "clean", false, "prepare captions as BLIP's and LAVIS's evaluations do: lower case, without .!\"()*#:;~, at most 30 words")
	command.Flags().IntVar(&top, "top", 16, "how many of each search ITM judges again; 0: none")
	return command
}

// recallJSON is a row of the table of recalls.
type recallJSON struct {
	ImageToText recallAt `json:"image_to_text"`
	TextToImage recallAt `json:"text_to_image"`
}

type recallAt struct {
	R1  eval.Interval `json:"r1"`
	R5  eval.Interval `json:"r5"`
	R10 eval.Interval `json:"r10"`
}

func recallOf(row report.RetrievalRow) *recallJSON {
	at := func(r [3]eval.Interval) recallAt { return recallAt{r[0], r[1], r[2]} }
	return &recallJSON{at(row.ImageToText), at(row.TextToImage)}
}

func (e *evaluation) retrieval(cmd *cobra.Command, top int, scores string) error {
	set, err := e.open()
	if err != nil {
		return err
	}
	if e.clean {
		for i, r := range set.Records {
			captions := make([]string, len(r.Captions))
			for j, c := range r.Captions {
				if captions[j] = recipes.CleanCaption(c, 30); captions[j] == "" {
					return fmt.Errorf("%s: caption %q has no words", r.Place(), c)
				}
			}
			set.Records[i].Captions = captions
		}
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	model, err := infer.OpenRetriever(backend, e.checkpoint)
	if err != nil {
		return err
	}
	defer model.Finalize()
	states, err := e.states(set, model.States)
	if err != nil {
		return err
	}
	found, err := searchAll(model, states, set, top, e.json)
	if err != nil {
		return err
	}
	result := struct {
		Images int         `json:"images"`
		Texts  int         `json:"texts"`
		Top    int         `json:"top"`
		ITC    *recallJSON `json:"itc"`
		ITM    *recallJSON `json:"itm,omitempty"` // ITC, the best Top re-ranked
		Passes int         `json:"passes"`        // pairs that ITM judged
		Chance *recallJSON `json:"chance"`
		Hashes *provenance `json:"hashes"`
	}{Images: len(set.Records), Texts: len(found.texts), Top: top}
	itc, err := recalls("ITC", found.itc, transpose(found.itc), found.imageOfText, evalSeed)
	if err != nil {
		return err
	}
	table := []report.RetrievalRow{itc}
	result.ITC = recallOf(itc)
	if top > 0 {
		itm, err := recalls(fmt.Sprintf("ITM on the best %d", top), found.byImage, found.byText, found.imageOfText, evalSeed)
		if err != nil {
			return err
		}
		table = append(table, itm)
		result.ITM = recallOf(itm)
	}
	chance := chanceRow(len(set.Records), found.imageOfText)
	table, result.Chance = append(table, chance), recallOf(chance)
	result.Passes = found.passes
	if result.Hashes, err = provenanceOf(e.checkpoint, set, map[string]any{"protocol": "retrieval", "top": top, "clean": e.clean}); err != nil {
		return err
	}
	if scores != "" {
		if err := found.writeCase(scores, len(set.Records)); err != nil {
			return err
		}
	}
	predictions, err := found.predictions(set, top)
	if err != nil {
		return err
	}
	if err := e.writePredictions(predictions); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if e.json {
		return writeJSON(out, &result)
	}
	return printRecalls(out, result.Images, result.Texts, table)
}

func printRecalls(out io.Writer, images, texts int, table []report.RetrievalRow) error {
	fmt.Fprintf(out, "%d pictures, %d captions; percent [95 %% interval]\n", images, texts)
	for _, direction := range []string{"picture to text", "text to picture"} {
		fmt.Fprintf(out, "\n%-20s%-20s%-20s%s\n", direction, "R@1", "R@5", "R@10")
		for _, row := range table {
			r := row.ImageToText
			if direction == "text to picture" {
				r = row.TextToImage
			}
			line := fmt.Sprintf("%-20s%-20s%-20s%s", row.Name, percent(r[0]), percent(r[1]), percent(r[2]))
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// percent writes a share with its interval, where it has one.
func percent(i eval.Interval) string {
	if i.Low == i.Mean && i.High == i.Mean {
		return fmt.Sprintf("%.1f", i.Mean)
	}
	return fmt.Sprintf("%.1f [%.1f, %.1f]", i.Mean, i.Low, i.High)
}

// states reads the pictures of a set and runs the image encoder of a model.
func (e *evaluation) states(set *datasets.Set, encode func(*infer.Pictures, func(done, total int)) (*infer.Features, error)) (*infer.Features, error) {
	pictures, err := loadFor(e.checkpoint, set, e.json)
	if err != nil {
		return nil, err
	}
	bar := barFor("encoding pictures", len(set.Records), e.json)
	states, err := encode(pictures, bar.Update)
	if err != nil {
		return nil, err
	}
	bar.Done()
	return states, nil
}

// openWriter opens a model that writes, if it fits, and runs its image encoder on a set. The caller finalizes it.
func (e *evaluation) openWriter(cmd *cobra.Command, set *datasets.Set, fits func(infer.Writer) error) (infer.Writer, *infer.Features, error) {
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return nil, nil, err
	}
	model, err := infer.OpenWriter(backend, e.checkpoint)
	if err != nil {
		return nil, nil, err
	}
	var states *infer.Features
	if err = fits(model); err == nil {
		states, err = e.states(set, model.States)
	}
	if err != nil {
		model.Finalize()
		return nil, nil, err
	}
	return model, states, nil
}
