package text

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Patterns of CLIP's tokenizers, of transformers 5 and of those before it; see clipWords.
const (
	clipPattern    = `<\|startoftext\|>|<\|endoftext\|>|` + oldClipPattern
	oldClipPattern = `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`
)

// byteLevel is the pre_tokenizer of a byte-level BPE: how a text is split into words.
type byteLevel struct {
	pattern        string // "": GPT-2's, else one of CLIP's
	addPrefixSpace bool   // a text that does not start with a space gets one
}

// parseByteLevel reads ByteLevel, or CLIP's sequence of Split and ByteLevel.
func parseByteLevel(data json.RawMessage) (byteLevel, error) {
	parts := []json.RawMessage{data}
	if kindOf(data) == "Sequence" {
		var sequence struct {
			Pretokenizers []json.RawMessage `json:"pretokenizers"`
		}
		if err := json.Unmarshal(data, &sequence); err != nil {
			return byteLevel{}, err
		}
		parts = sequence.Pretokenizers
	}
	var b byteLevel
	if len(parts) == 2 && kindOf(parts[0]) == "Split" {
		var split struct {
			Pattern  struct{ Regex string } `json:"pattern"`
			Behavior string                 `json:"behavior"`
			Invert   bool                   `json:"invert"`
		}
		if err := json.Unmarshal(parts[0], &split); err != nil {
			return b, err
		}
		b.pattern = split.Pattern.Regex
		if b.pattern != clipPattern && b.pattern != oldClipPattern || split.Behavior != "Removed" || !split.Invert {
			return b, fmt.Errorf("pattern %q of Split is not supported (CLIP's pattern is, with behavior Removed and invert)", b.pattern)
		}
		parts = parts[1:]
	}
	if len(parts) != 1 || kindOf(parts[0]) != "ByteLevel" {
		return b, fmt.Errorf("%q is not supported for BPE (ByteLevel is, and CLIP's Split before it)", kindOf(data))
	}
	var level struct {
		AddPrefixSpace bool  `json:"add_prefix_space"`
		UseRegex       *bool `json:"use_regex"`
	}
	if err := json.Unmarshal(parts[0], &level); err != nil {
		return b, err
	}
	if level.UseRegex != nil && !*level.UseRegex {
		return b, errors.New("use_regex false is not supported")
	}
	if b.addPrefixSpace = level.AddPrefixSpace; b.addPrefixSpace && b.pattern != "" {
		return b, errors.New("add_prefix_space behind Split is not supported")
	}
	return b, nil
}

// MarshalJSON implements json.Marshaler.
func (b byteLevel) MarshalJSON() ([]byte, error) {
	level := map[string]any{"type": "ByteLevel", "add_prefix_space": b.addPrefixSpace, "trim_offsets": true, "use_regex": true}
	if b.pattern == "" {
		return json.Marshal(level)
	}
	split := map[string]any{"type": "Split", "pattern": map[string]string{"Regex": b.pattern}, "behavior": "Removed", "invert": true}
	return json.Marshal(map[string]any{"type": "Sequence", "pretokenizers": []any{split, level}})
}

// split calls word for each word of a normalized text.
func (b *byteLevel) split(s string, word func(string)) {
	if b.pattern != "" {
		clipWords(s, b.pattern == clipPattern, word)
		return
	}
	if b.addPrefixSpace && !strings.HasPrefix(s, " ") {
		s = " " + s
	}
	gptWords(s, word)
}
