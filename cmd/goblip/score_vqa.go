package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"goblip/eval"
)

func newScoreVQACommand() *cobra.Command {
	var v vqaScoring
	command := &cobra.Command{
		Use:   "vqa --annotations ANNOTATIONS.json --results RESULTS.json",
		Short: "Accuracy of answers by the official rules of VQA v2, OK-VQA, A-OKVQA, GQA or VizWiz",
		Long: `Scores answers to questions about pictures, gzipped or not:

  vqav2, okvqa  {"annotations": [{"question_id", "question_type", "answer_type", "answers": [{"answer", ...}, ...]}, ...]}
                and [{"question_id", "answer"}, ...]; the official rule: leave one person out, a third for each who agrees
  vizwiz        [{"image", "answers", "answer_type"}, ...] and [{"image", "answer"}, ...]; the same rule
  gqa           {question id: {"answer", "types": {"structural", "semantic"}}, ...} and [{"questionId", "prediction"}, ...];
                an answer counts if it equals the right one after VQA's processing
  aokvqa        [{"question_id", "direct_answers", "difficult_direct_answer"}, ...] and {question id: answer, ...} or the
                leaderboard's {question id: {"direct_answer", "multiple_choice"}, ...}: a third for each who said the very
                same; questions marked difficult are left out
  aokvqa-mc     the same files, with "choices" and "correct_choice_idx": the very text of the right choice

With --spacy your own Python brings the answers to base forms first, as LAVIS does for OK-VQA: the nouns and verbs, by spaCy.
Every question needs one answer. Results may also be records one a line.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return show(command, &v.scoreOptions, func() (*vqaReport, []metric, error) { return v.score(command.Context()) })
		},
	}
	v.flags(command, "answers", "an annotation or, where it has none, of a question")
	flags := command.Flags()
	flags.StringVar(&v.questions, "questions", "", "file of questions, to check that all are answered")
	flags.StringVar(&v.annotations, "annotations", "", "file of the answers of people")
	flags.StringVar(&v.results, "results", "", "file of answers to score")
	flags.StringVar(&v.variant, "variant", "vqav2", "vqav2, okvqa, gqa, vizwiz, aokvqa or aokvqa-mc: layouts and rule")
	flags.StringVar(&v.lemmatizer.python, "spacy", "", "your Python, which has spaCy: brings the answers of --results and --against to base forms")
	flags.StringVar(&v.lemmatizer.model, "spacy-model", "en_core_web_sm", "its model, by name or as a folder")
	requireFlags(command, "annotations", "results")
	return command
}

type vqaScoring struct {
	scoreOptions
	questions, annotations, results, variant string
	lemmatizer                               lemmatizer
}

// vqaReport is what "score vqa --json" prints.
type vqaReport struct {
	Accuracy    eval.VQAScores      `json:"accuracy"`
	PerQuestion []questionScore     `json:"per_question"`
	Lemmatizer  string              `json:"lemmatizer,omitempty"` // what brought the answers to base forms
	LeftOut     int                 `json:"left_out,omitempty"`   // questions that A-OKVQA asks with choices alone
	Slices      map[string]vqaSlice `json:"slices,omitempty"`
	statistics
}

type questionScore struct {
	QuestionID fileID  `json:"question_id"`
	Accuracy   float64 `json:"accuracy"`
}

type vqaSlice struct {
	Questions int     `json:"questions"`
	Accuracy  float64 `json:"accuracy"` // percent
}

func (r *vqaReport) print(out io.Writer, metrics []metric) error {
	fmt.Fprintf(out, "%d questions, percent\n", len(r.PerQuestion))
	if err := r.statistics.print(out, metrics, "%.2f"); err != nil {
		return err
	}
	if r.Lemmatizer != "" {
		fmt.Fprintf(out, "  answers in base forms by %s\n", r.Lemmatizer)
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(out, "  left out as difficult_direct_answer: %d\n", r.LeftOut)
	}
	for _, table := range []map[string]float64{r.Accuracy.PerAnswerType, r.Accuracy.PerQuestionType} {
		if _, only := table[""]; only && len(table) == 1 {
			continue // the file has no types
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			fmt.Fprintf(out, "  %-24s%.2f\n", name, table[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Slices)) {
		if _, err := fmt.Fprintf(out, "  %-24s%.2f   of %d\n", name, r.Slices[name].Accuracy, r.Slices[name].Questions); err != nil {
			return err
		}
	}
	return nil
}

func (v *vqaScoring) score(ctx context.Context) (*vqaReport, []metric, error) {
	rule, known := map[string]eval.VQARule{"vqav2": eval.VQAv2, "okvqa": eval.VQAv2, "vizwiz": eval.VizWiz, "gqa": eval.ExactAnswer,
		"aokvqa": eval.DirectAnswer, aokvqaChoice: eval.ChosenAnswer}[v.variant]
	if !known {
		return nil, nil, usagef("--variant %s: must be vqav2, okvqa, gqa, vizwiz, aokvqa or aokvqa-mc", v.variant)
	}
	asked, err := v.readAnnotations()
	if err != nil {
		return nil, nil, err
	}
	if len(asked) == 0 {
		return nil, nil, fmt.Errorf("%s: no questions", v.annotations)
	}
	if v.questions != "" {
		if err := v.checkQuestions(asked); err != nil {
			return nil, nil, err
		}
	}
	all := asked
	if rule == eval.DirectAnswer {
		asked = slices.DeleteFunc(slices.Clone(asked), func(q askedQuestion) bool { return q.difficult })
		if len(asked) == 0 {
			return nil, nil, fmt.Errorf("%s: all questions are marked difficult_direct_answer", v.annotations)
		}
	}
	each, report, err := v.scoreFile(ctx, asked, all, v.results, rule)
	if err != nil {
		return nil, nil, err
	}
	report.LeftOut = len(all) - len(asked)
	groups := groupsOf(asked) // the questions of one image are alike and drawn together
	metrics := []metric{{"accuracy", eval.GroupMeanOf(inGroups(each, groups))}}
	var others []metric
	if v.against != "" {
		theirs, _, err := v.scoreFile(ctx, asked, all, v.against, rule)
		if err != nil {
			return nil, nil, err
		}
		others = []metric{{"accuracy", eval.GroupMeanOf(inGroups(theirs, groups))}}
	}
	if report.statistics, err = v.statistics(len(groups), metrics, others); err != nil {
		return nil, nil, err
	}
	if v.slice != "" {
		report.Slices, err = v.slices(asked, each)
	}
	return report, metrics, err
}

// scoreFile scores one file of answers, which may have one for any of all: of each question asked in percent, and the
// report.
func (v *vqaScoring) scoreFile(ctx context.Context, asked, all []askedQuestion, path string, rule eval.VQARule) ([]float64, *vqaReport, error) {
	given, err := v.readAnswers(path)
	if err != nil {
		return nil, nil, err
	}
	questions := make([]eval.VQAQuestion, len(asked))
	for i, q := range asked {
		answer, there := given[q.id]
		if !there {
			for _, other := range []fileID{q.id.quoted(), fileID(strings.Trim(string(q.id), `"`))} {
				if _, there := given[other]; there {
					return nil, nil, fmt.Errorf("%s: question %s has no answer, but %s has one: a %s, where %s has a %s", path, q.id, other, other.kind(), v.annotations, q.id.kind())
				}
			}
			return nil, nil, fmt.Errorf("%s: question %s has no answer", path, q.id)
		}
		if v.variant == aokvqaChoice && !slices.Contains(q.choices, answer) {
			return nil, nil, fmt.Errorf("%s: question %s: the answer %q is none of its choices", path, q.id, answer)
		}
		q.Given = answer
		questions[i] = q.VQAQuestion
	}
	for _, q := range all {
		delete(given, q.id)
	}
	by := ""
	if v.lemmatizer.python != "" {
		if by, err = v.toBaseForms(ctx, questions); err != nil {
			return nil, nil, err
		}
	}
	for id := range given {
		return nil, nil, fmt.Errorf("%s: question %s is not in %s", path, id, v.annotations)
	}
	scores, each, err := eval.ScoreVQA(questions, rule)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", v.annotations, err)
	}
	report := &vqaReport{Accuracy: scores, Lemmatizer: by}
	percent := make([]float64, len(each))
	for i, accuracy := range each {
		report.PerQuestion = append(report.PerQuestion, questionScore{asked[i].id, accuracy})
		percent[i] = 100 * accuracy
	}
	return percent, report, nil
}

// toBaseForms changes the answers that were given, and returns what says their base forms.
func (v *vqaScoring) toBaseForms(ctx context.Context, questions []eval.VQAQuestion) (by string, err error) {
	answers := make([]string, len(questions))
	for i, q := range questions {
		answers[i] = q.Given
	}
	lemmas, by, err := v.lemmatizer.lemmas(ctx, answers)
	for i := range lemmas {
		questions[i].Given = lemmas[i]
	}
	return by, err
}

func (v *vqaScoring) slices(asked []askedQuestion, percent []float64) (map[string]vqaSlice, error) {
	parts, found := map[string][]float64{}, false
	for i, q := range asked {
		found = found || q.record[v.slice] != nil
		name := sliceValue(q.record, v.slice)
		parts[name] = append(parts[name], percent[i])
	}
	if !found {
		return nil, fmt.Errorf("%s: no question has the field %q", v.annotations, v.slice)
	}
	out := map[string]vqaSlice{}
	for name, values := range parts {
		out[name] = vqaSlice{len(values), eval.MeanOf(values)(nil)}
	}
	return out, nil
}

// groupsOf lists the questions of each image; a question without an image is one of its own.
func groupsOf(asked []askedQuestion) (groups [][]int) {
	index := map[fileID]int{}
	for i, q := range asked {
		g, seen := index[q.image]
		if !seen || q.image == "" {
			g = len(groups)
			index[q.image] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

func inGroups(values []float64, groups [][]int) [][]float64 {
	out := make([][]float64, len(groups))
	for g, members := range groups {
		for _, i := range members {
			out[g] = append(out[g], values[i])
		}
	}
	return out
}
