package meteor

import (
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reference is what the authors' program said: see scripts/meteor_reference.py.
type reference struct {
	Normal, Stems, Scores [][2]string
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// ourLists makes a jar of the lists in testdata, and with paraphrases beside it.
func ourLists(t testing.TB, withTable bool) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "meteor-1.5.jar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	if err := z.AddFS(os.DirFS("testdata/lists")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if withTable {
		if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS("testdata/lists/data")); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func open(t testing.TB, path string) *Data {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// parseStats reads the 23 numbers that the authors' program prints.
func parseStats(t *testing.T, line string) (s Stats) {
	t.Helper()
	var n []float64
	for field := range strings.FieldsSeq(line) {
		x, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, x)
	}
	if len(n) != 23 {
		t.Fatalf("%q: %d numbers, want 23", line, len(n))
	}
	s = Stats{Length: n[0], RefLength: n[1], Function: n[2], RefFunction: n[3], Chunks: n[20], Matched: n[21], RefMatched: n[22]}
	for m := range s.Matches {
		s.Matches[m] = matched{n[4+4*m], n[5+4*m], n[6+4*m], n[7+4*m]}
	}
	return s
}

// compareScores wants the statistics of captions to be those of the authors' program.
func compareScores(t *testing.T, d *Data, cases [][2]string) {
	t.Helper()
	var hyps []string
	var refs [][]string
	for _, c := range cases {
		texts := strings.Split(c[0], " ||| ")
		hyps, refs = append(hyps, texts[0]), append(refs, texts[1:])
	}
	got, err := d.Score(hyps, refs)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i, c := range cases {
		if want := parseStats(t, c[1]); got[i] != want {
			if wrong++; wrong <= 5 {
				t.Errorf("%s\n got %v\nwant %v", c[0], got[i], want)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d differ", wrong, len(cases))
	}
}

func TestReference(t *testing.T) {
	var r reference
	readJSON(t, "testdata/reference.json.gz", &r)
	if len(r.Normal) != 3000 || len(r.Stems) < 3000 || len(r.Scores) != 1500 {
		t.Fatalf("%d, %d, %d cases", len(r.Normal), len(r.Stems), len(r.Scores))
	}
	for _, c := range r.Normal {
		if got := strings.Join(normalize(c[0]), " "); got != strings.Join(fields(c[1]), " ") {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
	for _, c := range r.Stems {
		if got := stem(c[0]); got != c[1] {
			t.Errorf("the stem of %q is %q, want %q", c[0], got, c[1])
		}
	}
	compareScores(t, open(t, ourLists(t, true)), r.Scores)
}

// TestOwnData compares with cases made with the lists of GOBLIP_METEOR: see scripts/meteor_reference.py.
func TestOwnData(t *testing.T) {
	jar, cases := os.Getenv("GOBLIP_METEOR"), os.Getenv("GOBLIP_METEOR_CASES")
	if jar == "" || cases == "" {
		t.Skip("GOBLIP_METEOR and GOBLIP_METEOR_CASES are not set")
	}
	var r reference
	readJSON(t, cases, &r)
	compareScores(t, open(t, jar), r.Scores)
}

// TestScoreOfStats compares scores with the authors' program's, from its statistics of 72 nasty captions.
func TestScoreOfStats(t *testing.T) {
	var c struct {
		Overall float64
		Images  []struct {
			Kind, Stats string
			Score       float64
		}
	}
	readJSON(t, "../testdata/meteor_stats.json.gz", &c)
	var total Stats
	for _, image := range c.Images {
		s := parseStats(t, image.Stats)
		if got := s.Score(); math.Abs(got-image.Score) > 1e-9 {
			t.Errorf("%s: %v, want %v", image.Kind, got, image.Score)
		}
		total.Add(&s)
	}
	if got := total.Score(); len(c.Images) != 72 || math.Abs(got-c.Overall) > 1e-9 {
		t.Errorf("%d images: %v, want %v", len(c.Images), got, c.Overall)
	}
}

// TestProperties holds for any texts, with and without lists.
func TestProperties(t *testing.T) {
	vocabulary := strings.Fields("a the man men dog puppy is running runs on street road red blue sits")
	rng := rand.New(rand.NewPCG(1, 0))
	some := func(n int) (words []string) {
		for range n {
			words = append(words, vocabulary[rng.IntN(len(vocabulary))])
		}
		return words
	}
	score := func(d *Data, hyp string, refs ...string) Stats {
		s, err := d.Score([]string{hyp}, [][]string{refs})
		if err != nil {
			t.Fatal(err)
		}
		return s[0]
	}
	for _, d := range []*Data{{}, open(t, ourLists(t, true))} {
		for range 300 {
			words, ref := some(1+rng.IntN(9)), some(1+rng.IntN(9))
			text, other := strings.Join(words, " "), strings.Join(ref, " ")
			if s := score(d, text, text); s.Score() != 1 {
				t.Errorf("%q with itself: %v", text, s.Score())
			}
			if s := score(d, text, "umbrella "+strings.Repeat("tree ", 1+rng.IntN(4))); s.Score() != 0 || s.Chunks != 0 {
				t.Errorf("%q with what has none of its words: %+v", text, s)
			}
			s, more := score(d, text, other), score(d, text, text+" red", other)
			if s.Score() < 0 || s.Score() > 1 || more.Score() < s.Score() {
				t.Errorf("%q: %v with %q, %v with one more reference", text, s.Score(), other, more.Score())
			}
			if s.Chunks > min(s.Matched, s.RefMatched) || s.Matched > s.Length || s.RefMatched > s.RefLength {
				t.Errorf("%q, %q: %+v", text, other, s)
			}
		}
		ordered := "one two three four five six"
		shuffled := "six five four three two one"
		if s := score(d, shuffled, ordered); s.Chunks != 6 || s.Score() >= 1 || s.Matched != 6 {
			t.Errorf("in reverse order: %+v", s)
		}
		if s := score(d, "", ordered); s.Score() != 0 || s.Length != 0 || s.RefLength != 6 {
			t.Errorf("no caption: %+v", s)
		}
	}
}

// TestLists: what is missing shows in the name and the score, what is broken is an error that names it.
func TestLists(t *testing.T) {
	full, noTable := open(t, ourLists(t, true)), open(t, filepath.Dir(ourLists(t, false)))
	var got []string
	for _, d := range []*Data{{}, noTable, full} {
		s, err := d.Score([]string{"running dog huge"}, [][]string{{"run hound the large"}})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Name(), strconv.Itoa(int(s[0].Matched)))
	}
	if want := []string{"METEOR_exact_stem", "1", "METEOR_exact_stem_synonym", "3", "METEOR", "3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	broken := filepath.Join(t.TempDir(), "broken.jar")
	if err := os.WriteFile(broken, []byte("no jar"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, t.TempDir(), "nowhere.jar"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
	for content, want := range map[string]string{
		"0.5\na\n": "entries have three", "0.5\na\nb\n0.5\n": "entries have three", strings.Repeat("x", 1<<17): "line 1",
	} {
		if _, err := parseParaphrases(strings.NewReader(content), newPhrases()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error %v, want %q", content, err, want)
		}
	}
	if err := newWordNet().addSets("a", []string{"x"}); err == nil {
		t.Error("a set without a number is accepted")
	}
}

// FuzzScore: any two texts give a score between 0 and 1, and any text with itself 1 or, without a word, 0.
func FuzzScore(f *testing.F) {
	d := open(f, ourLists(f, true))
	f.Add("a man isn't here", "people 's dogs u.s. \"x\" --")
	f.Add("", "\x00 \u00a0")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 300 {
			return
		}
		got, err := d.Score([]string{a, a}, [][]string{{b}, {a}})
		if err != nil {
			t.Fatal(err)
		}
		s, same := got[0].Score(), got[1].Score()
		if !(s >= 0 && s <= 1) || same != 0 && same != 1 || same == 0 && got[1].Length > 0 {
			t.Errorf("%q, %q: %v, with itself %v", a, b, s, same)
		}
	})
}
