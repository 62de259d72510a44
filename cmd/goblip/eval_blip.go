package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/eval"
	"goblip/infer"
	"goblip/models/generate"
	"goblip/train/recipes"
)

// Evaluations of BLIP's fine-tunings: vqa and nlvr.

func newEvalVQACommand() *cobra.Command {
	var e evaluation
	var how, candidates, trainData string
	var o generate.Options
	command := &cobra.Command{
		Use:   "vqa --checkpoint DIR --data PATH",
		Short: "Accuracy of answers, written or chosen",
		Long: `Asks the questions of a data set and counts answers that equal an accepted one, by kind of question. A model writes
its answers, or (BLIP only) chooses among those of --answers, one a line, or of --train-data. With --train-data, answers are
compared with those of a guesser that never sees a picture. Intervals are 95 %, by bootstrap over questions.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if how != "generate" && how != "rank" {
				return usagef("--how %q is not generate or rank", how)
			}
			if how == "rank" && candidates == "" && trainData == "" {
				return usagef("--how rank needs --answers or --train-data")
			}
			return e.vqa(cmd, how, candidates, trainData, o)
		},
	}
	e.flags(command, "that answers")
	flags := command.Flags()
	flags.StringVar(&how, "how", "generate", "generate: the model writes; rank: it chooses among the candidates")
	flags.StringVar(&candidates, "answers", "", "file of candidates for rank, one a line")
	flags.StringVar(&trainData, "train-data", "", "training set: its answers are the candidates where --answers is not given, and the blind baseline learns them")
	generationFlags(command, &o)
	o.MaxNewTokens, flags.Lookup("max-new-tokens").DefValue = 10, "10"
	return command
}

// answered is a line of predictions.
type answered struct {
	ID       string   `json:"id"`
	Image    string   `json:"image"`
	Question string   `json:"question"`
	Kind     string   `json:"kind,omitempty"`
	Answers  []string `json:"answers"`
	Given    string   `json:"given"`
	Right    bool     `json:"right"`
}

func (e *evaluation) vqa(cmd *cobra.Command, how, candidates, trainData string, o generate.Options) error {
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	set, err := openFor("blip/vqa", e.data)
	if err != nil {
		return err
	}
	var blind *eval.Blind
	var choices []string
	if trainData != "" {
		training, err := openFor("blip/vqa", trainData)
		if err != nil {
			return err
		}
		blind = learnBlind(training)
		for _, r := range training.Records {
			for _, q := range r.Questions {
				choices = append(choices, q.Answers...)
			}
		}
	}
	if candidates != "" {
		data, err := os.ReadFile(candidates)
		if err != nil {
			return err
		}
		choices = strings.Split(string(data), "\n")
	}
	choices = distinct(choices)
	backend, _, err := openBackend(cmd, 1)
	if err != nil {
		return err
	}
	model, err := infer.OpenWriter(backend, e.checkpoint)
	if err != nil {
		return err
	}
	defer model.Finalize()
	if !model.Answers() {
		return fmt.Errorf("%s: this model captions and does not answer", e.checkpoint)
	}
	var requests []infer.Request
	var questions []eval.Answered
	var lines []answered
	for i, r := range set.Records {
		for _, q := range r.Questions {
			requests = append(requests, infer.Request{Image: i, Prompt: model.QuestionPrompt(q.Question)})
			questions = append(questions, eval.Answered{Question: q.Question, Kind: q.Kind, Answers: q.Answers})
			lines = append(lines, answered{ID: r.ID, Image: r.Image, Question: q.Question, Kind: q.Kind, Answers: q.Answers})
		}
	}
	if len(requests) == 0 {
		return fmt.Errorf("%s: no questions", set.Name)
	}
	states, err := e.states(set, model.States)
	if err != nil {
		return err
	}
	bar := barFor("answering", len(requests), e.json)
	if how == "rank" {
		ranker, ok := model.(*infer.BLIPWriter)
		if !ok {
			return fmt.Errorf("%s: only a BLIP ranks answers", e.checkpoint)
		}
		ranked, err := ranker.Rank(states, requests, choices, bar.Update)
		if err != nil {
			return fmt.Errorf("%s: %w", e.checkpoint, err)
		}
		for i, r := range ranked {
			questions[i].Given = r.Answer
		}
	} else {
		texts, err := model.Write(states, requests, o, bar.Update)
		if err != nil {
			return err
		}
		for i, t := range texts {
			questions[i].Given = t.Text
		}
	}
	bar.Done()
	for i := range lines {
		lines[i].Given, lines[i].Right = questions[i].Given, questions[i].Right()
	}
	if err := e.writePredictions(anyOf(lines)); err != nil {
		return err
	}
	all, kinds := eval.ScoreAnswers(questions, blind, evalSeed)
	result := questionsOf(all, kinds)
	if e.json {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	var b strings.Builder
	result.print(&b)
	_, err = fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

// distinct lists different lines, the first of each, without empty ones.
func distinct(all []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range all {
		if s = strings.TrimSpace(s); s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

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
	set, err := openFor("blip/nlvr", e.data)
	if err != nil {
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
	}{len(lines), eval.Bootstrap(right, evalSeed), 100 * float64(max(share, len(lines)-share)) / float64(len(lines))}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), result)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d pairs [95 %% interval]\n\n%-20s%s   chance %.1f\n", result.Pairs, "accuracy, percent", percent(result.Accuracy), result.Chance)
	return err
}

// questionsOf gathers accuracies, by kind where there are several.
func questionsOf(all eval.Accuracy, kinds []eval.Accuracy) *questionResult {
	of := func(a eval.Accuracy) *questionResult {
		return &questionResult{Count: a.Questions, Accuracy: a.Share, Blind: a.Blind}
	}
	result := of(all)
	if len(kinds) > 1 {
		result.Kinds = map[string]*questionResult{}
		for _, k := range kinds {
			result.Kinds[k.Kind] = of(k)
		}
	}
	return result
}

// print writes a line for all questions and one for each kind.
func (q *questionResult) print(b *strings.Builder) {
	line := func(name string, q *questionResult) {
		fmt.Fprintf(b, "%-20s%s", name, percent(q.Accuracy))
		if q.Blind != nil {
			fmt.Fprintf(b, "   blind %.1f", *q.Blind)
		}
		fmt.Fprintf(b, "   of %d\n", q.Count)
	}
	line("answers, percent", q)
	var kinds []string
	for name := range q.Kinds {
		kinds = append(kinds, name)
	}
	slices.Sort(kinds)
	for _, name := range kinds {
		line("  "+name, q.Kinds[name])
	}
}
