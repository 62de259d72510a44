package text

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// testUnigram makes a tokenizer of "token score" pairs, the first token being unknown.
func testUnigram(t testing.TB, byteFallback bool, pairs ...any) *Unigram {
	t.Helper()
	tokens, scores := []string{"<unk>"}, []float64{0}
	for i := 0; i < len(pairs); i += 2 {
		tokens, scores = append(tokens, pairs[i].(string)), append(scores, pairs[i+1].(float64))
	}
	u, err := newUnigram(newVocabulary(tokens), scores, 0, byteFallback)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func pieces(u *Unigram, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = u.Token(id)
	}
	return out
}

func TestUnigram(t *testing.T) {
	u := testUnigram(t, false, "▁", -1.0, "▁a", -2.0, "a", -2.0, "b", -2.0, "ab", -1.0, "▁ab", -9.0, "日", -3.0, "xyz", -200.0, "c", -1.0, "▁c", -2.0)
	withBytes := testUnigram(t, true, "▁", -1.0, "a", -2.0, "<0xC3>", -9.0, "<0xA9>", -9.0)
	cheap := testUnigram(t, false, "a", 5.0, "a€", -10.0)
	for _, c := range []struct {
		name string
		u    *Unigram
		text string
		want []string
	}{
		{"best, not longest", u, "ab", []string{"▁", "ab"}},
		{"equally good: the one found first", u, "c", []string{"▁c"}},
		{"white space is gone", u, " \t a\u3000b\n", []string{"▁a", "▁", "b"}},
		{"unknown neighbours are one", u, "a€£b", []string{"▁a", "<unk>", "b"}},
		{"unknown apart", u, "€a£", []string{"▁", "<unk>", "a", "<unk>"}},
		{"unknown stretch that is a token after all", u, "xyz", []string{"▁", "xyz"}},
		{"marks", u, "a▁b▁▁", []string{"▁a", "▁", "b", "▁", "▁"}},
		{"what is unknown costs more than any token", cheap, "a€", []string{"<unk>", "a€"}},
		{"bytes", withBytes, "aé", []string{"▁", "a", "<0xC3>", "<0xA9>"}},
		{"a byte is lacking", withBytes, "a€é", []string{"▁", "a", "<unk>"}},
		{"not UTF-8", u, "a\xffb", []string{"▁a", "<unk>", "b"}},
		{"nothing", u, "", []string{}},
	} {
		if got := pieces(c.u, c.u.EncodePlain(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestUnigramIsBest compares scores with the best of all ways to cut a word.
func TestUnigramIsBest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var pairs []any
		for n := 1 + rng.IntN(12); n > 0; n-- {
			token := ""
			for range 1 + rng.IntN(4) {
				token += string([]rune("abé日")[rng.IntN(4)])
			}
			pairs = append(pairs, token, -float64(rng.IntN(40))/4)
		}
		u := testUnigram(t, false, pairs...)
		word := ""
		for range 1 + rng.IntN(9) {
			word += string([]rune("abé日x")[rng.IntN(5)])
		}
		var best func(s string) float64
		best = func(s string) float64 {
			if s == "" {
				return 0
			}
			_, size := utf8.DecodeRuneInString(s)
			top, whole := math.Inf(-1), false
			for end := 1; end <= len(s); end++ {
				if id, ok := u.ids[s[:end]]; ok {
					top = max(top, u.scores[id]+best(s[end:]))
					whole = whole || end == size
				}
			}
			if !whole {
				top = max(top, u.unkScore+best(s[size:]))
			}
			return top
		}
		got, rest := 0.0, word
		for _, id := range u.appendWord(nil, word) {
			if id != u.unk {
				got += u.scores[id]
				rest = rest[strings.Index(rest, u.Token(id))+len(u.Token(id)):]
			}
		}
		// Unknown characters: as many as the known tokens leave.
		known := 0
		for _, id := range u.appendWord(nil, word) {
			if id != u.unk {
				known += utf8.RuneCountInString(u.Token(id))
			}
		}
		got += float64(utf8.RuneCountInString(word)-known) * u.unkScore
		if want := best(word); math.Abs(got-want) > 1e-9 {
			t.Fatalf("%q with %v: score %g, the best is %g", word, pairs, got, want)
		}
	}
}

// TestMetaspace runs the arrangements that files of different age have.
func TestMetaspace(t *testing.T) {
	for _, c := range []struct {
		name, json, text string
		first            int
		want             []string
	}{
		{"words", `{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","add_prefix_space":true}]}`, " a  b", 1, []string{"▁a", "▁b"}},
		{"alone", `{"type":"Metaspace","replacement":"▁","str_rep":"▁","add_prefix_space":true}`, "a  b ", 1, []string{"▁a", "▁", "▁b", "▁"}},
		{"leading space", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}`, " a", 1, []string{"▁a"}},
		{"never", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"never"}`, "a b", 1, []string{"a", "▁b"}},
		{"old never", `{"type":"Metaspace","replacement":"▁","add_prefix_space":false}`, "a", 1, []string{"a"}},
		{"first", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}`, "a", 1, []string{"▁a"}},
		{"not first", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}`, "a", 0, []string{"a"}},
		{"whole", `{"type":"Metaspace","replacement":"▁","split":false}`, "a b", 1, []string{"▁a▁b"}},
		{"another mark", `{"type":"Metaspace","replacement":"_"}`, "a b", 1, []string{"_a", "_b"}},
	} {
		p, err := parseSpacePreTokenizer([]byte(c.json))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		p.split(c.text, c.first, func(w string) { got = append(got, w) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestFirst: with prepend_scheme first, the word gets a mark that starts where the text does, before
// normalization.
func TestFirst(t *testing.T) {
	for _, c := range []struct {
		words bool
		text  string
		want  []string
	}{
		{false, "a", []string{"▁", "a"}},
		{false, "\x01a", []string{"▁", "a"}},
		{true, "a a", []string{"▁", "a", "a"}},
		{true, "\x01a", []string{"a"}},
		{true, " a", []string{"a"}},
		{true, "\u00b4a", []string{"▁", "<unk>", "a"}}, // a space and a mark
		{true, "</s>a", []string{"</s>", "a"}},
	} {
		u := testUnigram(t, false, "▁", -1.0, "a", -1.0, "</s>", 0.0)
		u.AddSpecial("</s>")
		u.normalizer = sequenceNormalizer{nmtNormalizer{}, formNormalizer("NFKC")}
		u.words.scheme, u.words.words = prependFirst, c.words
		if got := pieces(u, u.EncodePlain(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%q, words %v: %q, want %q", c.text, c.words, got, c.want)
		}
	}
}

// unigramJSON writes a small tokenizer.json.
func unigramJSON(normalizer, vocab, rest string) string {
	return fmt.Sprintf(`{"model":{"type":"Unigram","vocab":%s%s},"normalizer":%s,"pre_tokenizer":{"type":"Metaspace","replacement":"▁"}}`, vocab, rest, normalizer)
}

// charsmapJSON writes a normalizer with these bytes.
func charsmapJSON(data []byte) string {
	return fmt.Sprintf(`{"type":"Precompiled","precompiled_charsmap":%q}`, base64.StdEncoding.EncodeToString(data))
}

// TestCharsmapHostile: maps whose offsets lead anywhere are refused, or at least do no harm.
func TestCharsmapHostile(t *testing.T) {
	header := func(size uint32) []byte { return binary.LittleEndian.AppendUint32(nil, size) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "cut short"},
		{"size too large", append(header(1<<31), 1, 2, 3, 4), "trie of"},
		{"no trie", header(0), "trie of"},
		{"not UTF-8", append(header(4), 0, 0, 0, 0, 0xFF), "not UTF-8"},
		{"no end", append(header(4), 0, 0, 0, 0, 'a'), "no end"},
		{"too long", append(append(header(4), 0, 0, 0, 0), make([]byte, 5000)...), ""},
		{"long replacement", append(append(header(4), 0, 0, 0, 0), strings.Repeat("a", 5000)+"\x00"...), "5000 bytes"},
	} {
		_, err := readCharsmap(c.data)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		data := header(4 * 64)
		for range 64 {
			unit := rng.Uint32N(1<<17) | rng.Uint32N(2)<<31
			data = binary.LittleEndian.AppendUint32(data, unit)
		}
		data = append(data, "é\x00日\x00"...)
		m, err := readCharsmap(data)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.normalize("abc \r\n é e\u0301 日本 \U0001F600"); !utf8.ValidString(s) {
			t.Fatalf("%q is not UTF-8", s)
		}
	}
}

// TestSpieceKinds: what is written back is read again, the kinds of pieces included.
func TestSpieceKinds(t *testing.T) {
	u := testUnigram(t, true, "</s>", 0.0, "<user>", 0.0, "a", -1.5, "<0x41>", -2.0, "<extra_id_1>", 0.0, "<extra_id_0>", 0.0)
	u.AddSpecial("</s>")
	if err := u.addToken(addedToken{ID: 2, Content: "<user>"}, nil); err != nil {
		t.Fatal(err)
	}
	data, extraIDs, ok := u.spiece()
	if !ok || extraIDs != 2 {
		t.Fatalf("%d extra ids, %v", extraIDs, ok)
	}
	m, err := parseSpiece(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int64{pieceUnknown, pieceControl, pieceUserDefined, pieceNormal, pieceByte}; !slices.Equal(m.kinds, want) {
		t.Errorf("kinds %v, want %v", m.kinds, want)
	}
	if !slices.Equal(m.scores, u.scores[:5]) || !slices.Equal(m.pieces, u.tokens[:5]) || m.unk != 0 || !m.byteFallback || m.charsmap != nil {
		t.Errorf("read back %+v", m)
	}
	u.words.apart = false
	if _, _, ok := u.spiece(); ok {
		t.Error("a model without words was written as if it had them")
	}
}

func FuzzSpiece(f *testing.F) {
	u, ok := open(f, "testdata/t5").(*Unigram)
	if !ok {
		f.Fatal("testdata/t5 is no Unigram")
	}
	data, _, ok := u.spiece()
	if !ok {
		f.Fatal("testdata/t5 cannot be written as spiece.model")
	}
	f.Add(data)
	f.Add(data[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseSpiece(data)
		if err != nil {
			return
		}
		tok, err := m.tokenizer(&folderConfig{extraIDs: 2})
		if err != nil {
			return
		}
		tok.Decode(tok.Encode("a b</s> <extra_id_0> caf\u00e9 e\u0301 \U0001F600"), true)
	})
}
