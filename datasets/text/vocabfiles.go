package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// readVocabTxt reads BERT's plain vocabulary: one token a line, its line number the id.
// Everything else is as in bert-base-uncased, unless tokenizer_config.json says do_lower_case
// or strip_accents differently.
func readVocabTxt(dir string) (Tokenizer, error) {
	path := filepath.Join(dir, vocabTxtFile)
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) > maxTokens {
		return nil, fmt.Errorf("%s: more than %d lines", path, maxTokens)
	}
	seen := make(map[string]int, len(lines))
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return nil, fmt.Errorf("%s:%d: empty line", path, i+1)
		}
		if first, ok := seen[line]; ok {
			return nil, fmt.Errorf("%s:%d: token %q is already on line %d", path, i+1, line, first)
		}
		seen[line] = i + 1
		lines[i] = line
	}
	normalizer := uncased()
	config := struct {
		DoLowerCase  *bool `json:"do_lower_case"`
		StripAccents *bool `json:"strip_accents"`
	}{}
	if err := readOptionalJSON(filepath.Join(dir, configFile), &config); err != nil {
		return nil, err
	}
	if config.DoLowerCase != nil {
		normalizer.Lowercase = *config.DoLowerCase
	}
	normalizer.StripAccents = config.StripAccents
	v := newVocabulary(lines)
	for _, name := range []string{UnkToken, ClsToken, SepToken} {
		if _, ok := v.ids[name]; !ok {
			return nil, fmt.Errorf("%s: token %q is missing", path, name)
		}
	}
	t := newWordPiece(v, normalizer, v.ids[UnkToken])
	for _, name := range []string{PadToken, UnkToken, ClsToken, SepToken, MaskToken, DecToken, "[ENC]"} {
		if _, ok := t.ids[name]; ok {
			t.AddSpecial(name)
		}
	}
	return t, t.setAround([]string{ClsToken}, []string{SepToken})
}

// readVocabJSON reads vocab.json and merges.txt of GPT-2 and OPT. With OPT's special tokens
// among them, </s> goes in front of every text.
func readVocabJSON(dir string) (Tokenizer, error) {
	path := filepath.Join(dir, vocabJSONFile)
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	v, err := parseVocab(data, path+": ")
	if err != nil {
		return nil, err
	}
	mergesPath := filepath.Join(dir, mergesFile)
	if data, err = readFile(mergesPath); err != nil {
		return nil, err
	}
	var merges []merge
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || i == 0 && strings.HasPrefix(line, "#version") {
			continue
		}
		m, ok := parseMerge(line)
		if !ok {
			return nil, fmt.Errorf("%s:%d: %q is not two tokens with a space between", mergesPath, i+1, line)
		}
		merges = append(merges, m)
	}
	t, err := newBPE(v, merges, -1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mergesPath, err)
	}
	for _, name := range []string{OPTBosToken, OPTPadToken, OPTEosToken, OPTUnkToken, "<image>", "<|endoftext|>"} {
		if _, ok := t.ids[name]; ok {
			t.AddSpecial(name)
		}
	}
	if _, ok := t.ids[OPTEosToken]; ok {
		return t, t.setAround([]string{OPTEosToken}, nil)
	}
	return t, nil
}

// readOptionalJSON reads a JSON file into a struct; a missing file leaves it as it is.
func readOptionalJSON(path string, into any) error {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
