package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"goblip/internal/bounded"
)

// Files of a tokenizer.
const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	vocabTxtFile  = "vocab.txt"
	vocabJSONFile = "vocab.json"
	mergesFile    = "merges.txt"
	spieceFile    = "spiece.model"
)

// Bounds of what is read: several times the largest vocabularies in use.
const (
	maxFileBytes = 64 << 20
	maxTokens    = 4 << 20
)

// tokenizerJSON is what is read of a tokenizer.json. Of its truncation and padding only the sides
// and the token are, in case tokenizer_config.json does not say them: the lengths are the caller's
// business here (EncodeMax, Pad), as in transformers.
type tokenizerJSON struct {
	Truncation *struct {
		Direction string `json:"direction"`
	} `json:"truncation"`
	Padding *struct {
		Direction string `json:"direction"`
		Token     string `json:"pad_token"`
	} `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	config        *folderConfig
	Model         struct {
		Type string `json:"type"`
		// Vocab is an object, or an array for Unigram.
		Vocab                   json.RawMessage `json:"vocab"`
		UnkToken                *string         `json:"unk_token"`
		ContinuingSubwordPrefix *string         `json:"continuing_subword_prefix"`
		MaxInputCharsPerWord    *int            `json:"max_input_chars_per_word"`
		Merges                  []merge         `json:"merges"`
		Dropout                 *float64        `json:"dropout"`
		EndOfWordSuffix         *string         `json:"end_of_word_suffix"`
		ByteFallback            bool            `json:"byte_fallback"`
		IgnoreMerges            bool            `json:"ignore_merges"`
		FuseUnk                 bool            `json:"fuse_unk"`
		UnkID                   *int32          `json:"unk_id"`
	} `json:"model"`
}

// UnmarshalJSON accepts both spellings of a merge: "a b" and ["a", "b"].
func (m *merge) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var line string
		if err := json.Unmarshal(data, &line); err != nil {
			return err
		}
		var err error
		*m, err = parseMerge(line)
		return err
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

func readTokenizerJSON(dir string, config *folderConfig) (Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	data, err := bounded.ReadFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	t, err := parseTokenizerJSON(data, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// parseTokenizerJSON reads a tokenizer.json, and adds what the files beside it say.
func parseTokenizerJSON(data []byte, config *folderConfig) (Tokenizer, error) {
	var file tokenizerJSON
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if len(file.Model.Merges) > maxTokens {
		return nil, fmt.Errorf("model.merges: more than %d", maxTokens)
	}
	file.config = config
	switch file.kind() {
	case "WordPiece":
		return file.wordPiece()
	case "BPE":
		return file.bpe()
	case "Unigram":
		return file.unigram()
	case "":
		return nil, errors.New("model.type is missing")
	}
	return nil, fmt.Errorf("model.type %q is not supported (WordPiece, BPE and Unigram are)", file.Model.Type)
}

// kind returns the model's type. Files older than 2022, the official ones of BERT, GPT-2 and T5 among
// them, do not say it.
func (file *tokenizerJSON) kind() string {
	m := &file.Model
	switch {
	case m.Type != "":
		return m.Type
	case m.Merges != nil:
		return "BPE"
	case len(m.Vocab) > 0 && m.Vocab[0] == '[':
		return "Unigram"
	case m.ContinuingSubwordPrefix != nil || m.MaxInputCharsPerWord != nil:
		return "WordPiece"
	}
	return ""
}

func (file *tokenizerJSON) wordPiece() (Tokenizer, error) {
	m := &file.Model
	if p := m.ContinuingSubwordPrefix; p != nil && *p != continuation {
		return nil, fmt.Errorf("model.continuing_subword_prefix %q is not supported (%q is)", *p, continuation)
	}
	if kind := kindOf(file.PreTokenizer); kind != "BertPreTokenizer" {
		return nil, fmt.Errorf("pre_tokenizer %q is not supported for WordPiece (BertPreTokenizer is)", kind)
	}
	strip := false
	normalizer := &bertNormalizer{StripAccents: &strip}
	switch kind := kindOf(file.Normalizer); kind {
	case "BertNormalizer":
		normalizer.StripAccents = nil
		if err := json.Unmarshal(file.Normalizer, normalizer); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
	case "":
	default:
		return nil, fmt.Errorf("normalizer %q is not supported for WordPiece (BertNormalizer is)", kind)
	}
	v, err := parseVocab(m.Vocab, "model.vocab: ")
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
	t, err := newWordPiece(v, normalizer, unk)
	if err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	if m.MaxInputCharsPerWord != nil {
		t.maxRunes = max(*m.MaxInputCharsPerWord, 0)
	}
	return t, file.finish(&t.vocabulary, normalizer.normalize)
}

func (file *tokenizerJSON) bpe() (Tokenizer, error) {
	m := &file.Model
	suffix := ""
	if m.EndOfWordSuffix != nil {
		suffix = *m.EndOfWordSuffix
	}
	switch {
	case m.ContinuingSubwordPrefix != nil && *m.ContinuingSubwordPrefix != "":
		return nil, fmt.Errorf("model.continuing_subword_prefix %q is not supported for BPE", *m.ContinuingSubwordPrefix)
	case m.ByteFallback, m.IgnoreMerges:
		return nil, errors.New("model.byte_fallback and model.ignore_merges are not supported for BPE")
	case m.Dropout != nil && *m.Dropout != 0:
		return nil, fmt.Errorf("model.dropout %g is not supported", *m.Dropout)
	}
	split, err := parseByteLevel(file.PreTokenizer)
	if err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	v, err := parseVocab(m.Vocab, "model.vocab: ")
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
	t, err := newBPE(v, m.Merges, unk, suffix)
	if err != nil {
		return nil, err
	}
	t.byteLevel, t.fuseUnk = split, m.FuseUnk
	if t.normalizer, err = parseNormalizer(file.Normalizer, newParts()); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	err = file.finish(&t.vocabulary, t.normalize)
	t.settings.CleanUp = t.settings.CleanUp && file.config.cleanUpBPE
	return t, err
}

func (file *tokenizerJSON) unigram() (Tokenizer, error) {
	m := &file.Model
	var pieces []scored
	if err := json.Unmarshal(m.Vocab, &pieces); err != nil {
		return nil, fmt.Errorf("model.vocab: %w", err)
	}
	if len(pieces) > maxTokens {
		return nil, fmt.Errorf("model.vocab: more than %d tokens", maxTokens)
	}
	if m.UnkID == nil {
		return nil, errors.New("model.unk_id is missing")
	}
	tokens, scores := make([]string, len(pieces)), make([]float64, len(pieces))
	for i, p := range pieces {
		tokens[i], scores[i] = p.token, p.score
	}
	t, err := newUnigram(newVocabulary(tokens), scores, *m.UnkID, m.ByteFallback)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalizer, err = parseNormalizer(file.Normalizer, newParts()); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.words, err = parseSpacePreTokenizer(file.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	return t, file.finish(&t.vocabulary, t.normalize)
}

// scored is a token with its score, written as ["token", score].
type scored struct {
	token string
	score float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *scored) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return errors.New("a token with its score is not a pair")
	}
	if err := json.Unmarshal(pair[0], &s.token); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &s.score)
}

// parseVocab reads a vocabulary written as {"token": id}.
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
		// A few ids may be without token, but a list as long as the largest id must stay in proportion.
		if id < 0 || id >= min(maxTokens, int64(4*len(ids)+1024)) {
			return vocabulary{}, fmt.Errorf("%sid %d of %q is out of range for %d tokens", where, id, token, len(ids))
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

// finish adds what all kinds have: added tokens, the special tokens around a text, the decoder, and
// what the folder says.
func (file *tokenizerJSON) finish(v *vocabulary, normalize func(string) string) error {
	for _, a := range file.AddedTokens {
		if err := v.addToken(a, normalize); err != nil {
			return fmt.Errorf("added_tokens: %w", err)
		}
	}
	if err := file.config.apply(v, normalize); err != nil {
		return fmt.Errorf("the special tokens beside it: %w", err)
	}
	if file.Truncation != nil && !file.config.saysTruncation {
		v.settings.TruncateLeft = file.Truncation.Direction == "Left"
	}
	if p := file.Padding; p != nil {
		if !file.config.saysPadding {
			v.settings.PadLeft = p.Direction == "Left"
		}
		if _, ok := v.settings.Named["pad_token"]; !ok && p.Token != "" {
			v.settings.Named["pad_token"] = p.Token
		}
	}
	if err := v.parsePostProcessor(file.PostProcessor, newParts()); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	var err error
	if v.decoder, err = parseDecoder(file.Decoder, newParts()); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	if _, bytes := v.decoder.(byteLevelDecoder); !bytes {
		v.wordEnd = ""
	}
	return nil
}
