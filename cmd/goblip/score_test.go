package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func runScore(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := newScoreCommand()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(io.Discard)
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

// writeTestFile writes content into a new folder, gzipped if the name ends in .gz.
func writeTestFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	b := []byte(content)
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		b = packed.Bytes()
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const testAnnotations = `{"annotations": [
	{"image_id": 7, "id": 1, "caption": "A red circle."},
	{"image_id": "b", "id": 2, "caption": "two blue squares"},
	{"image_id": 7, "id": 3, "caption": "a small red circle"},
	{"image_id": 9, "id": 4, "caption": "not scored"}]}`

func TestScoreCaption(t *testing.T) {
	refs := writeTestFile(t, "refs.json.gz", testAnnotations)
	hyps := writeTestFile(t, "hyps.json", `[{"image_id": "b", "caption": "two blue squares"}, {"image_id": 7, "caption": "a circle"}]`)
	out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Overall map[string]float64
		Images  []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(got.Images) != 2 || got.Images[0]["image_id"] != "b" || got.Images[1]["image_id"] != 7.0 {
		t.Errorf("images %v, want those of the captions in their order, ids as they were", got.Images)
	}
	if b := got.Images[0]["Bleu_1"].(float64); b < 0.999 {
		t.Errorf("Bleu_1 of a copied caption is %v", b)
	}
	if _, there := got.Overall["METEOR"]; there || len(got.Overall) != 7 {
		t.Errorf("overall %v, want the seven computed metrics and no other", got.Overall)
	}
	if out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps); err != nil || !strings.Contains(out, "CIDEr") {
		t.Errorf("without --json: %q, %v", out, err)
	}
}

// TestScoreMeteor: without the authors' lists the figure has another name, and no other metric changes.
func TestScoreMeteor(t *testing.T) {
	refs := writeTestFile(t, "refs.json", `{"images": [{"id": 1, "domain": "near"}, {"id": 2, "domain": "out"}],
		"annotations": [{"image_id": 1, "caption": "red circles"}, {"image_id": 2, "caption": "two blue squares"}]}`)
	hyps := writeTestFile(t, "hyps.json", `[{"image_id": 1, "caption": "a red circle"}, {"image_id": 2, "caption": "two blue squares"}]`)
	out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--meteor", "stem", "--slice", "domain", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Overall map[string]float64
		Images  []map[string]float64
		Slices  map[string]map[string]float64
	}
	decode(t, out, &got)
	const name = "METEOR_exact_stem"
	// "red" matches, "circle" by its stem (0.6): precision 1.6/3, recall 1.6/2, one piece of two words.
	if m := got.Images[0][name]; math.Abs(m-1/(0.15*3/1.6+0.85*2/1.6)*(1-0.6*math.Pow(0.5, 0.2))) > 1e-9 || m >= 1 || got.Images[1][name] != 1 {
		t.Errorf("images %v", got.Images)
	}
	if _, there := got.Overall["METEOR"]; there || got.Overall[name] <= got.Images[0][name] || got.Slices["near"][name] != got.Images[0][name] || got.Slices["out"][name] != 1 {
		t.Errorf("overall %v, slices %v", got.Overall, got.Slices)
	}
	if out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--meteor", "stem"); err != nil || !strings.Contains(out, name+"  ") {
		t.Errorf("table %q, %v", out, err)
	}
	if _, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps, "--meteor", "nowhere.jar"); err == nil || !strings.Contains(err.Error(), "nowhere.jar") {
		t.Errorf("no jar: %v", err)
	}
}

func TestScoreRetrieval(t *testing.T) {
	path := writeTestFile(t, "case.json", `{"img2txt": [[0], [1]], "txt2img": [0, 1], "scores_i2t": [[1, 1], [0, 2]]}`)
	out, err := runScore(t, "retrieval", "--scores", path, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got["median_rank"]["i2t"] != 1.5 || got["median_rank"]["t2i"] != 1.0 {
		t.Errorf("median ranks %v, want 1.5 and 1", got["median_rank"])
	}
	delete(got, "median_rank")
	want := "map[i2t:map[optimistic:map[r1:100 r10:100 r5:100] pessimistic:map[r1:50 r10:100 r5:100] stable:map[r1:50 r10:100 r5:100]] " +
		"t2i:map[optimistic:map[r1:100 r10:100 r5:100] pessimistic:map[r1:100 r10:100 r5:100] stable:map[r1:100 r10:100 r5:100]]]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

// TestScoreStatistics: intervals, a comparison and slices are there where they are asked for, and the same each time.
func TestScoreStatistics(t *testing.T) {
	refs := writeTestFile(t, "refs.json", `{"images": [{"id": 1, "domain": "near"}, {"id": 2, "domain": "out"}, {"id": 3, "domain": "near"}],
		"annotations": [{"image_id": 1, "caption": "a red circle"}, {"image_id": 2, "caption": "two blue squares"}, {"image_id": 3, "caption": "a green star"}]}`)
	hyps := writeTestFile(t, "hyps.jsonl", `{"image_id": 3, "caption": "a green star"}
{"image_id": 1, "caption": "a red circle"}
{"image_id": 2, "caption": "one square"}`)
	worse := writeTestFile(t, "worse.json", `[{"image_id": 3, "caption": "a dog"}, {"image_id": 1, "caption": "a cat"}, {"image_id": 2, "caption": "one square"}]`)
	args := []string{"caption", "--refs", refs, "--hyps", hyps, "--against", worse, "--slice", "domain", "--json"}
	first, err := runScore(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := runScore(t, args...); err != nil || again != first {
		t.Errorf("the second run differs: %v", err)
	}
	var got struct {
		Intervals map[string]struct{ Mean, Low, High float64 }
		Against   struct {
			Metrics map[string]struct{ Difference, P float64 }
		}
		Slices map[string]map[string]float64
	}
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Against.Metrics["CIDEr"].Difference; d <= 2 {
		t.Errorf("against captions without a hit CIDEr differs by %v of %v", d, got.Intervals["CIDEr"].Mean)
	}
	if got.Slices["near"]["images"] != 2 || got.Slices["near"]["CIDEr"] < 2.4 || got.Slices["out"]["images"] != 1 {
		t.Errorf("slices %v", got.Slices)
	}
	for _, c := range []struct{ args, want string }{
		{"--slice nothing", "neither images nor annotations have the field"},
		{"--bootstrap -1", "--bootstrap -1"},
		{"--against " + writeTestFile(t, "few.json", `[{"image_id": 3, "caption": "a dog"}]`), "has no caption, but"},
	} {
		if _, err := runScore(t, append([]string{"caption", "--refs", refs, "--hyps", hyps}, strings.Fields(c.args)...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
	}
}

const testVQA = `{"annotations": [
	{"question_id": 1, "image_id": 5, "question_type": "is the", "answer_type": "yes/no", "answers": [{"answer": "yes", "answer_id": 1}, {"answer": "yes", "answer_id": 2}, {"answer": "Yes.", "answer_id": 3}, {"answer": "yes", "answer_id": 4}, {"answer": "no", "answer_id": 5}]},
	{"question_id": 2, "image_id": 5, "question_type": "what", "answer_type": "other", "answers": [{"answer": "a dog", "answer_id": 1}, {"answer": "cat", "answer_id": 2}]}]}`

const testAOKVQA = `[
	{"question_id": "q1", "image_id": 5, "choices": ["The cab", "bus"], "correct_choice_idx": 0, "direct_answers": ["cab", "taxi", "cab"], "difficult_direct_answer": false},
	{"question_id": 2, "image_id": 5, "choices": ["tram", "bus"], "correct_choice_idx": 1, "direct_answers": ["bus", "tram"], "difficult_direct_answer": false},
	{"question_id": "q3", "image_id": 6, "choices": ["x", "y"], "correct_choice_idx": 0, "direct_answers": ["x", "x", "x"], "difficult_direct_answer": true}]`

func TestScoreVQA(t *testing.T) {
	annotations := writeTestFile(t, "a.json.gz", testVQA)
	out, err := runScore(t, "vqa", "--annotations", annotations, "--json", "--slice", "image_id", "--bootstrap", "50",
		"--questions", writeTestFile(t, "q.json", `{"questions": [{"question_id": 2}, {"question_id": 1}]}`),
		"--results", writeTestFile(t, "r.json", `[{"question_id": 1, "answer": "Yes"}, {"question_id": 2, "answer": "dog"}]`))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Accuracy struct {
			Overall                        float64
			PerQuestionType, PerAnswerType map[string]float64
		}
		PerQuestion []struct {
			QuestionID int `json:"question_id"`
			Accuracy   float64
		} `json:"per_question"`
		Slices map[string]struct{ Accuracy float64 }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	// 4 of 5 say yes: leaving one of them out 3 agree (1), leaving "no" out 4 (1). One of two says dog: 0 and 1/3.
	if got.PerQuestion[0].Accuracy != 1 || got.Accuracy.PerAnswerType["yes/no"] != 100 || got.Accuracy.PerQuestionType["what"] != 16.67 ||
		got.Accuracy.Overall != 58.33 || got.Slices["5"].Accuracy < 58.33 {
		t.Errorf("got %s", out)
	}
	for _, c := range []struct{ name, variant, annotations, results, want string }{
		{"missing", "vqav2", testVQA, `[{"question_id": 1, "answer": "yes"}]`, "question 2 has no answer"},
		{"unknown", "vqav2", testVQA, `[{"question_id": 1, "answer": "yes"}, {"question_id": 2, "answer": "x"}, {"question_id": 3, "answer": "x"}]`, "question 3 is not in"},
		{"a number as text", "vqav2", testVQA, `[{"question_id": "1", "answer": "yes"}, {"question_id": 2, "answer": "x"}]`, `r.json: question 1 has no answer, but "1" has one: a text, where`},
		{"twice", "vqav2", testVQA, `[{"question_id": 1, "answer": "yes"}, {"question_id": 1, "answer": "no"}]`, "question_id 1 has an answer already"},
		{"type", "vqav2", testVQA, `[{"question_id": 1, "answer": 7}]`, `r.json: [0]: "answer" must not be a JSON number`},
		{"no answers", "vqav2", `{"annotations": [{"question_id": 1, "answers": []}]}`, `[]`, "question 1 has no answers"},
		{"same question", "vqav2", `{"annotations": [{"question_id": 1, "answers": [{"answer": "a"}]}, {"question_id": 1, "answers": [{"answer": "a"}]}]}`, `[]`, "question 1 is there already"},
		{"nothing", "vqav2", `{}`, `[]`, "no questions"},
		{"variant", "vqa3", `{}`, `[]`, "--variant vqa3"},
		{"no choice", "aokvqa-mc", testAOKVQA, `{"q1": "cab", "2": "bus", "q3": "x"}`, `r.json: question "q1": the answer "cab" is none of its choices`},
		{"no right choice", "aokvqa-mc", `[{"question_id": "q", "choices": ["a"], "correct_choice_idx": 1}]`, `[]`, `question "q": correct_choice_idx is none of its 1 choices`},
		{"no direct answers", "aokvqa", `[{"question_id": "q", "choices": ["a"]}]`, `[]`, `a.json: annotations[0]: question "q" has no direct_answers`},
		{"one of two settings", "aokvqa", testAOKVQA, `{"q1": {"multiple_choice": "The cab"}, "2": "bus"}`, `r.json: question q1: direct_answer is missing`},
		{"answer of a wrong type", "aokvqa", testAOKVQA, `{"q1": ["cab"], "2": "bus"}`, `r.json: question q1: the answer is ["cab"], want a text`},
		{"unknown question", "aokvqa", testAOKVQA, `{"q1": "cab", "2": "bus", "q9": "x"}`, `r.json: question "q9" is not in`},
		{"field of a wrong type", "aokvqa", `[{"question_id": "q", "direct_answers": "a"}]`, `{}`, `a.json: annotations[0]: direct_answers: a JSON string is not what belongs there`},
		{"gqa without answer", "gqa", `{"7": {}}`, `[]`, `question "7": answer is missing`},
	} {
		_, err := runScore(t, "vqa", "--variant", c.variant, "--annotations", writeTestFile(t, "a.json", c.annotations), "--results", writeTestFile(t, "r.json", c.results))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ variant, results, want string }{
		{"aokvqa", `{"q1": "cab", "2": "bus", "q3": "who knows"}`, "50.00"}, // 2 of 3, and 1 of 3
		{"aokvqa", `{"q1": {"direct_answer": "cab", "multiple_choice": "?"}, "2": {"direct_answer": "bus"}}`, "50.00"},
		{"aokvqa", `[{"question_id": "q1", "answer": "Cab"}, {"question_id": 2, "answer": "bus"}]`, "16.67"},
		{"aokvqa", `{"question_id": "q1", "answer": "cab"}` + "\n" + `{"question_id": "2", "answer": ""}`, "33.33"},
		{"aokvqa-mc", `{"q1": "The cab", "2": "tram", "q3": "x"}`, "66.67"},
	} {
		out, err := runScore(t, "vqa", "--json", "--variant", c.variant, "--annotations", writeTestFile(t, "a.json", testAOKVQA), "--results", writeTestFile(t, "r.json", c.results))
		if err != nil || !strings.Contains(out, `"overall": `+strings.TrimSuffix(c.want, "0")) && !strings.Contains(out, `"overall": `+strings.TrimSuffix(c.want, ".00")) {
			t.Errorf("%s of %s: %q, %v, want %s", c.variant, c.results, out, err, c.want)
		}
		if left := strings.Contains(out, `"left_out": 1`); left != (c.variant == "aokvqa") {
			t.Errorf("%s: left out: %v", c.variant, left)
		}
	}
	for _, c := range []struct{ variant, annotations, results string }{
		{"gqa", `{"7": {"answer": "left", "types": {"structural": "query", "semantic": "rel"}, "imageId": "3"}}`, `[{"questionId": "7", "prediction": "Left."}]`},
		{"vizwiz", `[{"image": "a.jpg", "answer_type": "other", "answers": [{"answer": "left"}, {"answer": "left"}, {"answer": "left"}, {"answer": "left"}]}]`, `[{"image": "a.jpg", "answer": "left"}]`},
	} {
		out, err := runScore(t, "vqa", "--variant", c.variant, "--annotations", writeTestFile(t, "a.json", c.annotations), "--results", writeTestFile(t, "r.json", c.results))
		if err != nil || !strings.Contains(out, "100.00") {
			t.Errorf("%s: %q, %v, want 100", c.variant, out, err)
		}
	}
}

func TestScoreBadInput(t *testing.T) {
	refs := writeTestFile(t, "refs.json", testAnnotations)
	for _, c := range []struct{ name, hyps, want string }{
		{"not JSON", `{"`, "hyps.json: record 1: unexpected EOF"},
		{"no id", `[{"caption": "a"}]`, "hyps.json: [0]: image_id is missing"},
		{"no caption", `[{"image_id": 7}]`, "hyps.json: [0]: caption is missing"},
		{"twice", `[{"image_id": 7, "caption": "a"}, {"image_id": 7, "caption": "a"}]`, "hyps.json: [1]: image_id 7 has a caption already"},
		{"unknown", `[{"image_id": 8, "caption": "a"}]`, "hyps.json: [0]: image_id 8 has no annotation in "},
		{"empty", `[]`, "hyps.json: no captions"},
		{"wrong type", `[{"image_id": 7, "caption": 3}]`, `hyps.json: [0]: "caption" must not be a JSON number`},
		{"wrong id", `[{"image_id": [7], "caption": "a"}]`, "hyps.json: [0]: id [7] is neither a number nor a string"},
		{"not a number", `[{"image_id": NaN, "caption": "a"}]`, "hyps.json: invalid character 'N'"},
	} {
		_, err := runScore(t, "caption", "--refs", refs, "--hyps", writeTestFile(t, "hyps.json", c.hyps))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ content, want string }{
		{`{"txt2img": [0]}`, "scores_i2t is missing"},
		{`{"txt2img": [0], "scores_i2t": [[NaN]]}`, "invalid character 'N'"},
		{`{"scores_i2t": [[1]]}`, "txt2img is missing"},
		{`{"txt2img": [0], "scores_i2t": [[1, 2]]}`, "scores_i2t: scores of image 0: 2 numbers"},
		{`{"img2txt": [[0], [0]], "txt2img": [0], "scores_i2t": [[1], [2]]}`, "img2txt gives text 0 to image 1"},
		{`{"txt2img": [0], "scores_i2t": [[1]], "scores_t2i": [[1, 2], [3, 4]]}`, "scores_t2i: scores have 2 rows"},
	} {
		if _, err := runScore(t, "retrieval", "--scores", writeTestFile(t, "case.json", c.content)); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.content, err, c.want)
		}
	}
}
