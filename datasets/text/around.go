package text

import (
	"bytes"
	"encoding/json"
	"fmt"
)

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
func (v *vocabulary) parsePostProcessor(data json.RawMessage, left *parts) error {
	if err := left.take(); err != nil {
		return err
	}
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
			if err := v.parsePostProcessor(p, left); err != nil {
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
