package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	dir := t.TempDir()
	text := ""
	files := map[string]string{}
	for i := range 23 {
		name := string(rune('a' + i))
		files[name+".png"] = name
		text += fmt.Sprintf(`{"id":"%s","image":"%s.png","captions":["one %d"],"scene":{"n":%d}}`+"\n", name, name, i, i)
	}
	files["set.jsonl"] = text
	files["bad.jsonl"] = text + `{"image":"gone.png","caption":"c"}`
	write(t, dir, files)
	source, err := OpenSource(filepath.Join(dir, "set.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	pack := func(out string, o PackOptions) (Manifest, int, error) {
		o.Dir = filepath.Join(dir, out)
		return Pack(source, o)
	}
	m, _, err := pack("p", PackOptions{Shards: 4})
	if err != nil || m.Records != 23 || len(m.Shards) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, shard := range m.Shards {
		if shard.Records < 5 || shard.Records > 6 {
			t.Errorf("shard %s has %d records of 23 in 4", shard.Name, shard.Records)
		}
	}
	if again, _, err := pack("q", PackOptions{Shards: 4}); err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
		t.Errorf("packed again: %+v, %v", again, err)
	}
	if _, _, err := pack("p", PackOptions{}); err == nil {
		t.Error("a packed set was packed over")
	}
	for _, name := range []string{"p/manifest.json", "p/shard-{000..003}.tar"} {
		set, err := Open(filepath.Join(dir, name))
		if err != nil || set.Len() != 23 {
			t.Fatalf("%s: %v", name, err)
		}
		for i, r := range set.Records {
			picture, err := r.PictureFile()
			if err != nil || string(picture) != string(greyPNG(t, byte('a'+i))) || r.ID != string(rune('a'+i)) ||
				r.Captions[0] != fmt.Sprint("one ", i) || string(r.Scene) != fmt.Sprintf(`{"n":%d}`, i) {
				t.Errorf("%s: record %d: %+v, %v", name, i, r, err)
			}
		}
	}
	// A byte changed is found, and so is a shard that is gone.
	path := filepath.Join(dir, "p/shard-001.tar")
	data, _ := os.ReadFile(path)
	data[600]++
	write(t, dir, map[string]string{"p/shard-001.tar": string(data)})
	if err := os.Remove(filepath.Join(dir, "p/shard-003.tar")); err != nil {
		t.Fatal(err)
	}
	problems, err := Verify(filepath.Join(dir, "p/manifest.json"), nil)
	if err != nil || len(problems) != 2 || !strings.Contains(problems[0].String(), "shard-001.tar: another checksum") || !strings.Contains(problems[1].String(), "shard-003.tar") {
		t.Errorf("problems %v, %v", problems, err)
	}
	source, err = OpenSource(filepath.Join(dir, "bad.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pack("r", PackOptions{}); err == nil || !strings.Contains(err.Error(), "bad.jsonl:24: picture path does not exist") {
		t.Errorf("a missing picture: %v", err)
	}
	if m, skipped, err := pack("r", PackOptions{SkipBad: true, Shuffle: 1}); err != nil || skipped != 1 || m.Records != 23 {
		t.Errorf("skipped %d, %+v, %v", skipped, m, err)
	}
}

func TestBalance(t *testing.T) {
	for _, tc := range []struct {
		sizes  []int64
		shards int
		want   string
	}{
		{[]int64{1, 1, 1, 1}, 2, "[[0 1] [2 3]]"}, {[]int64{9, 1, 1, 1}, 2, "[[0] [1 2 3]]"}, {[]int64{1, 1, 1, 9}, 3, "[[0 1] [2] [3]]"},
		{[]int64{9, 9, 1}, 3, "[[0] [1] [2]]"}, {[]int64{5}, 1, "[[0]]"},
	} {
		order := make([]int, len(tc.sizes))
		for i := range order {
			order[i] = i
		}
		if got := fmt.Sprint(balance(order, tc.sizes, tc.shards)); got != tc.want {
			t.Errorf("%v into %d: %s, want %s", tc.sizes, tc.shards, got, tc.want)
		}
	}
}
