package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestUnicode compares the measured tables with Go's: they may differ in what only one of the two
// Unicode versions knows, not in what both know.
func TestUnicode(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skipf("the numbers of differences are counted for Unicode 15, Go has %s", unicode.Version)
	}
	counts := map[string]int{}
	for r := rune(0); r < 0x20000; r++ { // beyond are ideographs, and little else
		if !utf8.ValidRune(r) {
			continue
		}
		class := classOf(r)
		if got, want := class&spaceBit != 0, unicode.IsSpace(r); got != want {
			t.Errorf("%U: white space %v, want %v", r, got, want)
		}
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co) {
			continue // not assigned in Go's version
		}
		for _, c := range []struct {
			name      string
			got, want bool
		}{
			{"letter", class&letterBit != 0, unicode.IsLetter(r)},
			{"number", class&numberBit != 0, unicode.IsNumber(r)},
			{"punctuation", class&punctuationBit != 0, unicode.IsPunct(r) || r < utf8.RuneSelf && unicode.IsSymbol(r)},
			{"control", class&controlBit != 0, r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && !strings.ContainsRune("\t\n\r", r)},
			{"mark", class&markBit != 0, unicode.Is(unicode.Mn, r) && norm.NFD.String(string(r)) == string(r)},
			{"lower case", runes.lower[r] != "", unicode.ToLower(r) != r},
		} {
			if c.got != c.want {
				counts[c.name]++
			}
		}
	}
	// Punctuation, control characters and marks are of Unicode 8 in the reference.
	for name, most := range map[string]int{"letter": 0, "number": 0, "punctuation": 150, "control": 60, "mark": 450, "lower case": 0} {
		if counts[name] > most {
			t.Errorf("%s: %d code points differ from Go's, more than %d", name, counts[name], most)
		}
	}
	t.Log(counts)
}

func TestGraphemeLen(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"ab", "a"},
		{"\r\nx", "\r\n"},
		{"\n\u0301", "\n"},
		{"e\u0301\u0323x", "e\u0301\u0323"},
		{"\u0301\u0302a", "\u0301\u0302"},
		{"\u1100\u1161\u11a8\u1100", "\u1100\u1161\u11a8"},
		{"\uac00\u11a8\uac00", "\uac00\u11a8"},
		{"\U0001F1EB\U0001F1F7\U0001F1EB", "\U0001F1EB\U0001F1F7"},
		{"\U0001F468\u200d\U0001F469\u200d\U0001F467x", "\U0001F468\u200d\U0001F469\u200d\U0001F467"},
		{"a\u200d\U0001F469", "a\u200d"},
		{"\u0915\u094d\u0937\u093f\u0915", "\u0915\u094d\u0937\u093f"},
		{"\u0600a", "\u0600a"},
	} {
		if got := c.s[:graphemeLen(c.s)]; got != c.want {
			t.Errorf("%+q: %+q, want %+q", c.s, got, c.want)
		}
	}
}

// TestNormalForm: the careful way does what the package does, and unlike it to what the reference
// does not know, and to long runs of marks.
func TestNormalForm(t *testing.T) {
	samples := []string{
		"caf\u00e9 \u212b \ufb01 \uac01 \u1100\u1161\u11a8", "q\u0323\u0307 q\u0307\u0323", "a\u0345\u0301\u0316b\u05b0\u0591",
		"\u0958\u0929\u0915\u093c", "\u0340\u0344\u0374\u2126", "\u0301a\u0301", "\u09c7\u09be\u0b47\u0b56", "\u1e9b\u0323",
	}
	for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		for _, s := range samples {
			want := form.String(s)
			if got := normalForm(form, s); got != want {
				t.Errorf("form %d of %+q: %+q, want %+q", form, s, got, want)
			}
			if got := carefulForm(form, s); got != want {
				t.Errorf("careful form %d of %+q: %+q, want %+q", form, s, got, want)
			}
		}
	}
	long := "a" + strings.Repeat("\u0323\u0301", 40)
	if got, want := normalForm(norm.NFC, long), "\u1ea1"+strings.Repeat("\u0323", 39)+strings.Repeat("\u0301", 40); got != want {
		t.Errorf("long run: %+q, want %+q", got, want)
	}
	if got, want := normalForm(norm.NFD, "\u00e9\u08ca\u0323"), "e\u0301\u08ca\u0323"; got != want {
		t.Errorf("a mark that the reference does not know: %+q, want %+q", got, want)
	}
}
