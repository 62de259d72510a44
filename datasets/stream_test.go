package datasets

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestStream wants what Open gives, in its order, and to go on behind lines that Open refuses.
func TestStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	lines := `{"image":"1.png","caption":"one"}
{"image":"2.png","captions":["", "two"]}
not JSON

{"image":"3.png","captions":["a","b"],"noise":["truncated",""]}
{"image":"4.png","captions":["a","b"],"noise":["truncated"]}
`
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range Stream(path) {
		var problem Problem
		if errors.As(err, &problem) {
			got = append(got, "bad "+filepath.Base(problem.Where))
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.ID+" "+filepath.Base(r.Image)+" "+strconv.Itoa(len(r.Captions))+" "+filepath.Base(r.Origin))
	}
	want := []string{"1 1.png 1 a.jsonl:1", "2 2.png 2 a.jsonl:2", "bad a.jsonl:3", "5 3.png 2 a.jsonl:5", "bad a.jsonl:6"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range Stream(path) {
		break // must not hang or panic
	}
	for _, err := range Stream(filepath.Join(t.TempDir(), "none.jsonl")) {
		if err == nil {
			t.Error("a source that is not there gave a record")
		}
	}
}

// TestSwap wants the share that was asked for, no record with a caption of its own among them, and the rest as it was.
func TestSwap(t *testing.T) {
	var records []Record
	for i := range 200 {
		records = append(records, Record{ID: strconv.Itoa(i), Captions: []string{"name " + strconv.Itoa(i), "group " + strconv.Itoa(i%5)}})
	}
	for _, share := range []float64{0, 0.3, 1} {
		out, err := Swap(records, share, 3)
		if err != nil {
			t.Fatal(err)
		}
		swapped := 0
		counts := map[string]int{}
		for i, r := range out {
			for k, c := range r.Captions {
				counts[c]++
				switch {
				case r.Noise[k] == NoiseSwapped && slices.Contains(records[i].Captions, c):
					t.Errorf("share %g: record %d got %q, which it had", share, i, c)
				case r.Noise[k] == "" && c != records[i].Captions[k]:
					t.Errorf("share %g: record %d changed without saying so", share, i)
				}
			}
			if r.Noise[0] == NoiseSwapped {
				swapped++
			}
		}
		if want := int(math.Round(share * 200)); swapped != want {
			t.Errorf("share %g: %d swapped, want %d", share, swapped, want)
		}
		if counts["group 3"] != 40 || counts["name 7"] != 1 {
			t.Errorf("share %g: captions came or went: %v", share, counts)
		}
	}
	if _, err := Swap(records[:1], 1, 1); err == nil {
		t.Error("one record cannot swap with itself")
	}
	if _, err := Swap(records, math.NaN(), 1); err == nil {
		t.Error("NaN was accepted")
	}
}
