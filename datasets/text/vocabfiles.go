package text

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"goblip/internal/bounded"
)

// readVocabTxt reads BERT's plain vocabulary: one token a line, its line number the id.
// Everything else is as in bert-base-uncased, unless the files beside it say differently.
func readVocabTxt(dir string, config *folderConfig) (Tokenizer, error) {
	path := filepath.Join(dir, vocabTxtFile)
	data, err := bounded.ReadFile(path, maxFileBytes)
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
	if config.doLowerCase != nil {
		normalizer.Lowercase = *config.doLowerCase
	}
	if config.chineseChars != nil {
		normalizer.HandleChineseChars = *config.chineseChars
	}
	normalizer.StripAccents = config.stripAccents
	v := newVocabulary(lines)
	names := map[string]string{
		"unk_token": config.name("unk_token", UnkToken), "sep_token": config.name("sep_token", SepToken),
		"pad_token": config.name("pad_token", PadToken), "cls_token": config.name("cls_token", ClsToken),
		"mask_token": config.name("mask_token", MaskToken),
	}
	for _, key := range []string{"unk_token", "cls_token", "sep_token"} {
		if _, ok := v.ids[names[key]]; !ok {
			return nil, fmt.Errorf("%s: token %q is missing", path, names[key])
		}
	}
	t, err := newWordPiece(v, normalizer, v.ids[names["unk_token"]])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range []string{names["pad_token"], names["unk_token"], names["cls_token"], names["sep_token"], names["mask_token"], DecToken, EncToken} {
		if _, ok := t.ids[name]; ok {
			t.AddSpecial(name)
		}
	}
	t.settings.Named = names
	if err := config.apply(&t.vocabulary, t.normalizer.normalize); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, t.setAround([]string{names["cls_token"]}, []string{names["sep_token"]})
}

// readVocabJSON reads vocab.json and merges.txt of GPT-2, OPT and CLIP. With OPT's special tokens
// among them, </s> goes in front of every text, unless add_bos_token says no.
func readVocabJSON(dir string, config *folderConfig) (Tokenizer, error) {
	path := filepath.Join(dir, vocabJSONFile)
	data, err := bounded.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	v, err := parseVocab(data, path+": ")
	if err != nil {
		return nil, err
	}
	merges, err := readMerges(filepath.Join(dir, mergesFile))
	if err != nil {
		return nil, err
	}
	_, clip := v.ids[CLIPBosToken]
	clip = clip && config.class == "" || config.class == clipClass
	t, err := vocabBPE(v, merges, clip, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, nil
}

// clipClass is what tokenizer_config.json calls CLIP's tokenizer.
const clipClass = "CLIPTokenizer"

func vocabBPE(v vocabulary, merges []merge, clip bool, config *folderConfig) (*BPE, error) {
	bos, eos := config.name("bos_token", OPTEosToken), config.name("eos_token", OPTEosToken)
	suffix, unk := "", int32(-1)
	if clip {
		bos, eos = config.name("bos_token", CLIPBosToken), config.name("eos_token", CLIPEosToken)
		name := config.name("unk_token", CLIPEosToken)
		suffix, unk = wordSuffix, v.idOr(name, -1)
		for _, name := range []string{bos, eos, name} {
			if _, ok := v.ids[name]; !ok {
				return nil, fmt.Errorf("token %q is missing", name)
			}
		}
	}
	t, err := newBPE(v, merges, unk, suffix)
	if err != nil {
		return nil, err
	}
	special := []string{OPTBosToken, OPTPadToken, OPTEosToken, OPTUnkToken, "<image>", CLIPEosToken}
	if clip {
		t.normalizer = sequenceNormalizer{formNormalizer("NFC"), newSpaces(), lowercaseNormalizer{}}
		t.byteLevel.pattern = clipPattern
		t.settings.Named = map[string]string{"bos_token": bos, "eos_token": eos, "unk_token": t.Token(unk), "pad_token": config.name("pad_token", CLIPEosToken)}
		special = []string{bos, eos, t.Token(unk)}
	}
	for _, name := range special {
		if _, ok := t.ids[name]; ok {
			t.AddSpecial(name)
		}
	}
	if err := config.apply(&t.vocabulary, t.normalize); err != nil {
		return nil, err
	}
	t.settings.CleanUp = t.settings.CleanUp && config.cleanUpBPE
	if clip {
		return t, t.setAround([]string{bos}, []string{eos})
	}
	if config.addPrefixSpace != nil {
		t.byteLevel.addPrefixSpace = *config.addPrefixSpace
	}
	first := bos == OPTEosToken && t.idOr(bos, -1) >= 0
	if config.addBosToken != nil {
		first = *config.addBosToken
	}
	if first {
		return t, t.setAround([]string{bos}, nil)
	}
	return t, nil
}

// readMerges reads a merges.txt: one pair a line, with a version at the top.
func readMerges(path string) ([]merge, error) {
	data, err := bounded.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	var merges []merge
	for i, line := range slices.Collect(strings.SplitSeq(string(data), "\n")) {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		if len(merges) >= maxTokens {
			return nil, fmt.Errorf("%s: more than %d merges", path, maxTokens)
		}
		m, err := parseMerge(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		merges = append(merges, m)
	}
	return merges, nil
}
