package datasets

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestIdentity wants one hash of the same pictures in every layout, and a stamp that changes with a file.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	a, b := string(greyPNG(t, 'a')), string(greyPNG(t, 'b'))
	shard := tarOf(t, "1.png", a, "1.txt", "an ant", "2.png", b, "2.txt", "a bee")
	write(t, dir, map[string]string{
		"a.png": a, "b.png": b, "shard.tar": string(shard), "shard.tar.gz": gzipped(t, shard),
		"set.jsonl":   `{"image":"a.png","caption":"x"}` + "\n" + `{"image":"b.png","caption":"y"}`,
		"other.jsonl": `{"image":"b.png","caption":"x"}` + "\n" + `{"image":"a.png","caption":"y"}`,
	})
	look := func(name string) (contents, stamp string, ok bool) {
		set, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		contents, err = set.Contents(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		stamp, ok = set.Stamp()
		return contents, stamp, ok
	}
	want, _, _ := look("set.jsonl")
	for name, stamped := range map[string]bool{"set.jsonl": true, "shard.tar": true, "shard.tar.gz": false} {
		contents, stamp, ok := look(name)
		if contents != want || ok != stamped {
			t.Errorf("%s: contents %.8s, want %.8s; stamped %v", name, contents, want, ok)
		}
		if !ok {
			continue
		}
		if _, again, _ := look(name); again != stamp {
			t.Errorf("%s: another stamp of the same files", name)
		}
		for _, file := range []string{"b.png", "shard.tar"} {
			if err := os.Chtimes(filepath.Join(dir, file), time.Time{}, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if _, again, _ := look(name); again == stamp {
			t.Errorf("%s: the stamp is still that of the files before", name)
		}
		for _, file := range []string{"b.png", "shard.tar"} {
			if err := os.Chtimes(filepath.Join(dir, file), time.Time{}, time.Unix(2e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if contents, _, _ := look("other.jsonl"); contents == want {
		t.Error("pictures in another order have the same contents")
	}
	table, err := Open("testdata/parquet/pictures.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := table.Stamp(); !ok {
		t.Error("no stamp of a table")
	}
	if err := os.Remove(filepath.Join(dir, "b.png")); err != nil {
		t.Fatal(err)
	}
	set, err := Open(filepath.Join(dir, "set.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Contents(t.Context(), nil); err == nil {
		t.Error("contents of a missing picture")
	}
	if _, ok := set.Stamp(); ok {
		t.Error("a stamp of a missing picture")
	}
}
