package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/eval"
)

func newEvalPOPECommand() *cobra.Command {
	var e popeEvaluation
	command := &cobra.Command{
		Use:   "pope --checkpoint DIR (--data PATH | --questions FILE --images DIR)",
		Short: "Does the model see objects that are not there? Yes-or-no questions, as in POPE",
		Long: `Asks yes-or-no questions and counts how "yes" and "no" agree with the truth: accuracy, precision, recall and F1 of "yes",
and how often "yes" is said (50 % where the questions are balanced). A model that says yes to everything has recall 100,
precision 50 and a yes ratio of 100.

Questions come from a data set whose answers are yes or no, by kind (random, popular, adversarial), or from files of
POPE: one {"image", "text", "label"} a line. An answer is "no" where its first sentence holds "no" or "not".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	flags := command.Flags()
	flags.StringVar(&e.checkpoint, "checkpoint", "", "model folder of a BLIP or BLIP-2 that answers")
	flags.StringVar(&e.data, "data", "", "JSONL file with questions whose answers are yes or no")
	e.reading.registerReading(command)
	flags.StringArrayVar(&e.questions, "questions", nil, "file of POPE, may be repeated; its name is the questions' kind")
	flags.StringVar(&e.images, "images", "", "folder of the pictures of --questions")
	flags.BoolVar(&e.json, "json", false, "print the metrics as JSON, and no progress")
	flags.StringVar(&e.predictions, "predictions", "", "write the answers here, one JSON object a line")
	generationFlags(command, &e.Options)
	requireFlags(command, "checkpoint")
	return command
}

type popeEvaluation struct {
	vqaEvaluation
	questions []string
	images    string
}

// popeResult is what "eval pope --json" prints.
type popeResult struct {
	Overall eval.YesNo            `json:"overall"`
	Kinds   map[string]eval.YesNo `json:"kinds,omitempty"`
	Hashes  *provenance           `json:"hashes"`
}

// open reads the questions and their pictures.
func (e *popeEvaluation) open() (*datasets.Set, error) {
	if (e.data == "") == (len(e.questions) == 0) {
		return nil, usagef("either --data or --questions with --images")
	}
	if e.data != "" {
		return e.openAny()
	}
	set, index := &datasets.Set{Name: e.images}, map[string]int{}
	for _, path := range e.questions {
		records, err := readList[struct {
			Image string `json:"image"`
			Text  string `json:"text"`
			Label string `json:"label"`
		}](path)
		if err != nil {
			return nil, err
		}
		kind := filepath.Base(path)
		kind = kind[:len(kind)-len(filepath.Ext(kind))]
		for i, q := range records {
			if q.Image == "" || q.Text == "" || q.Label == "" {
				return nil, fmt.Errorf("%s: record %d: image, text or label is missing", path, i+1)
			}
			at, seen := index[q.Image]
			if !seen {
				at = len(set.Records)
				index[q.Image] = at
				set.Records = append(set.Records, datasets.Record{ID: q.Image, Image: filepath.Join(e.images, filepath.FromSlash(q.Image)), Origin: path})
			}
			set.Records[at].Questions = append(set.Records[at].Questions, datasets.Question{Question: q.Text, Answers: []string{q.Label}, Kind: kind})
		}
	}
	return set, e.checkPredictions()
}

func (e *popeEvaluation) run(cmd *cobra.Command) error {
	if err := e.Options.Validate(); err != nil {
		return usageError{err}
	}
	set, err := e.open()
	if err != nil {
		return err
	}
	asked, err := questionsOf(set)
	if err != nil {
		return err
	}
	truth := make([]bool, len(asked))
	for i, q := range asked {
		for _, a := range q.Answers {
			answer := eval.VQAAnswer(a.Answer)
			if answer != "yes" && answer != "no" || answer == "yes" != truth[i] && a.Record != "0" {
				return fmt.Errorf("%s: %q: the answer %q is not simply yes or no", set.Records[q.image].Origin, q.question, a.Answer)
			}
			truth[i] = answer == "yes"
		}
	}
	if err := e.ask(cmd, set, asked, nil); err != nil {
		return err
	}
	said, members := make([]bool, len(asked)), map[string][]int{}
	for i, q := range asked {
		said[i] = eval.IsYes(q.given)
		members[q.QuestionType] = append(members[q.QuestionType], i)
	}
	result := popeResult{}
	if result.Overall, err = eval.ScoreYesNo(said, truth); err != nil {
		return err
	}
	if len(members) > 1 {
		result.Kinds = map[string]eval.YesNo{}
	}
	for kind, of := range members {
		var s, w []bool
		for _, i := range of {
			s, w = append(s, said[i]), append(w, truth[i])
		}
		if score, err := eval.ScoreYesNo(s, w); err == nil && result.Kinds != nil {
			result.Kinds[kind] = score
		}
	}
	settings := map[string]any{"protocol": "pope", "generation": e.Options}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, settings); err != nil {
		return err
	}
	if err := e.writePredictions(answersGiven(set, asked, nil, "")); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), &result)
	}
	return result.print(cmd.OutOrStdout())
}

func (r *popeResult) print(out io.Writer) error {
	width := 20
	for kind := range r.Kinds {
		width = max(width, len(kind)+1)
	}
	fmt.Fprintf(out, "%-*s%10s%10s%10s%10s%10s%10s\n", width, "percent", "accuracy", "precision", "recall", "F1", "yes", "questions")
	line := func(name string, s eval.YesNo) error {
		_, err := fmt.Fprintf(out, "%-*s%10.2f%10.2f%10.2f%10.2f%10.2f%10d\n", width, name, s.Accuracy, s.Precision, s.Recall, s.F1, s.YesRatio, s.Questions)
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		if err := line(kind, r.Kinds[kind]); err != nil {
			return err
		}
	}
	return line("all", r.Overall)
}
