package text

import (
	"strings"
	"testing"
)

func TestDecoders(t *testing.T) {
	for _, c := range []struct {
		name, json string
		tokens     []string
		want       string
	}{
		{"Metaspace", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}`, []string{"▁a", "▁b▁c", "d"}, "a b cd"},
		{"Metaspace that prepends nothing", `{"type":"Metaspace","replacement":"▁","add_prefix_space":false}`, []string{"▁a", "▁b"}, " a b"},
		{"WordPiece", `{"type":"WordPiece","prefix":"##","cleanup":true}`, []string{"do", "##n", "'", "t", "!", "##ing"}, "don ' t!ing"},
		{"WordPiece as it is", `{"type":"WordPiece","prefix":"##","cleanup":false}`, []string{"a", ".", "##b"}, "a .b"},
		{"BPEDecoder", `{"type":"BPEDecoder","suffix":"</w>"}`, []string{"a</w>", "b", "c</w>"}, "a bc"},
		{"SentencePiece", `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`,
			[]string{"▁▁a", "<0xC3>", "<0xa9>", "<0xFF>", "b"}, " a\ufffd\ufffd\ufffdb"},
		{"bytes", `{"type":"ByteFallback"}`, []string{"<0xC3>", "<0xA9>", "<0x4>", "<0xZZ>"}, "é<0x4><0xZZ>"},
		{"Strip", `{"type":"Strip","content":"_","start":1,"stop":2}`, []string{"__a___"}, "_a_"},
		{"ByteLevel", `{"type":"ByteLevel"}`, []string{"Ġa", "Ã©", "Ã", "x y"}, " aé\ufffdx y"},
		{"pattern", `{"type":"Replace","pattern":{"Regex":"[\\s-]+"},"content":"/"}`, []string{"a - b", "\u3000"}, "a/b/"},
	} {
		d, err := parseDecoder([]byte(c.json), newParts())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(d.decode(c.tokens), ""); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCleanUp(t *testing.T) {
	for s, want := range map[string]string{
		"it 's a dog , is n't it ?": "it's a dog, isn't it?",
		"we ' re . . . !":           "we're...!",
		"do not":                    "do not",
		"":                          "",
	} {
		if got := CleanUp(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestReplaceSpaces(t *testing.T) {
	for s, want := range map[string]string{
		"a b": "a b", "": "", " ": " ", "a\tb": "a b", "  a \u3000\n b ": " a b ", "\r": " ", "é  é": "é é",
	} {
		if got := newSpaces().normalize(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
