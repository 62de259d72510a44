package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"goblip/eval"
)

func newScoreVQACommand() *cobra.Command {
	var v vqaScoring
	command := &cobra.Command{
		Use:   "vqa --annotations ANNOTATIONS.json --results RESULTS.json",
		Short: "Accuracy of answers by the official rules of VQA v2, OK-VQA, GQA or VizWiz",
		Long: `Scores answers to questions about pictures, gzipped or not:

  vqav2, okvqa  {"annotations": [{"question_id", "question_type", "answer_type", "answers": [{"answer", ...}, ...]}, ...]}
                and [{"question_id", "answer"}, ...]; the official rule: leave one person out, a third for each who agrees
  vizwiz        [{"image", "answers", "answer_type"}, ...] and [{"image", "answer"}, ...]; the same rule
  gqa           {question id: {"answer", "types": {"structural", "semantic"}}, ...} and [{"questionId", "prediction"}, ...];
                an answer counts if it equals the right one after VQA's processing

Every question needs one answer. Results may also be records one a line.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := v.check(); err != nil {
				return err
			}
			report, metrics, err := v.score()
			if err != nil {
				return err
			}
			if v.json {
				return writeJSON(command.OutOrStdout(), report)
			}
			return report.print(command.OutOrStdout(), metrics)
		},
	}
	v.flags(command, "answers", "an annotation or, where it has none, of a question")
	flags := command.Flags()
	flags.StringVar(&v.questions, "questions", "", "file of questions, to check that all are answered")
	flags.StringVar(&v.annotations, "annotations", "", "file of the answers of people")
	flags.StringVar(&v.results, "results", "", "file of answers to score")
	flags.StringVar(&v.variant, "variant", "vqav2", "vqav2, okvqa, gqa or vizwiz: layouts and rule")
	requireFlags(command, "annotations", "results")
	return command
}

type vqaScoring struct {
	scoreOptions
	questions, annotations, results, variant string
}

// vqaReport is what "score vqa --json" prints.
type vqaReport struct {
	Accuracy    eval.VQAScores      `json:"accuracy"`
	PerQuestion []questionScore     `json:"per_question"`
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
	for _, table := range []map[string]float64{r.Accuracy.PerAnswerType, r.Accuracy.PerQuestionType} {
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

// askedQuestion is a question of a file of annotations.
type askedQuestion struct {
	id, image fileID
	eval.VQAQuestion
	record map[string]json.RawMessage // for slices
}

func (v *vqaScoring) score() (*vqaReport, []metric, error) {
	rule, known := map[string]eval.VQARule{"vqav2": eval.VQAv2, "okvqa": eval.VQAv2, "vizwiz": eval.VizWiz, "gqa": eval.ExactAnswer}[v.variant]
	if !known {
		return nil, nil, usagef("--variant %s: must be vqav2, okvqa, gqa or vizwiz", v.variant)
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
	each, report, err := v.scoreFile(asked, v.results, rule)
	if err != nil {
		return nil, nil, err
	}
	groups := groupsOf(asked) // the questions of one image are alike and drawn together
	metrics := []metric{{"accuracy", eval.GroupMeanOf(inGroups(each, groups))}}
	var others []metric
	if v.against != "" {
		theirs, _, err := v.scoreFile(asked, v.against, rule)
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

// scoreFile scores one file of answers: of each question in percent, and the report.
func (v *vqaScoring) scoreFile(asked []askedQuestion, path string, rule eval.VQARule) ([]float64, *vqaReport, error) {
	given, err := v.readAnswers(path)
	if err != nil {
		return nil, nil, err
	}
	questions := make([]eval.VQAQuestion, len(asked))
	for i, q := range asked {
		answer, there := given[q.id]
		if !there {
			return nil, nil, fmt.Errorf("%s: question %s has no answer", path, q.id)
		}
		delete(given, q.id)
		q.Given = answer
		questions[i] = q.VQAQuestion
	}
	for id := range given {
		return nil, nil, fmt.Errorf("%s: question %s is not in %s", path, id, v.annotations)
	}
	scores, each, err := eval.ScoreVQA(questions, rule)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", v.annotations, err)
	}
	report := &vqaReport{Accuracy: scores}
	percent := make([]float64, len(each))
	for i, accuracy := range each {
		report.PerQuestion = append(report.PerQuestion, questionScore{asked[i].id, accuracy})
		percent[i] = 100 * accuracy
	}
	return percent, report, nil
}

func (v *vqaScoring) readAnswers(path string) (map[fileID]string, error) {
	results, err := readList[struct {
		QuestionID  *fileID `json:"question_id"`
		QuestionID2 *fileID `json:"questionId"` // GQA's names
		Image       *fileID `json:"image"`      // VizWiz asks one question an image
		Answer      *string `json:"answer"`
		Prediction  *string `json:"prediction"`
	}](path)
	if err != nil {
		return nil, err
	}
	given := map[fileID]string{}
	for i, r := range results {
		id, answer, name := r.QuestionID, r.Answer, "question_id"
		if id == nil && v.variant == "gqa" {
			id = r.QuestionID2
		}
		if id == nil && v.variant == "vizwiz" {
			id, name = r.Image, "image"
		}
		if answer == nil && v.variant == "gqa" {
			answer = r.Prediction
		}
		switch {
		case id == nil:
			return nil, fmt.Errorf("%s: [%d]: %s is missing", path, i, name)
		case answer == nil:
			return nil, fmt.Errorf("%s: [%d]: answer is missing", path, i)
		}
		if _, seen := given[*id]; seen {
			return nil, fmt.Errorf("%s: [%d]: %s %s has an answer already", path, i, name, *id)
		}
		given[*id] = *answer
	}
	return given, nil
}

// readAnnotations reads the questions and answers of people, in the order of the file.
func (v *vqaScoring) readAnnotations() ([]askedQuestion, error) {
	var records []map[string]json.RawMessage
	var ids []fileID
	var err error
	switch v.variant {
	case "gqa":
		var table map[string]map[string]json.RawMessage
		if err = readJSON(v.annotations, &table); err == nil {
			for _, id := range slices.Sorted(maps.Keys(table)) {
				records, ids = append(records, table[id]), append(ids, fileID(strconv.Quote(id)))
			}
		}
	case "vizwiz":
		records, err = readList[map[string]json.RawMessage](v.annotations)
	default:
		var file struct {
			Annotations []map[string]json.RawMessage `json:"annotations"`
		}
		err = readJSON(v.annotations, &file)
		records = file.Annotations
	}
	if err != nil {
		return nil, err
	}
	seen := map[fileID]bool{}
	asked := make([]askedQuestion, len(records))
	for i, record := range records {
		where := fmt.Sprintf("%s: annotations[%d]", v.annotations, i)
		if v.variant == "gqa" {
			where = fmt.Sprintf("%s: question %s", v.annotations, ids[i])
			asked[i], err = gqaQuestion(ids[i], record)
		} else {
			asked[i], err = vqaQuestion(record, v.variant == "vizwiz")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if seen[asked[i].id] {
			return nil, fmt.Errorf("%s: question %s is there already", where, asked[i].id)
		}
		seen[asked[i].id] = true
	}
	return asked, nil
}

func vqaQuestion(record map[string]json.RawMessage, vizwiz bool) (q askedQuestion, err error) {
	q.record = record
	field := func(name string, value any) {
		if raw := record[name]; raw != nil && err == nil {
			if err = json.Unmarshal(raw, value); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	var answers []map[string]any
	if vizwiz {
		field("image", &q.id)
		q.image = q.id
	} else {
		field("question_id", &q.id)
		field("image_id", &q.image)
	}
	field("question_type", &q.QuestionType)
	field("answer_type", &q.AnswerType)
	field("answers", &answers)
	switch {
	case err != nil:
		return q, err
	case q.id == "":
		return q, fmt.Errorf("the question's id is missing")
	case len(answers) == 0:
		return q, fmt.Errorf("question %s has no answers", q.id)
	}
	for i, a := range answers {
		text, ok := a["answer"].(string)
		if !ok {
			return q, fmt.Errorf("question %s: answers[%d]: answer is not a text", q.id, i)
		}
		delete(a, "answer")
		rest, err := json.Marshal(a)
		if err != nil {
			return q, err
		}
		q.Answers = append(q.Answers, eval.HumanAnswer{Answer: text, Record: string(rest)})
	}
	return q, nil
}

func gqaQuestion(id fileID, record map[string]json.RawMessage) (q askedQuestion, err error) {
	var answer *string
	var types struct{ Structural, Semantic string }
	if record["answer"] != nil {
		err = json.Unmarshal(record["answer"], &answer)
	}
	if err == nil && record["types"] != nil {
		err = json.Unmarshal(record["types"], &types)
	}
	if err == nil && answer == nil {
		err = fmt.Errorf("answer is missing")
	}
	if err != nil {
		return q, err
	}
	q = askedQuestion{id: id, image: fileID(record["imageId"]), record: record}
	q.QuestionType, q.AnswerType, q.Answers = types.Semantic, types.Structural, []eval.HumanAnswer{{Answer: *answer}}
	return q, nil
}

// checkQuestions wants the file of questions to hold those that are annotated, and takes its fields for slices.
func (v *vqaScoring) checkQuestions(asked []askedQuestion) error {
	var file struct {
		Questions []map[string]json.RawMessage `json:"questions"`
	}
	if err := readJSON(v.questions, &file); err != nil {
		return err
	}
	byID := map[fileID]map[string]json.RawMessage{}
	for i, q := range file.Questions {
		id := fileID(q["question_id"])
		if id == "" {
			return fmt.Errorf("%s: questions[%d]: question_id is missing", v.questions, i)
		}
		if byID[id] != nil {
			return fmt.Errorf("%s: questions[%d]: question_id %s is there already", v.questions, i, id)
		}
		byID[id] = q
	}
	for _, q := range asked {
		if byID[q.id] == nil {
			return fmt.Errorf("%s: question %s of %s is missing", v.questions, q.id, v.annotations)
		}
		for name, value := range byID[q.id] {
			if q.record[name] == nil {
				q.record[name] = value
			}
		}
	}
	return nil
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
