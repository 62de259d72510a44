package ptb

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type tokenCase struct{ Raw, Tok string }

func readCases(t *testing.T, path string) (cases []tokenCase) {
	t.Helper()
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skipf("reference data is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func compare(t *testing.T, cases []tokenCase) {
	t.Helper()
	lines := make([]string, len(cases))
	for i, c := range cases {
		lines[i] = c.Raw
	}
	for i, got := range Lines(lines) {
		if got != cases[i].Tok {
			t.Errorf("%q\n got %q\nwant %q", lines[i], got, cases[i].Tok)
		}
	}
}

// TestStress compares with the reference program on 539 invented hard lines.
func TestStress(t *testing.T) {
	cases := readCases(t, "testdata/ptb_stress.json.gz")
	if len(cases) != 539 {
		t.Fatalf("%d cases, want 539", len(cases))
	}
	compare(t, cases)
}

// TestGenerated compares on generated lines that no person would write: see scripts/fuzz_ptb.py.
func TestGenerated(t *testing.T) { compare(t, readCases(t, "testdata/generated.json.gz")) }

// TestCases compares on the cases of a file, and counts.
func TestCases(t *testing.T) {
	path := os.Getenv("GOBLIP_PTB_CASES")
	if path == "" {
		t.Skip("GOBLIP_PTB_CASES names no file: scripts/fuzz_ptb.py makes one")
	}
	cases := readCases(t, path)
	compare(t, cases)
	t.Logf("%d lines", len(cases))
}

// TestCaptions compares on 3,224 captions of COCO where they are: GOBLIP_METRICS names their folder.
func TestCaptions(t *testing.T) {
	dir := os.Getenv("GOBLIP_METRICS")
	if dir == "" {
		t.Skip("GOBLIP_METRICS is not set")
	}
	compare(t, readCases(t, filepath.Join(dir, "ptb_tokens.json.gz")))
}

func TestTokenize(t *testing.T) {
	for _, c := range []struct{ caption, want string }{
		{"A dog.", "a dog"},
		{"A large, red bus (parked).", "a large red bus -lrb- parked -rrb-"},
		{"the dog's bowl isn't full", "the dog 's bowl is n't full"},
		{"It’s 5:50 o'clock; cannot go", "it 's 5:50 o'clock can not go"},
		{"3 1/2 pizzas, ½ eaten", "3\u00a01/2 pizzas 1/2 eaten"},
		{"Wait!!! what??", "wait !!! what ??"},
		{"a\nb\tc\r\u2028d", "a b c d"},
		{"a cat 😀 sleeps", "a cat sleeps"},
		{"", ""},
		{" .,;:! ? ", ""},
		{"\xff\xfe", ""},
	} {
		if got := Tokenize(c.caption); got != c.want {
			t.Errorf("Tokenize(%q) = %q, want %q", c.caption, got, c.want)
		}
	}
}

// TestNextLine: only the point behind a single letter, and an abbreviation before a number, look into the next line.
func TestNextLine(t *testing.T) {
	for _, c := range []struct{ line, next, want string }{
		{"with vitamin C.", "A dog", "with vitamin c"},
		{"with vitamin C.", "a dog", "with vitamin c."},
		{"with vitamin C.", "The", "with vitamin c"},
		{"with vitamin C.", "", "with vitamin c."},
		{"in the U.S.", "A dog", "in the u.s."},
		{"this is no.", "5 dogs", "this is no."},
		{"this is no.", "five dogs", "this is no"},
	} {
		if got := Lines([]string{c.line, c.next})[0]; got != c.want {
			t.Errorf("%q before %q: %q, want %q", c.line, c.next, got, c.want)
		}
	}
}

// TestPlainWords: the short cut for plain words gives what the rules give.
func TestPlainWords(t *testing.T) {
	for _, line := range strings.Split("A dog, a cat.|cannot gonna|Mr. Fox and Mrs. I.|no. 5 no. x|miss. Miss. wash.|end.|X|a.m. p.m|co, etc., x", "|") {
		l := newLexer(line, "")
		fast := strings.Join(l.tokens(nil), " ")
		l.noShortCut = true
		if slow := strings.Join(l.tokens(nil), " "); fast != slow {
			t.Errorf("%q: %q by the short cut, %q by the rules", line, fast, slow)
		}
	}
}

func FuzzTokenize(f *testing.F) {
	f.Add("The dog's \"upside-down\" 1,000 U.S. (signs)!!", "A")
	f.Add("'s ’ -- … \xff no.", "5")
	f.Add("a@b.com www.x.com/y <br/> 555-1234 :-) ...", "")
	f.Fuzz(func(t *testing.T, line, next string) {
		got := Lines([]string{line, next})[0]
		if strings.ContainsAny(got, "\n\t\r") || got != strings.Join(strings.Split(got, " "), " ") || strings.Contains(got, "  ") {
			t.Errorf("%q: tokens %q are not joined by single spaces", line, got)
		}
		l := newLexer(line, next)
		fast := strings.Join(l.tokens(nil), " ")
		l.noShortCut = true
		if slow := strings.Join(l.tokens(nil), " "); fast != slow {
			t.Errorf("%q: %q by the short cut, %q by the rules", line, fast, slow)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	lines := []string{"A man riding a wave on top of a surfboard.", "Two dogs play in the yard, next to a child's red ball.",
		"a half-eaten sandwich on a plate"}
	for b.Loop() {
		Lines(lines)
	}
}
