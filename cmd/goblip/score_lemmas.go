package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"goblip/scripts"
)

// lemmatizer is the user's own spaCy, which OK-VQA's answers are brought to base forms by.
type lemmatizer struct {
	python, model string
}

// lemmas are the answers in base forms, in their order, and what says so.
func (l lemmatizer) lemmas(ctx context.Context, answers []string) (lemmas []string, by string, err error) {
	in, err := json.Marshal(answers)
	if err != nil {
		return nil, "", err
	}
	command := exec.CommandContext(ctx, l.python, "-c", scripts.LemmatizeAnswers, l.model)
	said := &strings.Builder{}
	command.Stdin, command.Stderr = bytes.NewReader(in), said
	out, err := command.Output()
	if err != nil {
		return nil, "", fmt.Errorf("--spacy %s: %w", l.python, lastLine(said, err))
	}
	var result struct {
		Model  string   `json:"model"`
		Lemmas []string `json:"lemmas"`
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return nil, "", fmt.Errorf("--spacy %s: what it says is not JSON: %w", l.python, err)
	}
	if len(result.Lemmas) != len(answers) {
		return nil, "", fmt.Errorf("--spacy %s: %d answers in base forms, want %d", l.python, len(result.Lemmas), len(answers))
	}
	return result.Lemmas, result.Model, nil
}
