package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// officialFiles evaluates a stage-2 model on files as COCO, VQA, Karpathy and NoCaps lay them out. What "score" says of the
// results must be what "eval" said.
func officialFiles(t *testing.T, stage2, scenes string) {
	dir := t.TempDir()
	var images, captions, sentences, questions, annotations []any
	for i := range 3 {
		picture, err := os.ReadFile(filepath.Join(scenes, "images", "test", fmt.Sprintf("%06d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		id := 100 + i
		name := fmt.Sprintf("%012d.jpg", id)
		write(t, filepath.Join(dir, name), string(picture))
		domain := []string{"in-domain", "out-domain"}[i%2]
		images = append(images, map[string]any{"id": id, "file_name": name, "domain": domain})
		text := []string{"a red circle", "two blue squares", "a star"}[i]
		captions = append(captions, map[string]any{"id": i, "image_id": id, "caption": text}, map[string]any{"id": 10 + i, "image_id": id, "caption": "a picture of " + text})
		sentences = append(sentences, map[string]any{"filename": name, "cocoid": id, "imgid": i, "split": []string{"test", "train", "test"}[i], "sentences": []any{map[string]any{"raw": text}}})
		for q := range 2 {
			question := 1000*id + q
			questions = append(questions, map[string]any{"question_id": question, "image_id": id, "question": "is it red"})
			var answers []any
			for a := range 10 {
				answers = append(answers, map[string]any{"answer_id": a + 1, "answer": []string{"yes", "no", "red"}[(a*a+q+i)%3]})
			}
			annotations = append(annotations, map[string]any{"question_id": question, "image_id": id, "question_type": "is it", "answer_type": []string{"yes/no", "other"}[q], "multiple_choice_answer": "yes", "answers": answers})
		}
	}
	file := func(name string, value any) string {
		content, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		write(t, path, string(content))
		return path
	}
	coco := file("captions_val2014.json", map[string]any{"images": images, "annotations": captions})
	karpathy := file("dataset_coco.json", map[string]any{"images": sentences, "dataset": "coco"})
	asked := file("v2_OpenEnded_mscoco_val2014_questions.json", map[string]any{"questions": questions})
	answers := file("v2_mscoco_val2014_annotations.json", map[string]any{"annotations": annotations})
	results := filepath.Join(dir, "results.json")
	records := func() (list []map[string]any) {
		decode(t, readFile(t, results), &list)
		return list
	}

	var said captionResult
	decode(t, succeed(t, flags("eval caption --json --max-new-tokens 6 --checkpoint", stage2, "--data", coco, "--domains", coco, "--predictions", results)...).stdout, &said)
	if written := records(); len(written) != 3 || len(written[0]) != 2 || written[0]["image_id"] != 100.0 {
		t.Errorf("results %v, want image_id and caption of three", written)
	}
	var scored captionReport
	decode(t, succeed(t, flags("score caption --json --slice domain --refs", coco, "--hyps", results)...).stdout, &scored)
	in := scored.Slices["in-domain"]
	if math.Abs(scored.Overall.CIDEr-said.CIDEr.Mean) > 1e-12 || scored.Overall.BLEU4 != said.BLEU4.Mean || in.Images != 2 || said.Domains["in-domain"] != in {
		t.Errorf("score caption: %+v, eval: %+v", scored, said)
	}
	decode(t, succeed(t, flags("eval caption --json --max-new-tokens 6 --checkpoint", stage2, "--data", karpathy+"#split=test", "--predictions", results)...).stdout, &said)
	if written := records(); len(written) != 2 || written[1]["image_id"] != 102.0 {
		t.Errorf("Karpathy's test split: %v", written)
	}

	var given vqaResult
	decode(t, succeed(t, flags("eval vqa --json --checkpoint", stage2, "--data", asked, "--predictions", results)...).stdout, &given)
	if written := records(); len(written) != 6 || len(written[0]) != 2 || written[1]["question_id"] != 100001.0 {
		t.Errorf("results %v, want question_id and answer of six", written)
	}
	var accuracy vqaReport
	decode(t, succeed(t, flags("score vqa --json --questions", asked, "--annotations", answers, "--results", results)...).stdout, &accuracy)
	if given.Rule != "vqav2" || given.Questions != 6 || math.Abs(accuracy.Accuracy.Overall-given.Accuracy.Mean) > 0.005+1e-9 {
		t.Errorf("score vqa: %+v, eval: %+v", accuracy.Accuracy, given)
	}

	knowledge(t, stage2, dir, file, results)

	// Columns of other names, and names of files that would promise too much.
	write(t, filepath.Join(dir, "own.csv"), "file,asked,said,number\n000000000100.jpg,is it red,yes,q7\n")
	own := filepath.Join(dir, "own.csv")
	lined := filepath.Join(dir, "lines.jsonl")
	succeed(t, append(flags("eval vqa --json --checkpoint", stage2, "--data", own, "--predictions", lined), "--map", "image=file", "--map", "question=asked", "--map", "answers=said", "--map", "question_id=number")...)
	if text := readFile(t, lined); !strings.HasPrefix(text, `{"question_id":"q7",`) {
		t.Errorf("predictions %s", text)
	}
	failOnce(t, exitUsage, []string{"--predictions", ".jsonl"}, flags("eval classify --checkpoint", stage2, "--data", dir, "--predictions", results)...)
	failOnce(t, exitUsage, []string{"--map", "field=column"}, flags("eval caption --map x --checkpoint", stage2, "--data", own)...)
}

// knowledge asks the questions of A-OKVQA with and without their choices, and those of a GQA whose answers nobody knows.
func knowledge(t *testing.T, stage2, dir string, file func(name string, value any) string, results string) {
	var questions []any
	tests := map[string]any{}
	for i := range 4 {
		questions = append(questions, map[string]any{"split": "val", "image_id": 100 + i%3, "question_id": fmt.Sprint("q", i), "question": "what is it", "choices": []string{"a red circle", "star", "Two!", "a"}[:2+i%3],
			"correct_choice_idx": i % 2, "direct_answers": []string{"star", "star", "circle", fmt.Sprint(i)}, "difficult_direct_answer": i == 3})
		tests[fmt.Sprint(2000+i)] = map[string]any{"imageId": fmt.Sprintf("%012d", 100+i%3), "question": "is it red"}
	}
	aokvqa, gqa := file("aokvqa_v1p0_val.json", questions), file("testdev_all_questions.json", tests)
	ask := flags("eval vqa --json --checkpoint", stage2, "--predictions", results, "--data")
	var given vqaResult
	var scored vqaReport
	decode(t, succeed(t, append(ask, aokvqa, "--multiple-choice", "--layout", "aokvqa")...).stdout, &given)
	decode(t, succeed(t, flags("score vqa --json --variant aokvqa-mc --annotations", aokvqa, "--results", results)...).stdout, &scored)
	if given.Rule != "choice" || given.Questions != 4 || math.Abs(scored.Accuracy.Overall-given.Accuracy.Mean) > 0.005+1e-9 {
		t.Errorf("multiple choice: score vqa: %+v, eval: %+v", scored.Accuracy, given)
	}
	decode(t, succeed(t, append(ask, aokvqa, "--layout", "aokvqa")...).stdout, &given)
	decode(t, succeed(t, flags("score vqa --json --variant aokvqa --annotations", aokvqa, "--results", results)...).stdout, &scored)
	if given.Rule != "direct" || given.Unscored != 1 || scored.LeftOut != 1 || math.Abs(scored.Accuracy.Overall-given.Accuracy.Mean) > 0.005+1e-9 {
		t.Errorf("direct answers: score vqa: %+v, eval: %+v", scored, given)
	}
	given = vqaResult{}
	decode(t, succeed(t, append(ask, gqa, "--layout", "gqa")...).stdout, &given)
	var list []map[string]any
	decode(t, readFile(t, results), &list)
	if given.Accuracy != nil || given.Rule != "" || len(list) != 4 || len(list[0]) != 2 || list[0]["questionId"] != "2000" || list[3]["prediction"] == nil {
		t.Errorf("a test set: %+v, %v", given, list)
	}
	twice := filepath.Join(dir, "twice.jsonl")
	write(t, twice, `{"image": "000000000100.jpg", "question": "q", "question_id": 7, "answers": ["a"]}`+"\n"+`{"image": "000000000101.jpg", "question": "r", "question_id": 7, "answers": ["a"]}`+"\n")
	for _, bad := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitFailed, "no question has an answer", flags("eval vqa --checkpoint", stage2, "--data", gqa)},
		{exitFailed, "has no choices", append(ask, gqa, "--multiple-choice")},
		{exitUsage, "--layout coco", append(ask, aokvqa, "--layout", "coco")},
		{exitUsage, "no --answers and --rule beside it", append(ask, aokvqa, "--multiple-choice", "--rule", "exact")},
		{exitFailed, "twice.jsonl:2: question_id 7 is that of a question of " + twice + ":1 too", append(ask, twice)},
	} {
		failOnce(t, bad.status, []string{bad.want}, bad.args...)
	}
}
