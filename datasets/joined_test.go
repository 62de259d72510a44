package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJoined reads several files as one: by braces, by a star, with empty ones between, each record where it was.
func TestJoined(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sizes := []int{2, 0, 0, 3, 1, 0}
	var want []string
	for i, n := range sizes {
		var lines strings.Builder
		for range n {
			fmt.Fprintf(&lines, `{"image":"%d.png","captions":["c%d"]}`+"\n\n", len(want), len(want))
			want = append(want, fmt.Sprintf("c%d", len(want)))
		}
		write(fmt.Sprintf("kept-%05d-of-%05d.jsonl", i, len(sizes)), lines.String())
	}
	for _, name := range []string{"kept-{00000..00005}-of-00006.jsonl", "kept-*.jsonl", "{kept}-*-of-00006.jsonl", "kept-*.jsonl#share=0/1"} {
		set, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if set.Len() != len(want) {
			t.Fatalf("%s: %d records, want %d", name, set.Len(), len(want))
		}
		for i, r := range set.Records {
			if r.Captions[0] != want[i] || r.ID != fmt.Sprint(i+1) || r.Image != filepath.Join(dir, fmt.Sprintf("%d.png", i)) {
				t.Errorf("%s: record %d is %+v", name, i, r)
			}
		}
		if where := set.Records[4].Origin; where != filepath.Join(dir, "kept-00003-of-00006.jsonl")+":5" {
			t.Errorf("%s: record 4 was read at %s", name, where)
		}
	}

	write("a.csv", "image,caption\nx.png,one\n")
	write("b.csv", "image,caption\ny.png,two\nz.png,three\n")
	if set, err := Open(filepath.Join(dir, "{a,b}.csv")); err != nil || set.Len() != 3 || set.Records[2].Captions[0] != "three" {
		t.Errorf("two CSV files: %+v, %v", set, err)
	}
	write("{a,b}*.jsonl", `{"image":"w.png","captions":["literal"]}`)
	if set, err := Open(filepath.Join(dir, "{a,b}*.jsonl")); err != nil || set.Records[0].Captions[0] != "literal" {
		t.Errorf("a file with such a name: %+v, %v", set, err)
	}
	write("kept-bad.jsonl", "{\n")
	for name, message := range map[string]string{
		"none-*.jsonl":        "no file is named like",
		"kept-{0..2.jsonl":    "brace is not closed",
		"kept-{0..2}.jsonl":   "kept-0.jsonl",
		"kept-[*.jsonl":       "syntax error in pattern",
		"kept-*.jsonl":        "kept-bad.jsonl:1",
		"{kept-bad,a*}.jsonl": "kept-bad.jsonl:1",
	} {
		if _, err := Open(filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v, want %q", name, err, message)
		}
	}
}
