package text

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// copyTokenizer copies a tokenizer.json of testdata into a new folder, with other files beside it.
func copyTokenizer(t *testing.T, kind string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join("testdata", kind, tokenizerFile))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, tokenizerFile, string(data))
	for name, content := range files {
		write(t, dir, name, content)
	}
	return dir
}

func TestSettings(t *testing.T) {
	config := `{"tokenizer_class":"BertTokenizerFast","padding_side":"left","truncation_side":"left","model_max_length":64,
		"clean_up_tokenization_spaces":true,"pad_token":"[PAD]","add_bos_token":true,"image_token":"<picture>",
		"sep_token":{"__type":"AddedToken","content":"[SEP]","lstrip":false,"normalized":true},"mask_token":null,
		"extra_special_tokens":["[NEW]",{"content":"[STRIP]","lstrip":true,"rstrip":true}]}`
	tok := open(t, copyTokenizer(t, "bert", map[string]string{configFile: config}))
	s := tok.Settings()
	if !s.PadLeft || !s.TruncateLeft || !s.CleanUp || s.MaxLength != 64 || s.Named["sep_token"] != "[SEP]" || s.Named["image_token"] != "<picture>" || len(s.Named) != 3 {
		t.Errorf("settings %+v", *s)
	}
	if pad, ok := PadID(tok); !ok || pad != 0 {
		t.Errorf("PadID = %d, %v", pad, ok)
	}
	size := int32(open(t, "testdata/bert").VocabSize())
	want := []int32{size, size + 2, size + 1} // named ones first
	if got := tok.EncodePlain("<picture> [STRIP] [NEW]"); !slices.Equal(got, want) {
		t.Errorf("new tokens: %v, want %v", got, want)
	}
	if got, want := tok.Decode(append(tok.EncodePlain("a cat ."), want...), true), "a cat."; got != want {
		t.Errorf("Decode = %q, want %q", got, want)
	}
	full := tok.Encode("a photo of two cat")
	if got, want := EncodeMax(tok, "a photo of two cat", 4), []int32{full[0], full[4], full[5], full[6]}; !slices.Equal(got, want) {
		t.Errorf("cut on the left: %v, want %v", got, want)
	}
	if got, want := EncodePlainMax(tok, "a photo of two cat", 2), full[4:6]; !slices.Equal(got, want) {
		t.Errorf("cut on the left: %v, want %v", got, want)
	}
}

// TestOlderFiles: special_tokens_map.json and added_tokens.json count where tokenizer_config.json
// does not list added tokens.
func TestOlderFiles(t *testing.T) {
	size := int32(open(t, "testdata/bert").VocabSize())
	files := map[string]string{
		configFile:                `{"do_lower_case":true}`,
		"special_tokens_map.json": `{"pad_token":"[UNK]","additional_special_tokens":["[ENC]"]}`,
		"added_tokens.json":       `{"[more]":` + itoa(size+1) + `,"[ENC]":` + itoa(size) + `}`,
	}
	tok := open(t, copyTokenizer(t, "bert", files))
	if got, want := tok.EncodePlain("[ENC][MORE]"), []int32{size, size + 1}; !slices.Equal(got, want) {
		t.Errorf("added: %v, want %v", got, want)
	}
	if got := tok.Decode([]int32{size, size + 1}, true); got != "[more]" {
		t.Errorf("Decode = %q", got)
	}
	if pad, ok := PadID(tok); !ok || pad != 1 {
		t.Errorf("PadID = %d, %v", pad, ok)
	}
	files[configFile] = `{"added_tokens_decoder":{"` + itoa(size) + `":{"content":"[LISTED]","special":true}}}`
	tok = open(t, copyTokenizer(t, "bert", files))
	if _, ok := tok.ID("[ENC]"); ok {
		t.Error("added_tokens.json was read beside added_tokens_decoder")
	}
	if id, _ := tok.ID("[LISTED]"); id != size {
		t.Errorf("[LISTED] has id %d, want %d", id, size)
	}
}

// TestSettingsOfTokenizerJSON: the sides may be there, too; tokenizer_config.json counts more.
func TestSettingsOfTokenizerJSON(t *testing.T) {
	file := `{"model":{"vocab":{"[UNK]":0,"a":1},"continuing_subword_prefix":"##"},"pre_tokenizer":{"type":"BertPreTokenizer"},
		"truncation":{"direction":"Left","max_length":3},"padding":{"direction":"Left","pad_token":"a"}}`
	for _, c := range []struct {
		config                string
		padLeft, truncateLeft bool
		pad                   string
	}{
		{`{}`, true, true, "a"},
		{`{"padding_side":"right","truncation_side":"right","pad_token":"[UNK]"}`, false, false, "[UNK]"},
	} {
		dir := t.TempDir()
		write(t, dir, tokenizerFile, file)
		write(t, dir, configFile, c.config)
		if s := open(t, dir).Settings(); s.PadLeft != c.padLeft || s.TruncateLeft != c.truncateLeft || s.Named["pad_token"] != c.pad {
			t.Errorf("%s: settings %+v", c.config, *s)
		}
	}
}

// TestOlderTokenizerJSON: files that do not say the model's type, as those of bert-base-uncased,
// GPT-2 and T5 were published, give the same ids.
func TestOlderTokenizerJSON(t *testing.T) {
	for _, kind := range []string{"bert", "opt", "clip", "t5"} {
		data, err := os.ReadFile(filepath.Join("testdata", kind, tokenizerFile))
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		delete(file["model"].(map[string]any), "type")
		if data, err = json.Marshal(file); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, dir, tokenizerFile, string(data))
		got, want := open(t, dir), open(t, filepath.Join("testdata", kind))
		for _, s := range captions {
			if a, b := got.Encode(s), want.Encode(s); !slices.Equal(a, b) {
				t.Errorf("%s %q: %v, want %v", kind, s, a, b)
			}
		}
	}
}

// TestSharedID: in a vocabulary with a hole the reference gives the first added token an id that the
// model has already.
func TestSharedID(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, tokenizerFile, `{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"yes":2,"no":3}},"pre_tokenizer":{"type":"BertPreTokenizer"},
		"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
		"added_tokens":[{"id":3,"content":"[DEC]","special":true},{"id":4,"content":"[ENC]","special":true}]}`)
	other := t.TempDir()
	write(t, other, tokenizerFile, `{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"yes":2,"no":3}},"pre_tokenizer":{"type":"BertPreTokenizer"}}`)
	write(t, other, configFile, `{"bos_token":"[DEC]","extra_special_tokens":["[ENC]"]}`)
	if got, want := open(t, other).Encode("no [DEC] yes [ENC]"), []int32{3, 3, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("added by tokenizer_config.json: ids %v, want %v", got, want)
	}
	for range 2 {
		tok := open(t, dir)
		if got, want := tok.Encode("no [DEC] yes [ENC]"), []int32{3, 3, 2, 4}; !slices.Equal(got, want) {
			t.Errorf("ids %v, want %v", got, want)
		}
		if got, want := tok.Decode([]int32{3, 2, 4, 1}, false), "[DEC] yes [ENC]"; got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		if got, want := tok.Decode([]int32{3, 2, 4, 1}, true), "yes"; got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		if tok.VocabSize() != 5 {
			t.Errorf("%d ids", tok.VocabSize())
		}
		dir = t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func TestSettingsErrors(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"no JSON", configFile, "{", configFile},
		{"side", configFile, `{"padding_side":"up"}`, `padding_side: "up"`},
		{"other side", configFile, `{"truncation_side":"up"}`, `truncation_side: "up"`},
		{"token", configFile, `{"pad_token":{"content":7}}`, "pad_token"},
		{"extra", configFile, `{"extra_special_tokens":[7]}`, "extra_special_tokens"},
		{"hole", configFile, `{"added_tokens_decoder":{"100000":{"content":"x"}}}`, `"x": id 100000 leaves a hole`},
		{"extra ids", configFile, `{"extra_ids":-1}`, "extra_ids is -1"},
		{"map", "special_tokens_map.json", `[]`, "special_tokens_map.json"},
		{"added", "added_tokens.json", `{"x":"y"}`, "added_tokens.json"},
	} {
		dir := copyTokenizer(t, "bert", map[string]string{c.file: c.content})
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want one with %q and the folder", c.name, err, c.want)
		}
	}
}
