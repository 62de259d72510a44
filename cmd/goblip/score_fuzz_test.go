package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzScoreFiles: whatever the files hold, scoring ends with scores or an error.
func FuzzScoreFiles(f *testing.F) {
	f.Add([]byte(testAnnotations), []byte(`[{"image_id": 7, "caption": "a circle"}]`))
	f.Add([]byte(testVQA), []byte(`{"question_id": 1, "answer": "yes"} {"question_id": 2, "answer": "dog"}`))
	f.Add([]byte(`{"img2txt": [[0], [1]], "txt2img": [0, 1], "scores_i2t": [[1, 1], [0, 2]]}`), []byte("\x1f\x8b"))
	f.Add([]byte(testAOKVQA), []byte(`{"q1": {"direct_answer": "cab", "multiple_choice": "bus"}, "2": "bus", "q3": "x"}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, truth, results []byte) {
		a, b := filepath.Join(dir, "truth"), filepath.Join(dir, "results")
		for path, content := range map[string][]byte{a: truth, b: results} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c := captionScoring{refs: a, hyps: b}
		_, _, _ = c.score(t.Context(), io.Discard)
		for _, variant := range []string{"vqav2", "vizwiz", "gqa", "aokvqa", "aokvqa-mc"} {
			v := vqaScoring{annotations: a, results: b, variant: variant}
			_, _, _ = v.score(t.Context())
		}
		r := retrievalScoring{path: a}
		_, _, _ = r.score()
	})
}
