package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"goblip/internal/bounded"
)

// Settings is what a folder says of its tokenizer beyond the ids: how texts are cut, padded and
// decoded, and what its special tokens are called. They may be changed before a tokenizer is used.
type Settings struct {
	Named        map[string]string // special tokens by their name in tokenizer_config.json: "pad_token", "eos_token", ...
	PadLeft      bool              // padding goes in front of a text, as generation with a decoder needs it
	TruncateLeft bool              // a text that is too long loses its beginning
	CleanUp      bool              // Decode takes the spaces before punctuation away; see CleanUp
	MaxLength    int               // of the model, in tokens; 0: not said
}

// PadID returns the id of the token that texts are padded with.
func PadID(t Tokenizer) (int32, bool) {
	if name, ok := t.Settings().Named["pad_token"]; ok {
		return t.ID(name)
	}
	for _, name := range []string{PadToken, OPTPadToken, CLIPEosToken} {
		if id, ok := t.ID(name); ok {
			return id, true
		}
	}
	return 0, false
}

// namedTokens are the special tokens that every class of transformers knows, in the order in which
// it gives them ids.
var namedTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// folderConfig is what the files beside tokenizer.json or a vocabulary say: tokenizer_config.json,
// and of older folders special_tokens_map.json and added_tokens.json.
type folderConfig struct {
	class          string // without "Fast"
	named          map[string]addedToken
	extra          []addedToken
	added          []addedToken // with ids
	settings       Settings
	doLowerCase    *bool
	stripAccents   *bool
	chineseChars   *bool
	addBosToken    *bool
	addPrefixSpace *bool
	extraIDs       int
	saysPadding    bool // which side
	saysTruncation bool
	cleanUpBPE     bool // clean up although transformers holds it for destructive with BPE
}

// maxExtraIDs bounds extra_ids, of which T5 has 100.
const maxExtraIDs = 1 << 16

// tokenValue is a token in these files: its string, or an object with its flags, or null.
type tokenValue struct{ *addedToken }

// UnmarshalJSON implements json.Unmarshaler. Special tokens are looked for in the text as it is
// given, unless the object says otherwise.
func (v *tokenValue) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	v.addedToken = &addedToken{Special: true}
	if data[0] == '"' {
		return json.Unmarshal(data, &v.Content)
	}
	var flags struct{ Special, Normalized *bool }
	if err := json.Unmarshal(data, &flags); err != nil {
		return err
	}
	if flags.Normalized == nil && flags.Special != nil {
		v.Normalized = !*flags.Special
	}
	return json.Unmarshal(data, v.addedToken)
}

// readFolderConfig reads the files that there are.
func readFolderConfig(dir string) (*folderConfig, error) {
	c := &folderConfig{named: map[string]addedToken{}, extraIDs: 100}
	var raw map[string]json.RawMessage
	path := filepath.Join(dir, configFile)
	if err := readOptionalJSON(path, &raw); err != nil {
		return nil, err
	}
	var known struct {
		Class          string                `json:"tokenizer_class"`
		PaddingSide    string                `json:"padding_side"`
		TruncationSide string                `json:"truncation_side"`
		CleanUp        bool                  `json:"clean_up_tokenization_spaces"`
		CleanUpBPE     bool                  `json:"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"`
		MaxLength      float64               `json:"model_max_length"`
		DoLowerCase    *bool                 `json:"do_lower_case"`
		StripAccents   *bool                 `json:"strip_accents"`
		ChineseChars   *bool                 `json:"tokenize_chinese_chars"`
		AddBosToken    *bool                 `json:"add_bos_token"`
		AddPrefixSpace *bool                 `json:"add_prefix_space"`
		ExtraIDs       *int                  `json:"extra_ids"`
		Added          *map[int32]tokenValue `json:"added_tokens_decoder"`
	}
	if err := readOptionalJSON(path, &known); err != nil {
		return nil, err
	}
	c.class = strings.TrimSuffix(known.Class, "Fast")
	c.doLowerCase, c.stripAccents, c.chineseChars = known.DoLowerCase, known.StripAccents, known.ChineseChars
	c.addBosToken, c.addPrefixSpace, c.cleanUpBPE = known.AddBosToken, known.AddPrefixSpace, known.CleanUpBPE
	c.settings.CleanUp = known.CleanUp
	c.saysPadding, c.saysTruncation = known.PaddingSide != "", known.TruncationSide != ""
	if known.MaxLength >= 1 && known.MaxLength < 1<<30 { // unlimited is written as 1e30
		c.settings.MaxLength = int(known.MaxLength)
	}
	if known.ExtraIDs != nil {
		c.extraIDs = *known.ExtraIDs
	}
	if c.extraIDs < 0 || c.extraIDs > maxExtraIDs {
		return nil, fmt.Errorf("%s: extra_ids is %d", path, c.extraIDs)
	}
	var err error
	if c.settings.PadLeft, err = isLeft(known.PaddingSide); err != nil {
		return nil, fmt.Errorf("%s: padding_side: %w", path, err)
	}
	if c.settings.TruncateLeft, err = isLeft(known.TruncationSide); err != nil {
		return nil, fmt.Errorf("%s: truncation_side: %w", path, err)
	}
	if err := c.addTokens(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if known.Added != nil {
		for _, id := range slices.Sorted(maps.Keys(*known.Added)) {
			if t := (*known.Added)[id]; t.addedToken != nil {
				t.ID = id
				c.added = append(c.added, *t.addedToken)
			}
		}
		return c, nil
	}
	raw = nil
	path = filepath.Join(dir, "special_tokens_map.json")
	if err := readOptionalJSON(path, &raw); err != nil {
		return nil, err
	}
	if err := c.addTokens(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ids map[string]int32
	if err := readOptionalJSON(filepath.Join(dir, "added_tokens.json"), &ids); err != nil {
		return nil, err
	}
	for token, id := range ids {
		special := c.isSpecial(token)
		c.added = append(c.added, addedToken{ID: id, Content: token, Normalized: !special, Special: special})
	}
	slices.SortFunc(c.added, func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	return c, nil
}

func isLeft(side string) (bool, error) {
	switch side {
	case "left":
		return true, nil
	case "right", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither left nor right", side)
}

// addTokens takes the special tokens out of a tokenizer_config.json or special_tokens_map.json.
func (c *folderConfig) addTokens(raw map[string]json.RawMessage) error {
	for key, data := range raw {
		if !strings.HasSuffix(key, "_token") || data[0] != '"' && data[0] != '{' {
			continue // add_bos_token, say, is no token
		}
		var t tokenValue
		if err := json.Unmarshal(data, &t); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if t.addedToken != nil && t.Content != "" {
			t.Special = true
			c.named[key] = *t.addedToken
		}
	}
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
		data := raw[key]
		if len(data) == 0 || string(data) == "null" {
			continue
		}
		if data[0] == '{' { // name: token
			var tokens map[string]json.RawMessage
			if err := json.Unmarshal(data, &tokens); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if err := c.addTokens(tokens); err != nil {
				return err
			}
			continue
		}
		var tokens []tokenValue
		if err := json.Unmarshal(data, &tokens); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for _, t := range tokens {
			if t.addedToken != nil && t.Content != "" {
				t.Special = true
				c.extra = append(c.extra, *t.addedToken)
			}
		}
	}
	return nil
}

func (c *folderConfig) isSpecial(token string) bool {
	for _, t := range c.named {
		if t.Content == token {
			return true
		}
	}
	return slices.ContainsFunc(c.extra, func(t addedToken) bool { return t.Content == token })
}

// name returns the token that the folder calls so, or what it is called by default.
func (c *folderConfig) name(key, or string) string {
	if t, ok := c.named[key]; ok {
		return t.Content
	}
	return or
}

// apply gives a tokenizer what the folder says: added tokens with their ids, then the special ones
// that it does not have yet, as transformers does, and the settings.
func (c *folderConfig) apply(v *vocabulary, normalize func(string) string) error {
	for _, a := range c.added {
		a.Special = a.Special || c.isSpecial(a.Content)
		if err := v.addToken(a, normalize); err != nil {
			return err
		}
	}
	var special []addedToken
	for _, key := range namedTokens {
		if t, ok := c.named[key]; ok {
			special = append(special, t)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.named)) {
		if !slices.Contains(namedTokens, key) {
			special = append(special, c.named[key])
		}
	}
	for _, t := range append(special, c.extra...) {
		id, ok := v.ids[t.Content]
		if _, added := v.added[id]; ok && added {
			continue
		}
		t.ID = v.nextID()
		if ok {
			t.ID = id
		}
		if err := v.addToken(t, normalize); err != nil {
			return err
		}
	}
	names := map[string]string{}
	maps.Copy(names, v.settings.Named)
	for key, t := range c.named {
		names[key] = t.Content
	}
	v.settings = c.settings
	v.settings.Named = names
	return nil
}

// readOptionalJSON reads a JSON file into a struct; a missing file leaves it as it is.
func readOptionalJSON(path string, into any) error {
	data, err := bounded.ReadFile(path, maxFileBytes)
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
