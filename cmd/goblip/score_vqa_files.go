package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"goblip/eval"
)

// Files of VQA v2, OK-VQA, VizWiz, GQA and A-OKVQA.

// aokvqaChoice is the variant of A-OKVQA's questions with choices.
const aokvqaChoice = "aokvqa-mc"

// askedQuestion is a question of a file of annotations.
type askedQuestion struct {
	id, image fileID
	eval.VQAQuestion
	choices   []string
	difficult bool
	record    map[string]json.RawMessage // for slices
}

func (v *vqaScoring) readAnswers(path string) (map[fileID]string, error) {
	if strings.HasPrefix(v.variant, "aokvqa") {
		if given, err := v.readAnswerTable(path); given != nil || err != nil {
			return given, err
		}
	}
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
		if v.variant == "gqa" || strings.HasPrefix(v.variant, "aokvqa") { // their questions are keys, which are texts
			*id = id.quoted()
		}
		if _, seen := given[*id]; seen {
			return nil, fmt.Errorf("%s: [%d]: %s %s has an answer already", path, i, name, *id)
		}
		given[*id] = *answer
	}
	return given, nil
}

// readAnswerTable reads A-OKVQA's own files of answers, which are objects; nil: it is a list, or records in lines.
func (v *vqaScoring) readAnswerTable(path string) (map[fileID]string, error) {
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	var table map[string]json.RawMessage
	if !bytes.HasPrefix(bytes.TrimLeft(content, " \t\r\n"), []byte("{")) || json.Unmarshal(content, &table) != nil || table["answer"] != nil {
		return nil, nil
	}
	field := map[string]string{"aokvqa": "direct_answer", aokvqaChoice: "multiple_choice"}[v.variant]
	given := make(map[fileID]string, len(table))
	for id, raw := range table {
		var answer *string
		if bytes.HasPrefix(raw, []byte("{")) {
			var both map[string]json.RawMessage
			if err := json.Unmarshal(raw, &both); err != nil {
				return nil, fmt.Errorf("%s: question %s: %w", path, id, err)
			}
			if raw = both[field]; raw == nil {
				return nil, fmt.Errorf("%s: question %s: %s is missing", path, id, field)
			}
		}
		if err := json.Unmarshal(raw, &answer); err != nil || answer == nil {
			return nil, fmt.Errorf("%s: question %s: the answer is %.40s, want a text", path, id, raw)
		}
		given[fileID(strconv.Quote(id))] = *answer
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
	case "vizwiz", "aokvqa", aokvqaChoice:
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
		} else if strings.HasPrefix(v.variant, "aokvqa") {
			asked[i], err = aokvqaQuestion(record, v.variant)
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
	var answers []map[string]any
	fields := map[string]any{"question_type": &q.QuestionType, "answer_type": &q.AnswerType, "answers": &answers}
	if vizwiz {
		fields["image"] = &q.id
	} else {
		fields["question_id"], fields["image_id"] = &q.id, &q.image
	}
	err = fieldsOf(record, fields)
	if vizwiz {
		q.image = q.id
	}
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

// fieldsOf reads fields of a record into values; those that are absent stay as they are.
func fieldsOf(record map[string]json.RawMessage, fields map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if raw := record[name]; raw != nil {
			if err := json.Unmarshal(raw, fields[name]); err != nil {
				return fmt.Errorf("%s: %w", name, placed(err))
			}
		}
	}
	return nil
}

func aokvqaQuestion(record map[string]json.RawMessage, variant string) (q askedQuestion, err error) {
	q.record = record
	var direct []string
	var correct *int
	err = fieldsOf(record, map[string]any{"question_id": &q.id, "image_id": &q.image, "direct_answers": &direct, "choices": &q.choices,
		"correct_choice_idx": &correct, "difficult_direct_answer": &q.difficult})
	switch {
	case err != nil:
		return q, err
	case q.id == "":
		return q, fmt.Errorf("question_id is missing")
	}
	q.id = q.id.quoted() // in files of answers it is a key, which is a text
	if variant != aokvqaChoice {
		for _, answer := range direct {
			q.Answers = append(q.Answers, eval.HumanAnswer{Answer: answer})
		}
		if len(direct) == 0 && !q.difficult {
			err = fmt.Errorf("question %s has no direct_answers", q.id)
		}
		return q, err
	}
	if correct == nil || *correct < 0 || *correct >= len(q.choices) {
		return q, fmt.Errorf("question %s: correct_choice_idx is none of its %d choices", q.id, len(q.choices))
	}
	q.Answers = []eval.HumanAnswer{{Answer: q.choices[*correct]}}
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
