package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"goblip/eval"
	"goblip/infer"
	"goblip/train/recipes"
)

// anyOf yields the elements of a slice for writePredictions.
func anyOf[T any](all []T) func(yield func(any) bool) {
	return func(yield func(any) bool) {
		for _, v := range all {
			if !yield(v) {
				return
			}
		}
	}
}

func newEvalNLVRCommand() *cobra.Command {
	var e evaluation
	command := &cobra.Command{
		Use:   "nlvr --checkpoint DIR --data PATH",
		Short: "Accuracy of judging texts about two pictures",
		Long: `Judges the text of each pair of pictures (image, image2, question, and answers [true] or [false]) by a folder of
recipe blip/nlvr: true where that is more probable than not. The interval is 95 %, by bootstrap over pairs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.nlvr(cmd) },
	}
	e.flags(command, "for pairs of pictures")
	return command
}

// judged is a line of predictions.
type judged struct {
	ID          string  `json:"id"`
	Image       string  `json:"image"`
	Image2      string  `json:"image2"`
	Text        string  `json:"text"`
	True        bool    `json:"true"`
	Probability float32 `json:"probability"`
	Right       bool    `json:"right"`
}

func (e *evaluation) nlvr(cmd *cobra.Command) error {
	set, err := e.openAny()
	if err != nil {
		return err
	}
	if set, err = fitFor("blip/nlvr", set); err != nil {
		return err
	}
	truths, err := recipes.DefaultBLIPNLVR().Truths(set)
	if err != nil {
		return err
	}
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	model, err := infer.OpenBLIPJudge(backend, e.checkpoint)
	if err != nil {
		return err
	}
	defer model.Finalize()
	pictures, err := loadFor(e.checkpoint, set, e.json)
	if err != nil {
		return err
	}
	var pairs []infer.PairOfPictures
	for i := range truths {
		pairs = append(pairs, infer.PairOfPictures{First: i, Second: len(truths) + i, Text: truths[i].Text})
	}
	bar := barFor("judging", len(pairs), e.json)
	probabilities, err := model.Probabilities(pictures, pairs, bar.Update)
	if err != nil {
		return err
	}
	bar.Done()
	var lines []judged
	var right []float64
	share := 0
	for i, p := range probabilities {
		r, t := set.Records[i], truths[i]
		lines = append(lines, judged{r.ID, r.Image, r.Image2, r.Questions[0].Question, t.True, p, p > 0.5 == t.True})
		value := 0.0
		if lines[i].Right {
			value = 100
		}
		right = append(right, value)
		if t.True {
			share++
		}
	}
	if err := e.writePredictions(anyOf(lines)); err != nil {
		return err
	}
	result := struct {
		Pairs    int           `json:"pairs"`
		Accuracy eval.Interval `json:"accuracy"` // percent
		Chance   float64       `json:"chance"`   // of always saying what is more frequent
		Hashes   *provenance   `json:"hashes"`
	}{Pairs: len(lines), Accuracy: eval.Bootstrap(right, evalSeed), Chance: 100 * float64(max(share, len(lines)-share)) / float64(len(lines))}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, map[string]any{"protocol": "nlvr"}); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pairs [95 %% interval]\n\n%-20s%s   chance %.1f\n", result.Pairs, "accuracy, percent", percent(result.Accuracy), result.Chance)
	return err
}
