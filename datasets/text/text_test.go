package text

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPad(t *testing.T) {
	rows := [][]int32{{7, 8}, {}, {1, 2, 3, 4, 5}}
	for _, c := range []struct {
		left      bool
		ids, mask []int32
	}{
		{false, []int32{7, 8, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4}, []int32{1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1}},
		{true, []int32{9, 9, 7, 8, 9, 9, 9, 9, 1, 2, 3, 4}, []int32{0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1}},
	} {
		ids, mask := Pad(rows, 4, 9, c.left)
		if !slices.Equal(ids, c.ids) || !slices.Equal(mask, c.mask) {
			t.Errorf("left %v: got %v %v, want %v %v", c.left, ids, mask, c.ids, c.mask)
		}
	}
}

func TestEncodeMax(t *testing.T) {
	bert, opt := open(t, "testdata/bert"), open(t, "testdata/opt")
	s := "a photo of two cat a photo of two cat"
	full := bert.Encode(s)
	for length := range len(full) + 2 {
		got := EncodeMax(bert, s, length)
		switch {
		case len(got) != min(length, len(full)):
			t.Errorf("length %d: %d ids", length, len(got))
		case length > 1 && (got[0] != full[0] || got[len(got)-1] != full[len(full)-1]):
			t.Errorf("length %d: %v lost a special token", length, got)
		case length > 2 && !slices.Equal(got[:len(got)-1], full[:len(got)-1]):
			t.Errorf("length %d: %v is no beginning of %v", length, got, full)
		}
	}
	if got := EncodeMax(opt, s, 3); !slices.Equal(got, opt.Encode(s)[:3]) {
		t.Errorf("OPT cut to 3: %v", got)
	}
}

// TestAddSpecial: BLIP-2's vocabulary is BERT's with [DEC] behind it.
func TestAddSpecial(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n")
	tok := open(t, dir).(*WordPiece)
	tok.AddSpecial(DecToken, DecToken, PadToken)
	if id, ok := tok.ID(DecToken); !ok || id != 7 || tok.VocabSize() != 8 {
		t.Errorf("[DEC] has id %d (%v) of %d", id, ok, tok.VocabSize())
	}
	want := []int32{2, 7, 5, 6, 6, 3}
	if got := tok.Encode("[DEC]abb"); !slices.Equal(got, want) {
		t.Errorf("Encode = %v, want %v", got, want)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir).Encode("[DEC]abb"); !slices.Equal(got, want) {
		t.Errorf("read back: %v, want %v", got, want)
	}
}

// TestOpenWithoutTokenizerJSON: the older files alone give the same ids.
func TestOpenWithoutTokenizerJSON(t *testing.T) {
	wordPiece, err := TrainWordPiece(slices.Values(captions), 500)
	if err != nil {
		t.Fatal(err)
	}
	bpe, err := TrainBPE(slices.Values(captions), 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []Tokenizer{wordPiece, bpe, open(t, "testdata/clip"), open(t, "testdata/t5")} {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, tokenizerFile)); err != nil {
			t.Fatal(err)
		}
		got := open(t, dir)
		if got.VocabSize() != tok.VocabSize() {
			t.Errorf("%T: %d ids, want %d", tok, got.VocabSize(), tok.VocabSize())
		}
		for _, s := range append(captions, "[DEC] </s> caf\u00e9 <image> <extra_id_3> <|startoftext|>") {
			if a, b := got.Encode(s), tok.Encode(s); !slices.Equal(a, b) {
				t.Errorf("%T %q: %v, want %v", tok, s, a, b)
			}
		}
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenErrors(t *testing.T) {
	wordPiece := func(vocab, rest string) string {
		return fmt.Sprintf(`{"model":{"type":"WordPiece","vocab":%s},"pre_tokenizer":{"type":"BertPreTokenizer"}%s}`, vocab, rest)
	}
	bpe := func(vocab, merges string) string {
		return fmt.Sprintf(`{"model":{"type":"BPE","vocab":%s,"merges":%s},"pre_tokenizer":{"type":"ByteLevel"}}`, vocab, merges)
	}
	for _, c := range []struct{ name, file, content, want string }{
		{"no JSON", tokenizerFile, "{", tokenizerFile},
		{"no model", tokenizerFile, "{}", "model.type is missing"},
		{"another model", tokenizerFile, `{"model":{"type":"WordLevel","vocab":{}}}`, `"WordLevel" is not supported`},
		{"no vocabulary", tokenizerFile, wordPiece(`{}`, ""), "model.vocab: empty"},
		{"no unknown token", tokenizerFile, wordPiece(`{"a":0}`, ""), `"[UNK]" is not in the vocabulary`},
		{"id too large", tokenizerFile, wordPiece(`{"[UNK]":99999999999}`, ""), "out of range"},
		{"negative id", tokenizerFile, wordPiece(`{"[UNK]":-1}`, ""), "out of range"},
		{"one id twice", tokenizerFile, wordPiece(`{"[UNK]":0,"b":1,"a":1}`, ""), `id 1 belongs to both "a" and "b"`},
		{"hole", tokenizerFile, wordPiece(`{"[UNK]":0}`, `,"added_tokens":[{"id":7,"content":"x"}]`), `added token "x": id 7`},
		{"template", tokenizerFile, wordPiece(`{"[UNK]":0}`, `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[X]"}},{"Sequence":{"id":"A"}}]}`), `"[X]" is not in the vocabulary`},
		{"normalizer", tokenizerFile, wordPiece(`{"[UNK]":0}`, `,"normalizer":{"type":"NFKC"}`), `normalizer "NFKC"`},
		{"merge of one", tokenizerFile, bpe(`{"a":0}`, `["a"]`), "not two tokens"},
		{"merge unknown", tokenizerFile, bpe(`{"a":0,"b":1}`, `[["a","b"]]`), "merge 0"},
		{"Unigram without unk_id", tokenizerFile, unigramJSON("null", `[["a",0]]`, ""), "model.unk_id is missing"},
		{"Unigram unk_id", tokenizerFile, unigramJSON("null", `[["a",0]]`, `,"unk_id":1`), "unknown token's id 1"},
		{"Unigram pair", tokenizerFile, unigramJSON("null", `[["a"]]`, `,"unk_id":0`), "not a pair"},
		{"Unigram score", tokenizerFile, unigramJSON("null", `[["a",1e999]]`, `,"unk_id":0`), "model.vocab"},
		{"Unigram normalizer", tokenizerFile, unigramJSON(`{"type":"Bert"}`, `[["a",0]]`, `,"unk_id":0`), `normalizer: "Bert" is not supported`},
		{"charsmap", tokenizerFile, unigramJSON(charsmapJSON([]byte{1, 2}), `[["a",0]]`, `,"unk_id":0`), "precompiled_charsmap is cut short"},
		{"no base64", tokenizerFile, unigramJSON(`{"type":"Precompiled","precompiled_charsmap":"?"}`, `[["a",0]]`, `,"unk_id":0`), "precompiled_charsmap"},
		{"no charsmap", tokenizerFile, unigramJSON(`{"type":"Precompiled"}`, `[["a",0]]`, `,"unk_id":0`), "precompiled_charsmap is missing"},
		{"pattern", tokenizerFile, unigramJSON(`{"type":"Replace","pattern":{"Regex":"\\w"},"content":""}`, `[["a",0]]`, `,"unk_id":0`), `\w is not supported`},
		{"empty pattern", tokenizerFile, unigramJSON(`{"type":"Replace","pattern":{"Regex":"a*"},"content":""}`, `[["a",0]]`, `,"unk_id":0`), "fits the empty string"},
		{"deep sequence", tokenizerFile, unigramJSON(strings.Repeat(`{"type":"Sequence","normalizers":[`, 100)+`{"type":"NFC"}`+strings.Repeat("]}", 100), `[["a",0]]`, `,"unk_id":0`), "too many parts"},
		{"growing", tokenizerFile, unigramJSON(`{"type":"Sequence","normalizers":[`+strings.Repeat(`{"type":"Replace","pattern":{"String":"a"},"content":"aa"},`, 4)+`{"type":"Replace","pattern":{"String":"a"},"content":"aa"}]}`, `[["a",0]]`, `,"unk_id":0`), "too many parts that replace"},
		{"long content", tokenizerFile, unigramJSON(`{"type":"Replace","pattern":{"String":"a"},"content":"`+strings.Repeat("b", 1000)+`"}`, `[["a",0]]`, `,"unk_id":0`), "much longer"},
		{"two schemes", tokenizerFile, strings.Replace(unigramJSON("null", `[["a",0]]`, `,"unk_id":0`), `"▁"`, `"▁","add_prefix_space":false,"prepend_scheme":"always"`, 1), "add_prefix_space is false"},
		{"long mark", tokenizerFile, strings.Replace(unigramJSON("null", `[["a",0]]`, `,"unk_id":0`), `"▁"`, `"ab"`, 1), `"ab" is not one character`},
		{"sparse", tokenizerFile, wordPiece(`{"[UNK]":0,"a":4000000}`, ""), "out of range"},
		{"split", tokenizerFile, `{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"x"},"behavior":"Removed","invert":true},{"type":"ByteLevel"}]}}`, `pattern "x" of Split`},
		{"decoder", tokenizerFile, wordPiece(`{"[UNK]":0}`, `,"decoder":{"type":"CTC"}`), `decoder: "CTC"`},
		{"no SentencePiece", spieceFile, "hello", spieceFile},
		{"empty SentencePiece", spieceFile, "", "no pieces"},
		{"CLIP without its tokens", vocabJSONFile, `{"a":0}`, "merges.txt"},
		{"empty line", vocabTxtFile, "[UNK]\n\n[CLS]\n", "vocab.txt:2: empty line"},
		{"same line", vocabTxtFile, "[UNK]\n[CLS]\n[UNK]\n", "vocab.txt:3"},
		{"no [CLS]", vocabTxtFile, "[UNK]\n", `"[CLS]" is missing`},
		{"no merges", vocabJSONFile, `{"a":0}`, mergesFile},
		{"nothing", "other.txt", "", "no tokenizer.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.file, c.content)
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one with %q and the folder", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

func FuzzEncode(f *testing.F) {
	bert, opt, clip, t5 := open(f, "testdata/bert"), open(f, "testdata/opt"), open(f, "testdata/clip"), open(f, "testdata/t5")
	trained, err := TrainBPE(slices.Values(captions), 600)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range append(captions, "", "\xff\xc3", "a</s>b", "\u2003 x", "[DEC]\u00a0<image>  y", "''s 'll") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range []Tokenizer{bert, opt, clip, t5, trained} {
			ids := tok.Encode(s)
			for _, id := range ids {
				if id < 0 || int(id) >= tok.VocabSize() {
					t.Fatalf("id %d of %d", id, tok.VocabSize())
				}
			}
			tok.Decode(ids, true)
		}
		if got := trained.Decode(trained.EncodePlain(s), false); utf8.ValidString(s) && got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

func FuzzOpen(f *testing.F) {
	for _, kind := range []string{"bert", "opt", "clip", "t5"} {
		data, err := os.ReadFile(filepath.Join("testdata", kind, tokenizerFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseTokenizerJSON(data, &folderConfig{})
		if err != nil {
			return
		}
		tok.Decode(tok.Encode("a b</s> [CLS] caf\u00e9 \U0001F600"), true)
	})
}

func ExampleOpen() {
	tok, err := Open("testdata/bert")
	if err != nil {
		panic(err)
	}
	ids := tok.Encode("A photo of two cats.")
	fmt.Println(ids)
	fmt.Println(tok.Decode(ids, true))
	// Output:
	// [2 26 6 7 8 10 53 3]
	// a photo of two cats.
}

// TestConcurrent encodes from several goroutines, which share the cache of words.
func TestConcurrent(t *testing.T) {
	for _, kind := range []string{"bert", "opt", "clip", "t5"} {
		tok := open(t, filepath.Join("testdata", kind))
		var want [][]int32
		for _, s := range captions {
			want = append(want, open(t, filepath.Join("testdata", kind)).Encode(s))
		}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 20 {
					for i, s := range captions {
						if got := tok.Encode(s); !slices.Equal(got, want[i]) {
							t.Errorf("%s %q: %v, want %v", kind, s, got, want[i])
						}
					}
				}
			})
		}
		group.Wait()
	}
}

// TestHostile: files made to cost time or memory are refused, or opened, within a second.
func TestHostile(t *testing.T) {
	added := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"id":%d,"content":"<%d>"}`, i+1, i)
		}
		return `{"model":{"type":"WordPiece","vocab":{"[UNK]":0}},"pre_tokenizer":{"type":"BertPreTokenizer"},"added_tokens":[` + b.String()[1:] + "]}"
	}
	for _, c := range []struct{ name, content, want string }{
		{"nesting", strings.Repeat("[", 1<<20), "depth"},
		{"nested part", unigramJSON(strings.Repeat(`{"type":"Sequence","normalizers":[`, 1000)+strings.Repeat("]}", 1000), `[["a",0]]`, `,"unk_id":0`), "too many parts"},
		{"wide sequence", unigramJSON(`{"type":"Sequence","normalizers":[`+strings.Repeat(`{"type":"NFC"},`, 100000)+`{"type":"NFC"}]}`, `[["a",0]]`, `,"unk_id":0`), "too many parts"},
		{"far id", `{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"a":4000000000}},"pre_tokenizer":{"type":"BertPreTokenizer"}}`, "out of range"},
		{"merges of nothing", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[` + strings.Repeat(`"x y",`, 100000) + `"x y"]},"pre_tokenizer":{"type":"ByteLevel"}}`, "merge 0"},
		{"one long token", unigramJSON("null", `[["`+strings.Repeat("ab", 5<<20)+`",0]]`, `,"unk_id":0`), "a token of 10485760 bytes"},
		{"many added tokens", added(50000), ""},
	} {
		start := time.Now()
		tok, err := parseTokenizerJSON([]byte(c.content), &folderConfig{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500) {
			t.Errorf("%s: error %.600v, want one with %q", c.name, err, c.want)
		}
		if err == nil {
			tok.Encode(strings.Repeat("<1><", 10000))
		}
		if took := time.Since(start); took > 10*time.Second { // of a busy machine
			t.Errorf("%s took %v", c.name, took)
		}
	}
}
