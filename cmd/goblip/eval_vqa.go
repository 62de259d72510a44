package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"goblip/datasets"
	"goblip/eval"
	"goblip/infer"
	"goblip/models/generate"
	"goblip/train/recipes"
)

// vqaEvaluation are the flags of "eval vqa".
type vqaEvaluation struct {
	evaluation
	generate.Options
	answers, rule  string
	multipleChoice bool
	layout         string
	top            int
}

func newEvalVQACommand() *cobra.Command {
	var e vqaEvaluation
	command := &cobra.Command{
		Use:   "vqa --checkpoint DIR --data PATH",
		Short: "Accuracy of answers, written freely or chosen from a list",
		Long: `Asks every question of a data set. The model writes its answers (as the paper: BLIP-2 --num-beams 5 --max-new-tokens 10
--length-penalty -1, BLIP --num-beams 3 --max-new-tokens 10), or with --answers chooses among the lines of a file: the --rank-top
whose first tokens are most likely are scored whole, with BLIP by its training loss, and the best one is the answer.

With --multiple-choice it chooses among the choices of each question, as A-OKVQA has them.

Answers are scored by the rule of VQA v2 where every question has at least four (one a person); questions that have choices
by A-OKVQA's rule for direct answers; else they must equal an accepted one after VQA's processing; --rule decides otherwise.
The intervals are 95 %, by bootstrap over pictures. Where no question has an answer, as in test sets, --predictions is all.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	e.resultsFile = true
	e.flags(command, "that answers")
	command.Flags().StringVar(&e.answers, "answers", "", "file of answers to choose from, one a line")
	command.Flags().IntVar(&e.top, "rank-top", 128, "how many of --answers are scored to their ends")
	command.Flags().BoolVar(&e.multipleChoice, "multiple-choice", false, "choose among the choices of each question")
	command.Flags().StringVar(&e.rule, "rule", "auto", "vqav2, exact, direct (A-OKVQA) or auto")
	command.Flags().StringVar(&e.layout, "layout", "vqav2", "of --predictions FILE.json: vqav2, vizwiz, gqa or aokvqa")
	command.Flags().BoolVar(&e.clean, "clean", false, "prepare questions as BLIP's and LAVIS's evaluations do: lower case, without .!\"()*#:;~, at most 50 words")
	generationFlags(command, &e.Options)
	if err := command.Flags().Set("max-new-tokens", "10"); err != nil {
		panic(err)
	}
	command.Flags().Lookup("max-new-tokens").DefValue = "10"
	return command
}

// askedOf is a question of a set with the answer that was given.
type askedOf struct {
	image int
	id    datasets.ID // the question's, or else its place in the set
	eval.VQAQuestion
	question, given string
	choices         []string
	correct         *int // of choices
	difficult       bool // to be asked with its choices alone
}

// vqaResult is what "eval vqa --json" prints.
type vqaResult struct {
	Questions int                      `json:"questions"`
	Rule      string                   `json:"rule,omitempty"`
	Accuracy  *eval.Interval           `json:"accuracy,omitempty"` // percent; absent where no answers are known
	Unscored  int                      `json:"unscored,omitempty"` // questions that the rule leaves out
	Kinds     map[string]eval.Interval `json:"kinds,omitempty"`
	Hashes    *provenance              `json:"hashes"`
}

// questionsOf lists the questions of a set.
func questionsOf(set *datasets.Set) ([]askedOf, error) {
	var asked []askedOf
	seen := map[datasets.ID]string{}
	for i, r := range set.Records {
		for _, q := range r.Questions {
			if other, twice := seen[q.ID]; twice && q.ID != "" {
				return nil, fmt.Errorf("%s: question_id %s is that of a question of %s too", r.Place(), q.ID, other)
			}
			seen[q.ID] = r.Place()
			a := askedOf{image: i, id: idOr(q.ID, len(asked)), question: q.Question, choices: q.Choices, correct: q.Correct, difficult: q.Difficult}
			a.QuestionType = q.Kind
			for j, answer := range q.Answers {
				a.Answers = append(a.Answers, eval.HumanAnswer{Answer: answer, Record: strconv.Itoa(j)})
			}
			asked = append(asked, a)
		}
	}
	if len(asked) == 0 {
		return nil, fmt.Errorf("%s: no questions", set.Name)
	}
	return asked, nil
}

func (e *vqaEvaluation) run(cmd *cobra.Command) error {
	if err := e.Options.Validate(); err != nil {
		return usageError{err}
	}
	if e.top < 1 {
		return usagef("--rank-top %d: must be at least 1", e.top)
	}
	if !slices.Contains([]string{"auto", "vqav2", "exact", "direct"}, e.rule) {
		return usagef("--rule %s: must be auto, vqav2, exact or direct", e.rule)
	}
	if !slices.Contains(resultLayouts, e.layout) {
		return usagef("--layout %s: must be %s", e.layout, strings.Join(resultLayouts, ", "))
	}
	if e.multipleChoice && (e.answers != "" || e.rule != "auto") {
		return usagef("--multiple-choice has choices and a rule of its own: no --answers and --rule beside it")
	}
	candidates, err := readAnswerList(e.answers)
	if err != nil {
		return err
	}
	set, err := e.openAny()
	if err != nil {
		return err
	}
	asked, err := questionsOf(set)
	if err != nil {
		return err
	}
	known := 0
	if e.multipleChoice {
		if candidates, known, err = offered(set, asked); err != nil {
			return err
		}
	} else {
		for _, q := range asked {
			if len(q.Answers) > 0 {
				known++
			}
		}
	}
	if known == 0 && e.predictions == "" {
		return fmt.Errorf("%s: no question has an answer, so that there is nothing to score; --predictions FILE writes those of the model", set.Name)
	}
	rule, name := e.ruleFor(asked)
	settings := map[string]any{"protocol": "vqa", "rule": name, "generation": e.Options, "answers": candidates, "rank_top": e.top, "clean": e.clean}
	if e.multipleChoice {
		settings["multiple_choice"] = true
	}
	scored := asked
	if known > 0 {
		scored = slices.DeleteFunc(slices.Clone(asked), func(q askedOf) bool { return rule == eval.DirectAnswer && q.difficult })
		for _, q := range scored {
			if len(q.Answers) == 0 {
				return fmt.Errorf("%s: %q has no answer; others of %s have one", set.Records[q.image].Place(), q.question, set.Name)
			}
		}
		if len(scored) == 0 {
			return fmt.Errorf("%s: all questions are marked difficult_direct_answer, which are asked with --multiple-choice alone", set.Name)
		}
	}
	if err := e.ask(cmd, set, asked, candidates); err != nil {
		return err
	}
	result := vqaResult{Questions: len(asked)}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, settings); err != nil {
		return err
	}
	each := make([]*float64, len(asked))
	if known > 0 {
		result.Rule, result.Unscored = name, len(asked)-len(scored)
		if err := result.score(set, asked, rule, each); err != nil {
			return err
		}
	}
	if err := e.writePredictions(answersGiven(set, asked, each, e.layout)); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), &result)
	}
	return result.print(cmd.OutOrStdout())
}

// ruleFor is the rule that --rule names, or that the questions need.
func (e *vqaEvaluation) ruleFor(asked []askedOf) (rule eval.VQARule, name string) {
	switch {
	case e.multipleChoice:
		return eval.ChosenAnswer, "choice"
	case e.rule == "direct" || e.rule == "auto" && slices.ContainsFunc(asked, func(q askedOf) bool { return len(q.choices) > 0 }):
		return eval.DirectAnswer, "direct"
	case e.rule == "vqav2" || e.rule == "auto" && !slices.ContainsFunc(asked, func(q askedOf) bool { return len(q.Answers) < 4 }):
		return eval.VQAv2, "vqav2"
	}
	return eval.ExactAnswer, "exact"
}

// offered are all choices of the questions, without repetitions; the right one becomes a question's answer. known is
// how many have one.
func offered(set *datasets.Set, asked []askedOf) (all []string, known int, err error) {
	for i := range asked {
		q := &asked[i]
		if len(q.choices) == 0 {
			return nil, 0, fmt.Errorf("%s: %q has no choices", set.Records[q.image].Place(), q.question)
		}
		all = append(all, q.choices...)
		q.Answers = nil
		if q.correct != nil {
			q.Answers = []eval.HumanAnswer{{Answer: q.choices[*q.correct]}}
			known++
		}
	}
	slices.Sort(all)
	return slices.Compact(all), known, nil
}

// score fills in the accuracy, and that of each question which the rule does not leave out, 0 to 1.
func (r *vqaResult) score(set *datasets.Set, asked []askedOf, rule eval.VQARule, each []*float64) error {
	var questions []eval.VQAQuestion
	var of []int
	for i, q := range asked {
		if rule == eval.DirectAnswer && q.difficult {
			continue
		}
		q.Given = q.given
		questions, of = append(questions, q.VQAQuestion), append(of, i)
	}
	_, values, err := eval.ScoreVQA(questions, rule)
	if err != nil {
		return err
	}
	byImage, byKind := make([][]float64, len(set.Records)), map[string][]float64{}
	for i, place := range of {
		q := asked[place]
		each[place] = &values[i]
		byImage[q.image] = append(byImage[q.image], 100*values[i])
		byKind[q.QuestionType] = append(byKind[q.QuestionType], 100*values[i])
	}
	byImage = slices.DeleteFunc(byImage, func(values []float64) bool { return len(values) == 0 })
	accuracy := eval.BootstrapGroups(byImage, evalSeed)
	r.Accuracy, r.Kinds = &accuracy, map[string]eval.Interval{}
	for kind, values := range byKind {
		r.Kinds[kind] = eval.Bootstrap(values, evalSeed)
	}
	return nil
}

func (r *vqaResult) print(out io.Writer) error {
	if r.Accuracy == nil {
		_, err := fmt.Fprintf(out, "%d questions without known answers: nothing is scored\n", r.Questions)
		return err
	}
	fmt.Fprintf(out, "%d questions, percent [95 %% interval], rule %s\n%-20s%s\n", r.Questions-r.Unscored, r.Rule, "accuracy", percent(*r.Accuracy))
	if r.Unscored > 0 {
		fmt.Fprintf(out, "  left out as difficult_direct_answer: %d\n", r.Unscored)
	}
	if len(r.Kinds) < 2 {
		return nil
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		if _, err := fmt.Fprintf(out, "  %-18s%s\n", kind, percent(r.Kinds[kind])); err != nil {
			return err
		}
	}
	return nil
}

// ask fills in the answers of a model.
func (e *vqaEvaluation) ask(cmd *cobra.Command, set *datasets.Set, asked []askedOf, candidates []string) error {
	model, states, err := e.openWriter(cmd, set, func(w infer.Writer) error {
		if !w.Answers() {
			return fmt.Errorf("%s: this model captions and does not answer", e.checkpoint)
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer model.Finalize()
	requests := make([]infer.Request, len(asked))
	for i, q := range asked {
		question := q.question
		if e.clean {
			question = recipes.CleanQuestion(question, 50)
		}
		requests[i] = infer.Request{Image: q.image, Prompt: model.QuestionPrompt(question)}
	}
	options, step := e.Options, len(requests)
	if len(candidates) > 0 {
		options.NumBeams, options.DoSample = min(e.top, len(candidates)), false
		number := map[string]int{}
		for i, c := range candidates {
			tokens := model.AnswerTokens(c)
			options.Candidates, number[c] = append(options.Candidates, tokens), i
			options.MaxNewTokens = max(options.MaxNewTokens, len(tokens))
		}
		if e.multipleChoice {
			options.NumBeams = 1
			for i, q := range asked {
				for _, c := range q.choices {
					requests[i].Choices = append(requests[i].Choices, number[c])
				}
				options.NumBeams = max(options.NumBeams, len(q.choices))
			}
		}
		if _, isBLIP := model.(*infer.BLIPWriter); isBLIP {
			options.LabelSmoothing = 0.1 // of its training loss
		}
		step = max(1, 256/options.NumBeams) // rows at once, each with logits of the whole vocabulary
	}
	bar := barFor("answering", len(requests), e.json)
	for at := 0; at < len(requests); at += step {
		texts, err := model.Write(states, requests[at:min(at+step, len(requests))], options, func(done, _ int) { bar.Update(at+done, len(requests)) })
		if err != nil {
			return err
		}
		for i, t := range texts {
			asked[at+i].given = t.Text
			if e.multipleChoice {
				asked[at+i].given = chosen(asked[at+i].choices, t.IDs, model.AnswerTokens)
			}
		}
	}
	bar.Done()
	return nil
}

// chosen is the choice that was written: tokens need not become its very text again.
func chosen(choices []string, ids []int32, tokens func(string) []int32) string {
	for _, c := range choices {
		if slices.Equal(tokens(c), ids) {
			return c
		}
	}
	return ""
}
