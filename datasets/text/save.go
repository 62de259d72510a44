package text

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Save implements Tokenizer: tokenizer.json, tokenizer_config.json and vocab.txt.
func (t *WordPiece) Save(dir string) error {
	lines := strings.Join(t.tokens, "\n") + "\n"
	config := t.config("BertTokenizer", map[string]string{
		"pad_token": PadToken, "unk_token": UnkToken, "cls_token": ClsToken,
		"sep_token": SepToken, "mask_token": MaskToken, "bos_token": DecToken,
	})
	config["do_lower_case"] = t.normalizer.Lowercase
	config["strip_accents"] = t.normalizer.StripAccents
	config["tokenize_chinese_chars"] = t.normalizer.HandleChineseChars
	file := t.tokenizerJSON()
	file["normalizer"] = t.normalizer
	file["pre_tokenizer"] = map[string]any{"type": "BertPreTokenizer"}
	file["post_processor"] = t.template()
	file["model"] = map[string]any{
		"type": "WordPiece", "unk_token": t.Token(t.unk), "continuing_subword_prefix": continuation,
		"max_input_chars_per_word": t.maxRunes, "vocab": t.modelVocab(),
	}
	files := map[string]any{tokenizerFile: file, configFile: config, vocabTxtFile: lines}
	if t.modelTokens < t.modelSize {
		delete(files, vocabTxtFile) // a line for each id is all that it can say
	}
	return saveFiles(dir, files)
}

// Save implements Tokenizer: tokenizer.json, tokenizer_config.json, vocab.json and merges.txt.
func (t *BPE) Save(dir string) error {
	var merges strings.Builder
	merges.WriteString("#version: 0.2\n")
	pairs := make([][2]string, len(t.merges))
	for i, m := range t.merges {
		merges.WriteString(m.left + " " + m.right + "\n")
		pairs[i] = [2]string{m.left, m.right}
	}
	file := t.tokenizerJSON()
	var config map[string]any
	if t.isCLIP() {
		config = t.config(clipClass, map[string]string{
			"bos_token": CLIPBosToken, "eos_token": CLIPEosToken, "unk_token": CLIPEosToken, "pad_token": CLIPEosToken,
		})
		file["post_processor"] = map[string]any{
			"type": "RobertaProcessing", "trim_offsets": false, "add_prefix_space": false,
			"cls": []any{t.Token(t.prefix[0]), t.prefix[0]}, "sep": []any{t.Token(t.suffix[0]), t.suffix[0]},
		}
	} else {
		// Only the generic class leaves tokenizer.json's "</s> in front" alone.
		config = t.config("PreTrainedTokenizerFast", map[string]string{
			"bos_token": OPTEosToken, "eos_token": OPTEosToken, "unk_token": OPTEosToken, "pad_token": OPTPadToken,
		})
		config["add_prefix_space"] = t.byteLevel.addPrefixSpace
		file["post_processor"] = map[string]any{"type": "Sequence", "processors": []any{
			map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
			t.template(),
		}}
	}
	if t.settings.CleanUp {
		config["clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"] = true
	}
	file["normalizer"] = t.normalizer
	file["pre_tokenizer"] = t.byteLevel
	var unk any
	if t.unk >= 0 {
		unk = t.Token(t.unk)
	}
	file["model"] = map[string]any{
		"type": "BPE", "dropout": nil, "unk_token": unk, "continuing_subword_prefix": "",
		"end_of_word_suffix": t.endOfWord, "fuse_unk": t.fuseUnk, "byte_fallback": false, "ignore_merges": false,
		"vocab": t.modelVocab(), "merges": pairs,
	}
	all := orderedVocab(t.tokens)
	return saveFiles(dir, map[string]any{tokenizerFile: file, configFile: config, vocabJSONFile: all, mergesFile: merges.String()})
}

// isCLIP tells whether transformers' class for CLIP does the same, and can write it in its way.
func (t *BPE) isCLIP() bool {
	return t.endOfWord == wordSuffix && t.byteLevel.pattern != "" && len(t.prefix) == 1 && len(t.suffix) == 1
}

// Save implements Tokenizer: tokenizer.json, tokenizer_config.json, and spiece.model
// unless that cannot say what the tokenizer does.
func (t *Unigram) Save(dir string) error {
	config := t.config("T5Tokenizer", map[string]string{"eos_token": OPTEosToken, "unk_token": OPTUnkToken, "pad_token": OPTPadToken})
	vocab := make([][2]any, t.modelSize)
	for id := range vocab {
		vocab[id] = [2]any{t.tokens[id], t.scores[id]}
	}
	file := t.tokenizerJSON()
	file["normalizer"] = t.normalizer
	file["pre_tokenizer"] = t.words
	file["post_processor"] = t.template()
	file["model"] = map[string]any{"type": "Unigram", "unk_id": t.unk, "vocab": vocab, "byte_fallback": t.byteFallback}
	files := map[string]any{tokenizerFile: file, configFile: config}
	if model, extraIDs, ok := t.spiece(); ok {
		config["extra_ids"] = extraIDs
		files[spieceFile] = string(model)
	}
	return saveFiles(dir, files)
}

// maxLength is the number of positions of BERT; OPT has more, but captions are far shorter.
const maxLength = 512

// config returns a tokenizer_config.json: the settings, and the names of special tokens, which are
// those given unless the settings have others.
func (v *vocabulary) config(class string, names map[string]string) map[string]any {
	config := map[string]any{"tokenizer_class": class, "model_max_length": maxLength}
	if v.settings.MaxLength > 0 {
		config["model_max_length"] = v.settings.MaxLength
	}
	if v.settings.PadLeft {
		config["padding_side"] = "left"
	}
	if v.settings.TruncateLeft {
		config["truncation_side"] = "left"
	}
	if v.settings.CleanUp {
		config["clean_up_tokenization_spaces"] = true
	}
	for key, token := range names {
		if _, ok := v.ids[token]; ok {
			config[key] = token
		}
	}
	for key, token := range v.settings.Named {
		config[key] = token
	}
	decoder := map[int32]any{}
	for id, a := range v.added {
		decoder[id] = map[string]any{
			"content": a.Content, "single_word": a.SingleWord, "lstrip": a.LStrip, "rstrip": a.RStrip,
			"normalized": a.Normalized, "special": a.Special,
		}
	}
	config["added_tokens_decoder"] = decoder // for those who open the older files
	return config
}

// tokenizerJSON returns the parts of a tokenizer.json that are the same for all kinds.
func (v *vocabulary) tokenizerJSON() map[string]any {
	added := slices.SortedFunc(maps.Values(v.added), func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	return map[string]any{"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "decoder": v.decoder}
}

func (v *vocabulary) modelVocab() orderedVocab { return v.tokens[:v.modelSize] }

// template is the post-processor that puts the special tokens around a text.
func (v *vocabulary) template() map[string]any {
	var single, pair []any
	special := map[string]any{}
	put := func(to *[]any, ids []int32, typeID int) {
		for _, id := range ids {
			token := v.Token(id)
			*to = append(*to, map[string]any{"SpecialToken": map[string]any{"id": token, "type_id": typeID}})
			special[token] = map[string]any{"id": token, "ids": []int32{id}, "tokens": []string{token}}
		}
	}
	sequence := func(to *[]any, name string, typeID int) {
		*to = append(*to, map[string]any{"Sequence": map[string]any{"id": name, "type_id": typeID}})
	}
	put(&single, v.prefix, 0)
	sequence(&single, "A", 0)
	put(&single, v.suffix, 0)
	// A pair of texts is used by nobody here, but the file must say something: BERT's way.
	pair = append(pair, single...)
	sequence(&pair, "B", 1)
	put(&pair, v.suffix, 1)
	return map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
}

// orderedVocab is a vocabulary written as {"token": id} in the order of ids, for people to read.
type orderedVocab []string

// MarshalJSON implements json.Marshaler.
func (v orderedVocab) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for id, token := range v {
		if token == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(token)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(id)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// saveFiles writes files into dir: strings as they are, other values as JSON. Each file appears
// whole or not at all.
func saveFiles(dir string, files map[string]any) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, value := range files {
		data, ok := []byte(nil), false
		if s, isString := value.(string); isString {
			data, ok = []byte(s), true
		}
		if !ok {
			var b bytes.Buffer
			encoder := json.NewEncoder(&b)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(value); err != nil {
				return err
			}
			data = b.Bytes()
		}
		if err := writeFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file under a temporary name first.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
