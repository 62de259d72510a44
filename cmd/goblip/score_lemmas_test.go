package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScoreLemmas: answers become what the user's program says, and a program that fails is told.
func TestScoreLemmas(t *testing.T) {
	annotations := writeTestFile(t, "a.json", `{"annotations": [{"question_id": 1, "answers": [{"answer": "dog", "answer_id": 1}, {"answer": "dog", "answer_id": 2}, {"answer": "dog", "answer_id": 3}, {"answer": "dog", "answer_id": 4}]}]}`)
	results := writeTestFile(t, "r.json", `[{"question_id": 1, "answer": "dogs"}]`)
	for _, c := range []struct{ name, script, want, fails string }{
		{"base forms", `[ "$1" = -c ] && [ "$3" = some-model ] && grep -q '"dogs"' && echo '{"model": "m 1", "lemmas": ["dog"]}'`, `"lemmatizer": "m 1"`, ""},
		{"too few", `echo '{"model": "m 1", "lemmas": []}'`, "", "0 answers in base forms, want 1"},
		{"broken", `echo '{'`, "", "is not JSON"},
		{"without spaCy", `echo "No module named 'spacy'" >&2; exit 1`, "", "exit status 1: No module named 'spacy'"},
	} {
		python := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(python, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := runScore(t, "vqa", "--json", "--variant", "okvqa", "--annotations", annotations, "--results", results, "--spacy", python, "--spacy-model", "some-model")
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), "--spacy "+python) || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.name, err, c.fails)
			}
			continue
		}
		if err != nil || !strings.Contains(out, c.want) || !strings.Contains(out, `"overall": 100`) {
			t.Errorf("%s: %s, %v", c.name, out, err)
		}
	}
}
