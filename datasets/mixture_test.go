package datasets

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMixture(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	for name, n := range map[string]int{"a": 64, "b": 16} {
		for i := range n {
			files[name+".jsonl"] += fmt.Sprintf(`{"id":"%s%d","image":"%s%d","caption":"c"}`+"\n", name, i, name, i)
		}
	}
	write(t, dir, files)
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, tc := range []struct {
		names       []string
		temperature float64
		ofB         int // of 80
	}{
		{[]string{"a.jsonl", "b.jsonl"}, 1, 16},
		{[]string{"a.jsonl", "b.jsonl"}, 2, 27}, // 8 : 4
		{[]string{"a.jsonl", "b.jsonl"}, math.Inf(1), 40},
		{[]string{"a.jsonl#weight=1", "b.jsonl#weight=3"}, 1, 60},
		{[]string{"a.jsonl", "b.jsonl#weight=3"}, 1, 60},
	} {
		set, err := OpenMixture([]string{path(tc.names[0]), path(tc.names[1])}, tc.temperature, Options{})
		if err != nil || set.Len() != 80 {
			t.Fatalf("%v: %v", tc.names, err)
		}
		counts := make([]int, 80)
		for epoch := range 16 {
			order := set.Order(9, epoch)
			if len(order) != 80 {
				t.Fatalf("%d records an epoch", len(order))
			}
			ofB := 0
			for _, r := range order {
				counts[r]++
				if strings.HasPrefix(set.Records[r].ID, "b") {
					ofB++
				}
			}
			if ofB != tc.ofB {
				t.Errorf("%v at %g: %d of b, want %d", tc.names, tc.temperature, ofB, tc.ofB)
			}
			if !slices.Equal(order, set.Order(9, epoch)) || slices.Equal(order, set.Order(9, epoch+1)) {
				t.Errorf("%v: epoch %d is not its own order", tc.names, epoch)
			}
		}
		for _, part := range [][]int{counts[:64], counts[64:]} {
			if slices.Max(part)-slices.Min(part) > 1 {
				t.Errorf("%v at %g: records of one source are drawn %d to %d times", tc.names, tc.temperature, slices.Min(part), slices.Max(part))
			}
		}
	}
	one, err := OpenMixture([]string{path("a.jsonl")}, 1, Options{})
	if err != nil || !slices.Equal(one.Order(1, 2), Order(1, 2, 64)) {
		t.Errorf("one source has another order than alone: %v", err)
	}
	if _, err := OpenMixture([]string{path("a.jsonl")}, 0, Options{}); err == nil {
		t.Error("temperature 0 was accepted")
	}
}

func TestIdentities(t *testing.T) {
	set := &Set{Records: []Record{{ID: "1", Image: "a"}, {ID: "2", Image: "b"}}}
	if got := set.Identities(); got != nil {
		t.Errorf("different pictures: %v", got)
	}
	set.Records = append(set.Records, Record{ID: "3", Image: "a"}, Record{ID: "2", Image: "c"})
	if got := fmt.Sprint(set.Identities()); got != "[0 1 0 1]" {
		t.Errorf("identities %s", got)
	}
	set.Parts = []Part{{Records: 2}, {Records: 2}}
	if got := fmt.Sprint(set.Identities()); got != "[0 1 0 3]" { // ids of two sources
		t.Errorf("identities of a mixture %s", got)
	}
}

// TestCheckPictures finds what pictures have in common.
func TestCheckPictures(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"x/a.png": "a", "x/a.txt": "one", "x/b.png": "a", "x/b.txt": "two", "x/c.png": "z", "x/c.txt": "three", "y/t.png": "z", "y/t.txt": "four"})
	open := func(name string) Source {
		source, err := OpenSource(filepath.Join(dir, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	o := DefaultCheck()
	o.MinSide, o.MaxSide, o.Against = 2, 2, open("y")
	checked, err := Check(open("x"), o)
	if err != nil {
		t.Fatal(err)
	}
	if c := checked.Counts; c[KindSame] != 1 || c[KindLeak] != 1 || c[KindLarge] != 3 || c[KindTiny] != 0 || c[KindSimilar] != 0 {
		t.Errorf("found %v: %v", c, checked.Findings)
	}
}
