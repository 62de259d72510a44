package text

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var captions = []string{
	"a large red cube left of a small blue sphere",
	"a small blue sphere and a large red cube",
	"two green cylinders, a red cube!",
	"It's a caf\u00e9 \u65e5 with 3 cubes.",
}

func TestTrainWordPiece(t *testing.T) {
	tok, err := TrainWordPiece(slices.Values(captions), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{PadToken, UnkToken, ClsToken, SepToken, MaskToken} {
		if got := tok.Token(int32(i)); got != want {
			t.Errorf("id %d is %q, want %q", i, got, want)
		}
	}
	if got := tok.Token(int32(tok.VocabSize() - 1)); got != DecToken {
		t.Errorf("last token is %q, want %q", got, DecToken)
	}
	for _, word := range []string{"red", "cube", "large", "sphere"} {
		if ids := tok.EncodePlain(word); len(ids) != 1 || ids[0] == tok.unk {
			t.Errorf("%q occurs twice, but its ids are %v", word, ids)
		}
	}
	for _, s := range append(captions, "bulgy scarf 日3cab!!") { // new words of known characters
		if ids := tok.Encode(s); slices.Contains(ids, tok.unk) {
			t.Errorf("%q has unknown pieces: %v", s, ids)
		}
	}
	if got := tok.EncodePlain("q"); !slices.Equal(got, []int32{tok.unk}) {
		t.Errorf("a character that was never seen: ids %v, want [UNK]", got)
	}
	if got, want := tok.Decode(tok.Encode("Two RED cubes, left."), true), "two red cubes, left."; got != want {
		t.Errorf("decoded %q, want %q", got, want)
	}
	backwards := slices.Clone(captions)
	slices.Reverse(backwards)
	other, err := TrainWordPiece(slices.Values(backwards), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tok.tokens, other.tokens) {
		t.Error("the order of the texts changes the vocabulary")
	}
}

func TestTrainBPE(t *testing.T) {
	tok, err := TrainBPE(slices.Values(captions), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{OPTBosToken, OPTPadToken, OPTEosToken, OPTUnkToken, "!"} {
		if got := tok.Token(int32(i)); got != want {
			t.Errorf("id %d is %q, want %q", i, got, want)
		}
	}
	for _, word := range []string{" red", " cube", " large", " sphere", " small"} {
		if ids := tok.EncodePlain(word); len(ids) != 1 {
			t.Errorf("%q is frequent, but has %d tokens", word, len(ids))
		}
	}
	if got := tok.Encode("a red cube"); got[0] != 2 || tok.Decode(got, true) != "a red cube" {
		t.Errorf("Encode = %v, decoded %q", got, tok.Decode(got, true))
	}
	backwards := slices.Clone(captions)
	slices.Reverse(backwards)
	other, err := TrainBPE(slices.Values(backwards), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tok.merges, other.merges) {
		t.Error("the order of the texts changes the merges")
	}
}

// TestTrainBPESpecial: a text that spells a special token must not teach it.
func TestTrainBPESpecial(t *testing.T) {
	tok, err := TrainBPE(slices.Values(slices.Repeat([]string{"</s></s> <s> <pad>x"}, 50)), 400)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tok.merges {
		if id := tok.ids[m.left+m.right]; id < 4 {
			t.Errorf("%q was learnt as a merge", m.left+m.right)
		}
	}
}

func TestTrainErrors(t *testing.T) {
	none := slices.Values([]string{"", "  \t"})
	some := slices.Values([]string{"a few words"})
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"no words", second(TrainWordPiece(none, 100)), "no words"},
		{"too small", second(TrainWordPiece(some, 8)), "too few"},
		{"no texts", second(TrainBPE(slices.Values([]string{""}), 300)), "empty"},
		{"too small", second(TrainBPE(some, 259)), "too few"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// manyCaptions returns n different sentences in the style of a caption corpus.
func manyCaptions(n int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	colours := strings.Fields("red green blue yellow cyan magenta orange purple white black")
	shapes := strings.Fields("cube sphere cylinder cone torus pyramid star ring")
	places := []string{"left of", "right of", "above", "below", "behind", "in front of"}
	texts := make([]string, n)
	for i := range texts {
		pick := func(list []string) string { return list[rng.IntN(len(list))] }
		texts[i] = fmt.Sprintf("a %s %s is %s the %s %s number %d", pick(colours), pick(shapes), pick(places), pick(colours), pick(shapes), rng.IntN(20000))
	}
	return texts
}

func BenchmarkTrainWordPiece(b *testing.B) {
	texts := manyCaptions(200_000)
	for b.Loop() {
		if _, err := TrainWordPiece(slices.Values(texts), 8000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrainBPE(b *testing.B) {
	texts := manyCaptions(200_000)
	for b.Loop() {
		if _, err := TrainBPE(slices.Values(texts), 8000); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	texts := manyCaptions(1000)
	wordPiece, err := TrainWordPiece(slices.Values(texts), 2000)
	if err != nil {
		b.Fatal(err)
	}
	bpe, err := TrainBPE(slices.Values(texts), 2000)
	if err != nil {
		b.Fatal(err)
	}
	for name, tok := range map[string]Tokenizer{"WordPiece": wordPiece, "BPE": bpe} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				tok.Encode(texts[i%len(texts)])
				i++
			}
		})
	}
}
