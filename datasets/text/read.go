package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files of a tokenizer.
const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	vocabTxtFile  = "vocab.txt"
	vocabJSONFile = "vocab.json"
	mergesFile    = "merges.txt"
)

// Bounds of what is read: several times the largest vocabularies in use.
const (
	maxFileBytes = 128 << 20
	maxTokens    = 4 << 20
)

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB", path, maxFileBytes>>20)
	}
	return data, nil
}

// tokenizerJSON is what is read of a tokenizer.json. Its truncation and padding are the
// caller's business here (EncodeMax, Pad) and are left alone.
type tokenizerJSON struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         struct {
		Type string `json:"type"`
		// Vocab is an object for the kinds known here, an array for others.
		Vocab                   json.RawMessage `json:"vocab"`
		UnkToken                *string         `json:"unk_token"`
		ContinuingSubwordPrefix *string         `json:"continuing_subword_prefix"`
		MaxInputCharsPerWord    *int            `json:"max_input_chars_per_word"`
		Merges                  []merge         `json:"merges"`
		Dropout                 *float64        `json:"dropout"`
		EndOfWordSuffix         *string         `json:"end_of_word_suffix"`
		ByteFallback            bool            `json:"byte_fallback"`
		IgnoreMerges            bool            `json:"ignore_merges"`
	} `json:"model"`
}

// UnmarshalJSON accepts both spellings of a merge: "a b" and ["a", "b"].
func (m *merge) UnmarshalJSON(data []byte) error {
	var line string
	if json.Unmarshal(data, &line) == nil {
		var ok bool
		if *m, ok = parseMerge(line); !ok {
			return fmt.Errorf("merge %q is not two tokens", line)
		}
		return nil
	}
	var pair []string
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("merge %q is not two tokens", pair)
	}
	*m = merge{pair[0], pair[1]}
	return nil
}

func parseMerge(line string) (merge, bool) {
	left, right, ok := strings.Cut(line, " ")
	return merge{left, right}, ok && left != "" && right != "" && !strings.Contains(right, " ")
}

func readTokenizerJSON(dir string) (Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parseTokenizerJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func parseTokenizerJSON(data []byte) (Tokenizer, error) {
	var file tokenizerJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	switch file.Model.Type {
	case "WordPiece":
		return file.wordPiece()
	case "BPE":
		return file.bpe()
	case "":
		return nil, errors.New("model.type is missing")
	}
	return nil, fmt.Errorf("model.type %q is not supported (WordPiece and BPE are)", file.Model.Type)
}

func (file *tokenizerJSON) wordPiece() (Tokenizer, error) {
	m := &file.Model
	if p := m.ContinuingSubwordPrefix; p != nil && *p != continuation {
		return nil, fmt.Errorf("model.continuing_subword_prefix %q is not supported (%q is)", *p, continuation)
	}
	if kind := kindOf(file.PreTokenizer); kind != "BertPreTokenizer" {
		return nil, fmt.Errorf("pre_tokenizer %q is not supported for WordPiece (BertPreTokenizer is)", kind)
	}
	var normalizer bertNormalizer
	switch kind := kindOf(file.Normalizer); kind {
	case "BertNormalizer":
		if err := json.Unmarshal(file.Normalizer, &normalizer); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
	case "":
		strip := false
		normalizer.StripAccents = &strip
	default:
		return nil, fmt.Errorf("normalizer %q is not supported for WordPiece (BertNormalizer is)", kind)
	}
	v, err := file.vocabulary()
	if err != nil {
		return nil, err
	}
	name := UnkToken
	if m.UnkToken != nil {
		name = *m.UnkToken
	}
	unk, ok := v.ids[name]
	if !ok {
		return nil, fmt.Errorf("model.unk_token %q is not in the vocabulary", name)
	}
	t := newWordPiece(v, normalizer, unk)
	if m.MaxInputCharsPerWord != nil {
		t.maxRunes = max(*m.MaxInputCharsPerWord, 0)
	}
	var decoder struct {
		Cleanup *bool `json:"cleanup"`
	}
	if kindOf(file.Decoder) == "WordPiece" && json.Unmarshal(file.Decoder, &decoder) == nil && decoder.Cleanup != nil {
		t.cleanup = *decoder.Cleanup
	}
	return t, file.finish(&t.vocabulary, normalizer.normalize)
}

func (file *tokenizerJSON) bpe() (Tokenizer, error) {
	m := &file.Model
	switch {
	case m.ContinuingSubwordPrefix != nil && *m.ContinuingSubwordPrefix != "":
		return nil, fmt.Errorf("model.continuing_subword_prefix %q is not supported for BPE", *m.ContinuingSubwordPrefix)
	case m.EndOfWordSuffix != nil && *m.EndOfWordSuffix != "":
		return nil, fmt.Errorf("model.end_of_word_suffix %q is not supported for BPE", *m.EndOfWordSuffix)
	case m.ByteFallback, m.IgnoreMerges:
		return nil, errors.New("model.byte_fallback and model.ignore_merges are not supported")
	case m.Dropout != nil && *m.Dropout != 0:
		return nil, fmt.Errorf("model.dropout %g is not supported", *m.Dropout)
	}
	if kind := kindOf(file.Normalizer); kind != "" {
		return nil, fmt.Errorf("normalizer %q is not supported for BPE", kind)
	}
	level := struct {
		AddPrefixSpace bool  `json:"add_prefix_space"`
		UseRegex       *bool `json:"use_regex"`
	}{}
	if kind := kindOf(file.PreTokenizer); kind != "ByteLevel" {
		return nil, fmt.Errorf("pre_tokenizer %q is not supported for BPE (ByteLevel is)", kind)
	}
	if err := json.Unmarshal(file.PreTokenizer, &level); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if level.UseRegex != nil && !*level.UseRegex {
		return nil, errors.New("pre_tokenizer.use_regex false is not supported")
	}
	v, err := file.vocabulary()
	if err != nil {
		return nil, err
	}
	unk := int32(-1)
	if m.UnkToken != nil {
		id, ok := v.ids[*m.UnkToken]
		if !ok {
			return nil, fmt.Errorf("model.unk_token %q is not in the vocabulary", *m.UnkToken)
		}
		unk = id
	}
	t, err := newBPE(v, m.Merges, unk)
	if err != nil {
		return nil, err
	}
	t.addPrefixSpace = level.AddPrefixSpace
	return t, file.finish(&t.vocabulary, func(s string) string { return s })
}

// newBPE makes a tokenizer of a vocabulary and its merges, in the order in which they apply.
func newBPE(v vocabulary, merges []merge, unk int32) (*BPE, error) {
	t := &BPE{vocabulary: v, merges: merges, ranks: make(map[[2]int32]merged, len(merges)), unk: unk}
	for b := range t.bytes {
		id, ok := v.ids[string(byteRunes[b])]
		if !ok {
			id = -1
		}
		t.bytes[b] = id
	}
	for rank, m := range merges {
		left, okLeft := v.ids[m.left]
		right, okRight := v.ids[m.right]
		to, okTo := v.ids[m.left+m.right]
		if !okLeft || !okRight || !okTo {
			return nil, fmt.Errorf("merge %d, %q and %q: one of them or what they make is not in the vocabulary", rank, m.left, m.right)
		}
		t.ranks[[2]int32{left, right}] = merged{rank, to}
	}
	return t, nil
}

// vocabulary turns model.vocab into a list by id.
func (file *tokenizerJSON) vocabulary() (vocabulary, error) {
	return parseVocab(file.Model.Vocab, "model.vocab: ")
}

func parseVocab(data []byte, where string) (vocabulary, error) {
	var ids map[string]int64
	if err := json.Unmarshal(data, &ids); err != nil {
		return vocabulary{}, fmt.Errorf("%s%w", where, err)
	}
	if len(ids) == 0 {
		return vocabulary{}, fmt.Errorf("%sempty", where)
	}
	size := int64(0)
	for token, id := range ids {
		if id < 0 || id >= maxTokens {
			return vocabulary{}, fmt.Errorf("%sid %d of %q is out of range", where, id, token)
		}
		size = max(size, id+1)
	}
	tokens := make([]string, size)
	for token, id := range ids {
		if token == "" {
			return vocabulary{}, fmt.Errorf("%stoken %d is empty", where, id)
		}
		if other := tokens[id]; other != "" {
			return vocabulary{}, fmt.Errorf("%sid %d belongs to both %q and %q", where, id, min(token, other), max(token, other))
		}
		tokens[id] = token
	}
	return newVocabulary(tokens), nil
}

// finish adds what both kinds have: added tokens, and the special tokens around a text.
func (file *tokenizerJSON) finish(v *vocabulary, normalize func(string) string) error {
	for _, a := range file.AddedTokens {
		if err := v.addToken(a, normalize); err != nil {
			return fmt.Errorf("added_tokens: %w", err)
		}
	}
	if err := v.parsePostProcessor(file.PostProcessor); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	return nil
}

// kindOf returns the "type" of a part of a tokenizer.json, "" if the part is absent or null.
func kindOf(data json.RawMessage) string {
	var part struct {
		Type string `json:"type"`
	}
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return ""
	}
	if err := json.Unmarshal(data, &part); err != nil || part.Type == "" {
		return "of unknown type"
	}
	return part.Type
}

// parsePostProcessor reads the special tokens around a text.
func (v *vocabulary) parsePostProcessor(data json.RawMessage) error {
	switch kind := kindOf(data); kind {
	case "", "ByteLevel": // ByteLevel moves offsets only
		return nil
	case "Sequence":
		var sequence struct {
			Processors []json.RawMessage `json:"processors"`
		}
		if err := json.Unmarshal(data, &sequence); err != nil {
			return err
		}
		for _, p := range sequence.Processors {
			if kindOf(p) == "Sequence" {
				return errors.New("a Sequence inside a Sequence is not supported")
			}
			if err := v.parsePostProcessor(p); err != nil {
				return err
			}
		}
		return nil
	case "BertProcessing", "RobertaProcessing":
		var pair struct {
			Sep, Cls []any
		}
		if err := json.Unmarshal(data, &pair); err != nil {
			return err
		}
		return v.setAround([]string{nameIn(pair.Cls)}, []string{nameIn(pair.Sep)})
	case "TemplateProcessing":
		var template struct {
			Single []struct {
				SpecialToken *struct{ ID string }
				Sequence     *struct{ ID string }
			}
		}
		if err := json.Unmarshal(data, &template); err != nil {
			return err
		}
		var parts [2][]string // before and behind the text
		side := 0
		for _, part := range template.Single {
			switch {
			case part.Sequence != nil:
				side++
			case part.SpecialToken != nil && side < 2:
				parts[side] = append(parts[side], part.SpecialToken.ID)
			}
		}
		if side != 1 {
			return fmt.Errorf("the single template holds the text %d times", side)
		}
		return v.setAround(parts[0], parts[1])
	default:
		return fmt.Errorf("%q is not supported", kind)
	}
}

// nameIn returns the token of a ["token", id] pair.
func nameIn(pair []any) string {
	if len(pair) != 2 {
		return ""
	}
	name, _ := pair[0].(string)
	return name
}

// setAround sets the special tokens before and behind a text.
func (v *vocabulary) setAround(prefix, suffix []string) error {
	find := func(names []string) (ids []int32, err error) {
		for _, name := range names {
			id, ok := v.ids[name]
			if !ok {
				return nil, fmt.Errorf("special token %q is not in the vocabulary", name)
			}
			ids = append(ids, id)
		}
		return ids, nil
	}
	var err error
	if v.prefix, err = find(prefix); err != nil {
		return err
	}
	v.suffix, err = find(suffix)
	return err
}

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
