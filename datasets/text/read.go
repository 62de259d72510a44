package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
