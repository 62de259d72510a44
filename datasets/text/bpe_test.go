package text

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestMergeOrder compares the heap with merging by the definition: the lowest rank first, leftmost
// among equals.
func TestMergeOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		suffix := []string{"", wordSuffix}[rng.IntN(2)]
		var tokens []string
		for _, letter := range "abc" {
			tokens = append(tokens, string(letter), string(letter)+suffix)
		}
		slices.Sort(tokens)
		tokens = slices.Compact(tokens)
		var merges []merge
		for range rng.IntN(14) {
			left, right := tokens[rng.IntN(len(tokens))], tokens[rng.IntN(len(tokens))]
			if suffix != "" && strings.HasSuffix(left, suffix) || slices.Contains(merges, merge{left, right}) {
				continue
			}
			merges = append(merges, merge{left, right})
			if !slices.Contains(tokens, left+right) {
				tokens = append(tokens, left+right)
			}
		}
		bpe, err := newBPE(newVocabulary(tokens), merges, -1, suffix)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for range 1 + rng.IntN(40) {
			want = append(want, string("abc"[rng.IntN(3)]))
		}
		word := strings.Join(want, "")
		want[len(want)-1] += suffix
		for {
			best, at := len(merges), -1
			for i := 1; i < len(want); i++ {
				if rank := slices.Index(merges, merge{want[i-1], want[i]}); rank >= 0 && rank < best {
					best, at = rank, i
				}
			}
			if at < 0 {
				break
			}
			want[at-1] += want[at]
			want = slices.Delete(want, at, at+1)
		}
		var got []string
		for _, id := range bpe.appendWord(nil, word) {
			got = append(got, bpe.Token(id))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q with %v: %q, want %q", word, merges, got, want)
		}
	}
}

func TestClipWords(t *testing.T) {
	for _, c := range []struct {
		text     string
		specials bool
		want     []string
	}{
		{"it's a 3d cat!!", true, []string{"it", "'s", "a", "3", "d", "cat", "!!"}},
		{"42 '' 's", true, []string{"4", "2", "''", "'s"}},
		{"a <|endoftext|> b", true, []string{"a", "<|", "endoftext", "|>", "b"}},
		{"<|endoftext|>'s", false, []string{"<|", "endoftext", "|>'", "s"}},
		{"<|endoftext|>'s", true, []string{"<|", "endoftext", "|>", "'s"}},
		{" \u3000 ", true, nil},
	} {
		var got []string
		clipWords(c.text, c.specials, func(w string) { got = append(got, w) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
