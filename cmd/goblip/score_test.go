package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
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
	command.SetErr(&out)
	err := command.Execute()
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
	if _, there := got.Overall["METEOR"]; there || len(got.Overall) != 6 {
		t.Errorf("overall %v, want the six computed metrics and no other", got.Overall)
	}
	if out, err := runScore(t, "caption", "--refs", refs, "--hyps", hyps); err != nil || !strings.Contains(out, "CIDEr") {
		t.Errorf("without --json: %q, %v", out, err)
	}
}

func TestScoreRetrieval(t *testing.T) {
	path := writeTestFile(t, "case.json", `{"img2txt": [[0], [1]], "txt2img": [0, 1], "scores_i2t": [[1, 1], [0, 2]]}`)
	out, err := runScore(t, "retrieval", "--scores", path, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]map[string]float64
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	want := "map[i2t:map[optimistic:map[r1:100 r10:100 r5:100] pessimistic:map[r1:50 r10:100 r5:100] stable:map[r1:50 r10:100 r5:100]] " +
		"t2i:map[optimistic:map[r1:100 r10:100 r5:100] pessimistic:map[r1:100 r10:100 r5:100] stable:map[r1:100 r10:100 r5:100]]]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

func TestScoreBadInput(t *testing.T) {
	refs := writeTestFile(t, "refs.json", testAnnotations)
	for _, c := range []struct{ name, hyps, want string }{
		{"not JSON", `{"`, "hyps.json: unexpected end of JSON input"},
		{"no id", `[{"caption": "a"}]`, "hyps.json: [0]: image_id is missing"},
		{"no caption", `[{"image_id": 7}]`, "hyps.json: [0]: caption is missing"},
		{"twice", `[{"image_id": 7, "caption": "a"}, {"image_id": 7, "caption": "a"}]`, "hyps.json: [1]: image_id 7 has a caption already"},
		{"unknown", `[{"image_id": 8, "caption": "a"}]`, "hyps.json: [0]: image_id 8 has no annotation in "},
		{"empty", `[]`, "hyps.json: no captions"},
	} {
		_, err := runScore(t, "caption", "--refs", refs, "--hyps", writeTestFile(t, "hyps.json", c.hyps))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ content, want string }{
		{`{"txt2img": [0]}`, "scores_i2t is missing"},
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
