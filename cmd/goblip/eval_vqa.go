package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
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
	answers, rule string
	top           int
}

func newEvalVQACommand() *cobra.Command {
	var e vqaEvaluation
	command := &cobra.Command{
		Use:   "vqa --checkpoint DIR --data PATH",
		Short: "Accuracy of answers, written freely or chosen from a list",
		Long: `Asks every question of a data set. The model writes its answers (as the paper: BLIP-2 --num-beams 5 --max-new-tokens 10
--length-penalty -1, BLIP --num-beams 3 --max-new-tokens 10), or with --answers chooses among the lines of a file: the --rank-top
whose first tokens are most likely are scored whole, with BLIP by its training loss, and the best one is the answer.

Answers are scored by the rule of VQA v2 where every question has at least four (one a person), else they must equal an
accepted one after the same processing; --rule decides otherwise. The intervals are 95 %, by bootstrap over pictures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	e.resultsFile = true
	e.flags(command, "that answers")
	command.Flags().StringVar(&e.answers, "answers", "", "file of answers to choose from, one a line")
	command.Flags().IntVar(&e.top, "rank-top", 128, "how many of --answers are scored to their ends")
	command.Flags().StringVar(&e.rule, "rule", "auto", "vqav2, exact or auto")
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
}

// vqaResult is what "eval vqa --json" prints.
type vqaResult struct {
	Questions int                      `json:"questions"`
	Rule      string                   `json:"rule"`
	Accuracy  eval.Interval            `json:"accuracy"` // percent
	Kinds     map[string]eval.Interval `json:"kinds,omitempty"`
	Hashes    *provenance              `json:"hashes"`
}

// questionsOf lists the questions of a set.
func questionsOf(set *datasets.Set) ([]askedOf, error) {
	var asked []askedOf
	for i, r := range set.Records {
		for _, q := range r.Questions {
			a := askedOf{image: i, id: idOr(q.ID, len(asked)), question: q.Question}
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
	if !slices.Contains([]string{"auto", "vqav2", "exact"}, e.rule) {
		return usagef("--rule %s: must be auto, vqav2 or exact", e.rule)
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
	rule, name := eval.ExactAnswer, "exact"
	if e.rule == "vqav2" || e.rule == "auto" && !slices.ContainsFunc(asked, func(q askedOf) bool { return len(q.Answers) < 4 }) {
		rule, name = eval.VQAv2, "vqav2"
	}
	settings := map[string]any{"protocol": "vqa", "rule": name, "generation": e.Options, "answers": candidates, "rank_top": e.top, "clean": e.clean}
	if err := e.ask(cmd, set, asked, candidates); err != nil {
		return err
	}
	result := vqaResult{Questions: len(asked), Rule: name, Kinds: map[string]eval.Interval{}}
	var questions []eval.VQAQuestion
	for _, q := range asked {
		q.Given = q.given
		questions = append(questions, q.VQAQuestion)
	}
	_, each, err := eval.ScoreVQA(questions, rule)
	if err != nil {
		return err
	}
	byImage, byKind := make([][]float64, len(set.Records)), map[string][]float64{}
	for i, q := range asked {
		byImage[q.image] = append(byImage[q.image], 100*each[i])
		byKind[q.QuestionType] = append(byKind[q.QuestionType], 100*each[i])
	}
	result.Accuracy = eval.BootstrapGroups(byImage, evalSeed)
	for kind, values := range byKind {
		result.Kinds[kind] = eval.Bootstrap(values, evalSeed)
	}
	if result.Hashes, err = provenanceOf(e.checkpoint, set, settings); err != nil {
		return err
	}
	if err := e.writePredictions(answersGiven(set, asked, each)); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), &result)
	}
	return result.print(cmd.OutOrStdout())
}

func (r *vqaResult) print(out io.Writer) error {
	fmt.Fprintf(out, "%d questions, percent [95 %% interval], rule %s\n%-20s%s\n", r.Questions, r.Rule, "accuracy", percent(r.Accuracy))
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
		if _, isBLIP := model.(*infer.BLIPWriter); isBLIP {
			options.LabelSmoothing = 0.1 // of its training loss
		}
		for _, c := range candidates {
			tokens := model.AnswerTokens(c)
			options.Candidates = append(options.Candidates, tokens)
			options.MaxNewTokens = max(options.MaxNewTokens, len(tokens))
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
		}
	}
	bar.Done()
	return nil
}

// answered is a prediction of "eval vqa" and "eval pope", in the layout that "score vqa" reads.
type answered struct {
	QuestionID datasets.ID `json:"question_id"`
	ImageID    datasets.ID `json:"image_id,omitempty"`
	Image      string      `json:"image"`
	Question   string      `json:"question"`
	Kind       string      `json:"kind,omitempty"`
	Answer     string      `json:"answer"`
	Accuracy   *float64    `json:"accuracy,omitempty"`
}

func (a answered) official() any {
	return struct {
		QuestionID datasets.ID `json:"question_id"`
		Answer     string      `json:"answer"`
	}{a.QuestionID, a.Answer}
}

// answersGiven are the predictions of all questions; each may be nil.
func answersGiven(set *datasets.Set, asked []askedOf, each []float64) iter.Seq[any] {
	return func(yield func(any) bool) {
		for i, q := range asked {
			r := set.Records[q.image]
			a := answered{QuestionID: q.id, ImageID: datasets.ID(r.ID), Image: r.Image, Question: q.question, Kind: q.QuestionType, Answer: q.given}
			if each != nil {
				a.Accuracy = &each[i]
			}
			if !yield(a) {
				return
			}
		}
	}
}

// readAnswerList reads the lines of a file, without repetitions; no file is no list.
func readAnswerList(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && !seen[line] {
			seen[line] = true
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no answers, one a line", path)
	}
	return out, nil
}
