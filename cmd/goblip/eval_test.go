package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goblip/eval"
	"goblip/infer"
)

// lines decodes a file of one JSON object a line.
func lines[T any](t *testing.T, path string) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	for line := range bytes.Lines(data) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, v)
	}
	return out
}

func decode(t *testing.T, from string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(from), into); err != nil {
		t.Fatalf("%v in %s", err, from)
	}
}

// TestEval measures models that hardly learnt anything: figures must be those of the predictions.
func TestEval(t *testing.T) {
	scenes := corpus(t, 12)
	data, test := filepath.Join(scenes, "train.jsonl"), filepath.Join(scenes, "test.jsonl")
	vision, llm := towers(t, data)
	stage1 := stage1Of(t, data, vision)
	stage2 := filepath.Join(t.TempDir(), "stage2")
	succeed(t, flags("train blip2/stage2 --json --steps 2 --batch 4 --data", data, "--init", stage1, "--llm", llm, "--out", stage2)...)
	stage2 = filepath.Join(stage2, "final")
	predictions := filepath.Join(t.TempDir(), "predictions.jsonl")

	t.Run("retrieval", func(t *testing.T) {
		args := flags("eval retrieval --checkpoint", stage1, "--data", test, "--predictions", predictions, "--top 3")
		var got struct {
			Images, Texts    int
			ITC, ITM, Chance *recallJSON
		}
		decode(t, succeed(t, append(args, "--json")...).stdout, &got)
		searches := lines[search](t, predictions)
		if got.Images != 8 || got.Texts != 40 || len(searches) != 48 || got.ITC == nil || got.ITM == nil || got.Chance == nil {
			t.Fatalf("%+v, %d searches", got, len(searches))
		}
		first := map[string]float64{}
		for _, s := range searches {
			if s.Rank == 1 {
				first[s.Query]++
			}
			if len(s.Found) != 3 {
				t.Errorf("%d hits listed, want the 3 that ITM judged", len(s.Found))
			}
			for rank, h := range s.Found {
				if h.Right != (rank == s.Rank-1) && s.Query == "text" {
					t.Errorf("hit %d is right: %t, but the right one has rank %d", rank+1, h.Right, s.Rank)
				}
			}
		}
		if i2t, t2i := first["image"]/8*100, first["text"]/40*100; got.ITM.ImageToText.R1.Mean != i2t || got.ITM.TextToImage.R1.Mean != t2i {
			t.Errorf("R@1 %v and %v, the predictions have %g and %g", got.ITM.ImageToText.R1, got.ITM.TextToImage.R1, i2t, t2i)
		}
		table := succeed(t, args...).stdout
		for _, want := range []string{"8 pictures, 40 captions", "text to picture", "ITC ", "ITM on the best 3", "chance              12.5"} {
			if !strings.Contains(table, want) {
				t.Errorf("no %q in\n%s", want, table)
			}
		}
		// Captions that cleaning brings to the same form are searched alike.
		noisy, plain := filepath.Join(t.TempDir(), "noisy.jsonl"), filepath.Join(t.TempDir(), "plain.jsonl")
		picture := filepath.Join(scenes, "images", "test", "000000.png")
		write(t, noisy, fmt.Sprintf(`{"image": %q, "captions": ["A red (circle)!", "TWO: blue;stars."]}`, picture))
		write(t, plain, fmt.Sprintf(`{"image": %q, "captions": ["a red circle", "two blue stars"]}`, picture))
		cleaned := []string{filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")}
		succeed(t, flags("eval retrieval --clean --top 0 --json --checkpoint", stage1, "--data", noisy, "--scores", cleaned[0])...)
		succeed(t, flags("eval retrieval --top 0 --json --checkpoint", stage1, "--data", plain, "--scores", cleaned[1])...)
		if readFile(t, cleaned[0]) != readFile(t, cleaned[1]) {
			t.Error("cleaned captions have other scores than clean ones")
		}
		var alone struct{ ITC, ITM *recallJSON }
		decode(t, succeed(t, flags("eval retrieval --top 0 --json --checkpoint", stage1, "--data", test)...).stdout, &alone)
		if alone.ITM != nil || *alone.ITC != *got.ITC {
			t.Errorf("without ITM: %+v", alone)
		}
	})
	t.Run("caption", func(t *testing.T) {
		args := flags("eval caption --checkpoint", stage2, "--data", test, "--predictions", predictions, "--max-new-tokens 8")
		var got captionResult
		decode(t, succeed(t, append(args, "--json", "--train-data", data)...).stdout, &got)
		captions := lines[said](t, predictions)
		var texts []string
		var refs [][]string
		questions, right := 0.0, 0.0
		for _, c := range captions {
			texts, refs = append(texts, c.Caption), append(refs, c.References)
			for _, q := range c.Questions {
				questions++
				if q.Right {
					right++
				}
			}
			if len(c.Attributes) != 7 {
				t.Errorf("attributes %v", c.Attributes)
			}
		}
		scores, _, err := eval.Captions(texts, refs)
		if err != nil {
			t.Fatal(err)
		}
		if got.Images != 8 || math.Abs(got.CIDEr.Mean-scores.CIDEr) > 1e-12 || got.BLEU4.Mean != scores.BLEU4 {
			t.Errorf("got %+v, the predictions give %+v", got, scores)
		}
		q := got.Questions
		if q == nil || q.Count != int(questions) || math.Abs(q.Accuracy.Mean-100*right/questions) > 1e-9 || q.Blind == nil || len(q.Kinds) != 3 || got.Attributes == nil {
			t.Errorf("got %+v and %+v, the predictions have %g right answers of %g", got, q, right, questions)
		}
		table := succeed(t, args...).stdout
		for _, want := range []string{"BLEU-4", "CIDEr", "main colour", "answers, percent"} {
			if !strings.Contains(table, want) {
				t.Errorf("no %q in\n%s", want, table)
			}
		}
		if strings.Contains(table, "blind") {
			t.Errorf("a blind baseline without training data:\n%s", table)
		}
		// A picture with a caption and nothing else.
		plain := filepath.Join(t.TempDir(), "one.jsonl")
		write(t, plain, `{"image": "`+filepath.Join(scenes, "images", "test", "000000.png")+`", "caption": "a circle"}`+"\n")
		var few captionResult
		decode(t, succeed(t, flags("eval caption --json --checkpoint", stage2, "--data", plain)...).stdout, &few)
		if few.Images != 1 || few.Attributes != nil || few.Questions != nil {
			t.Errorf("plain captions: %+v", few)
		}
	})
	t.Run("questions", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "vqa")
		succeed(t, flags("train blip2/vqa --json --steps 2 --batch 4 --data", data, "--init", stage1, "--llm", llm, "--out", out)...)
		var got captionResult
		decode(t, succeed(t, flags("eval caption --json --max-new-tokens 8 --data", test, "--checkpoint", filepath.Join(out, "final"))...).stdout, &got)
		if got.Questions == nil || len(got.Questions.Kinds) != 3 {
			t.Errorf("no answers: %+v", got)
		}
		var asked struct{ Prompt string }
		decode(t, succeed(t, "ask", "--json", "--checkpoint", filepath.Join(out, "final"), "--question", "is it red", filepath.Join(scenes, "images", "test", "000000.png")).stdout, &asked)
		if asked.Prompt != infer.QuestionPrompt("is it red") {
			t.Errorf("asked with %q, trained with %q", asked.Prompt, infer.QuestionPrompt("is it red"))
		}
		bare := filepath.Join(t.TempDir(), "bare.jsonl")
		write(t, bare, `{"image": "`+filepath.Join(scenes, "images", "test", "000000.png")+`", "caption": "a circle"}`+"\n")
		failOnce(t, exitFailed, []string{"bare.jsonl:1", "no question with an answer"},
			flags("train blip2/vqa --json --data", bare, "--init", stage1, "--llm", llm, "--out", t.TempDir()+"/x")...)
		failOnce(t, exitFailed, []string{"Blip2ForImageTextRetrieval"}, flags("train blip2/vqa --json --data", data, "--init", stage2, "--llm", llm, "--out", t.TempDir()+"/x")...)
		failOnce(t, exitFailed, []string{"1 tensors missing", "qformer.embeddings.word_embeddings.weight"},
			flags("train blip2/vqa --json --data", data, "--init", without(t, stage1, "embeddings.word_embeddings.weight"), "--llm", llm, "--out", t.TempDir()+"/x")...)
	})
	t.Run("files that score reads", func(t *testing.T) {
		scores := filepath.Join(t.TempDir(), "scores.json")
		var got struct{ ITC, ITM *recallJSON }
		decode(t, succeed(t, flags("eval retrieval --json --top 3 --checkpoint", stage1, "--data", test, "--scores", scores)...).stdout, &got)
		var again retrievalReport
		decode(t, succeed(t, flags("score retrieval --json --scores", scores)...).stdout, &again)
		if again.I2T.Pessimistic.R1 != got.ITM.ImageToText.R1.Mean || again.T2I.Pessimistic.R5 != got.ITM.TextToImage.R5.Mean {
			t.Errorf("score retrieval says %+v, eval %+v", again, got.ITM)
		}
		var captions captionResult
		decode(t, succeed(t, flags("eval caption --json --max-new-tokens 8 --checkpoint", stage2, "--data", test, "--predictions", predictions)...).stdout, &captions)
		refs := map[string][]map[string]any{}
		for _, c := range lines[said](t, predictions) {
			for _, r := range c.References {
				refs["annotations"] = append(refs["annotations"], map[string]any{"image_id": c.ImageID, "caption": r})
			}
		}
		annotations, err := json.Marshal(refs)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "refs.json")
		write(t, path, string(annotations))
		var scored captionReport
		decode(t, succeed(t, flags("score caption --json --refs", path, "--hyps", predictions)...).stdout, &scored)
		if math.Abs(scored.Overall.CIDEr-captions.CIDEr.Mean) > 1e-12 || scored.Overall.BLEU4 != captions.BLEU4.Mean {
			t.Errorf("score caption says %+v, eval %+v", scored.Overall, captions)
		}
		if h := captions.Hashes; h == nil || len(h.Weights) != 64 || len(h.Data) != 64 || len(h.Settings) != 64 {
			t.Errorf("hashes %+v", h)
		}
	})
	t.Run("vqa", func(t *testing.T) {
		args := flags("eval vqa --json --checkpoint", stage2, "--data", test, "--predictions", predictions)
		type given struct {
			Answer   string
			Accuracy float64
		}
		var free, ranked vqaResult
		decode(t, succeed(t, args...).stdout, &free)
		answers := filepath.Join(t.TempDir(), "answers.txt")
		write(t, answers, "red\nblue\n2\nyes\nred\n")
		decode(t, succeed(t, append(args, "--answers", answers, "--rank-top", "3")...).stdout, &ranked)
		sum, said := 0.0, lines[given](t, predictions)
		for _, g := range said {
			sum += g.Accuracy
			if !strings.Contains("red blue 2 yes", g.Answer) || g.Answer == "" {
				t.Errorf("the answer %q is not in the list", g.Answer)
			}
		}
		if ranked.Questions != len(said) || free.Questions != len(said) || math.Abs(ranked.Accuracy.Mean-100*sum/float64(len(said))) > 1e-9 || ranked.Rule != "exact" || len(ranked.Kinds) != 3 {
			t.Errorf("%+v and %+v for %d answers", free, ranked, len(said))
		}
		if free.Hashes.Weights != ranked.Hashes.Weights || free.Hashes.Data != ranked.Hashes.Data || free.Hashes.Settings == ranked.Hashes.Settings {
			t.Errorf("hashes %+v and %+v", free.Hashes, ranked.Hashes)
		}
	})
	t.Run("official files", func(t *testing.T) { officialFiles(t, stage2, scenes) })
	t.Run("pope", func(t *testing.T) {
		images, dir := filepath.Join(scenes, "images", "test"), t.TempDir()
		for _, kind := range []string{"random", "popular"} {
			write(t, filepath.Join(dir, kind+".json"), `{"question_id": 1, "image": "000000.png", "text": "Is there a star?", "label": "yes"}
{"question_id": 2, "image": "000001.png", "text": "Is there a ring?", "label": "no"}`)
		}
		var got popeResult
		args := flags("eval pope --json --checkpoint", stage2, "--images", images, "--questions", filepath.Join(dir, "random.json"), "--questions", filepath.Join(dir, "popular.json"))
		decode(t, succeed(t, args...).stdout, &got)
		if got.Overall.Questions != 4 || got.Kinds["popular"].Questions != 2 || got.Overall.YesRatio != (got.Kinds["random"].YesRatio+got.Kinds["popular"].YesRatio)/2 {
			t.Errorf("%+v", got)
		}
		failOnce(t, exitFailed, []string{"is not simply yes or no"}, flags("eval pope --checkpoint", stage2, "--data", test)...)
		failOnce(t, exitUsage, []string{"either --data or --questions"}, flags("eval pope --checkpoint", stage2)...)
	})
	t.Run("classify", func(t *testing.T) {
		dir := t.TempDir()
		for i, class := range []string{"red_star", "ring", "ring"} {
			name := fmt.Sprintf("%06d.png", i)
			picture, err := os.ReadFile(filepath.Join(scenes, "images", "test", name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, class), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, class, name), string(picture))
		}
		type named struct {
			Class string
			Found []hit
		}
		var got classifyResult
		decode(t, succeed(t, append(flags("eval classify --json --checkpoint", stage1, "--data", dir, "--predictions", predictions), "--template", "a {}", "--template", "{}")...).stdout, &got)
		right := 0.0
		for _, n := range lines[named](t, predictions) {
			if n.Found[0].Right != (n.Found[0].Text == n.Class) {
				t.Errorf("%+v", n)
			}
			if n.Found[0].Right {
				right++
			}
		}
		if got.Images != 3 || got.Classes != 2 || got.Top5.Mean != 100 || math.Abs(got.Top1.Mean-100*right/3) > 1e-9 || len(got.PerClass) != 2 || got.Chance != 50 {
			t.Errorf("%+v, %g right", got, right)
		}
		failOnce(t, exitUsage, []string{"there is no {}"}, flags("eval classify --template x --checkpoint", stage1, "--data", dir)...)
		failOnce(t, exitFailed, []string{"at least two"}, flags("eval classify --checkpoint", stage1, "--data", filepath.Join(dir, "ring"))...)
	})
	t.Run("all checkpoints", func(t *testing.T) {
		run := filepath.Dir(stage2)
		var got runResult
		decode(t, succeed(t, flags("eval --json --all", run, "--data", test)...).stdout, &got)
		n := len(got.Checkpoints)
		if n == 0 || !got.Checkpoints[n-1].Final || got.Checkpoints[n-1].Step != 2 || got.Protocol != "caption" {
			t.Fatalf("%+v", got)
		}
		var alone captionResult
		decode(t, succeed(t, flags("eval caption --json --checkpoint", stage2, "--data", test)...).stdout, &alone)
		for _, c := range got.Checkpoints {
			if c.Step == 2 && c.Figures["cider"] != alone.CIDEr.Mean {
				t.Errorf("step 2 (final: %t) has CIDEr %v, the final model %v", c.Final, c.Figures["cider"], alone.CIDEr.Mean)
			}
		}
		page, err := os.ReadFile(filepath.Join(run, "eval", "report.html"))
		if err != nil || !strings.Contains(string(page), "questions: how many") || !strings.Contains(string(page), "<h2>Checkpoints</h2>") {
			t.Errorf("report.html: %v", err)
		}
		failOnce(t, exitUsage, []string{"--all needs --data"}, flags("eval --all", run)...)
		failOnce(t, exitUsage, []string{"--protocol song"}, flags("eval --protocol song --data", test, "--all", run)...)
	})
	t.Run("mistakes", func(t *testing.T) {
		bare := filepath.Join(t.TempDir(), "bare.jsonl")
		write(t, bare, `{"image": "x.png"}`+"\n")
		failOnce(t, exitUsage, []string{"--top -1"}, flags("eval retrieval --top -1 --checkpoint", stage1, "--data", test)...)
		failOnce(t, exitUsage, []string{"num_beams is 0"}, flags("eval caption --num-beams 0 --checkpoint", stage2, "--data", test)...)
		failOnce(t, exitUsage, []string{"--predictions", "there is no folder"}, flags("eval retrieval --checkpoint", stage1, "--data", test, "--predictions", filepath.Join(scenes, "nowhere", "p.jsonl"))...)
		failOnce(t, exitFailed, []string{"bare.jsonl:1", "no caption"}, flags("eval retrieval --checkpoint", stage1, "--data", bare)...)
		failOnce(t, exitFailed, []string{"Blip2ForImageTextRetrieval"}, flags("eval retrieval --checkpoint", stage2, "--data", test)...)
		failOnce(t, exitUsage, []string{`required flag(s) "checkpoint"`}, flags("eval caption --data", test)...)
	})
}
