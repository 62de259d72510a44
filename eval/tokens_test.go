package eval

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"
)

func TestTokenize(t *testing.T) {
	for _, c := range []struct{ caption, want string }{
		{"A dog.", "a dog"},
		{"A large, red bus (parked).", "a large red bus -lrb- parked -rrb-"},
		{"the dog's bowl isn't full", "the dog 's bowl is n't full"},
		{"It’s 5:50 o'clock; cannot go", "it 's 5:50 o'clock can not go"},
		{"an \"upside-down\" sign", "an upside-down sign"},
		{"on Main St. in the U.S.", "on main st. in the u.s."},
		{"1,000 sheep,two dogs", "1,000 sheep two dogs"},
		{"Wait!!! what??", "wait !!! what ??"},
		{"two -- or three - cats...", "two or three cats"},
		{"a\nb\tc", "a b c"},
		{"", ""},
		{" .,;:! ? ", ""},
		{"tha'ts black'blue", "tha ts black blue"},
	} {
		if got := Tokenize(c.caption); got != c.want {
			t.Errorf("Tokenize(%q) = %q, want %q", c.caption, got, c.want)
		}
	}
}

func FuzzTokenize(f *testing.F) {
	f.Add("The dog's \"upside-down\" 1,000 U.S. (signs)!!")
	f.Add("'s ’ -- … \xff")
	f.Fuzz(func(t *testing.T, s string) {
		once := Tokenize(s)
		if again := Tokenize(s); again != once {
			t.Errorf("Tokenize(%q) is %q and then %q", s, once, again)
		}
	})
}

// TestTokenizeShare measures the agreement that the comment of Tokenize states, where the reference captions are.
func TestTokenizeShare(t *testing.T) {
	var cases []struct{ Raw, Tok string }
	readReference(t, "ptb_tokens.json.gz", &cases)
	same := 0
	for _, c := range cases {
		if got := Tokenize(c.Raw); got == c.Tok {
			same++
		} else if testing.Verbose() {
			t.Logf("%q\n got %q\nwant %q", c.Raw, got, c.Tok)
		}
	}
	t.Logf("%d of %d captions have the same tokens", same, len(cases))
	if same < 3218 {
		t.Errorf("only %d of %d captions have the same tokens", same, len(cases))
	}
}

// readReference decodes a file of the larger reference data, which lies outside the repository: GOBLIP_METRICS names
// its folder, ../../shared/metrics is looked at too, and the test is skipped where there is neither.
func readReference(t *testing.T, name string, value any) {
	t.Helper()
	dir := os.Getenv("GOBLIP_METRICS")
	if dir == "" {
		dir = "../../shared/metrics"
	}
	readGzip(t, dir+"/"+name, value)
}

func readGzip(t *testing.T, path string, value any) {
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
	if err := json.NewDecoder(z).Decode(value); err != nil {
		t.Fatal(err)
	}
}
