package datasets

import (
	"bytes"
	stdimage "image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"goblip/datasets/image"
)

// write makes files below a folder; a name that ends in .png gets a picture of
// one grey level, taken from its content.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".png") && len(content) == 1 {
			content = string(greyPNG(t, content[0]))
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func greyPNG(t *testing.T, level byte) []byte {
	t.Helper()
	img := stdimage.NewGray(stdimage.Rect(0, 0, 3, 2))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	img.SetGray(0, 0, color.Gray{Y: level})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"b.png": "b", "b.txt": "a bee\n\n  two bees \r\n", "sub/a.PNG": "x", "sub/a.txt": "\xef\xbb\xbfan ant",
		"alone.jpg": "x", ".hidden.png": "h", ".git/c.png": "c", "notes.txt": "not a caption", "c.png.bak": "",
	})
	set, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		id       string
		captions []string
	}{{"alone.jpg", nil}, {"b.png", []string{"a bee", "two bees"}}, {"sub/a.PNG", []string{"an ant"}}}
	if set.Len() != len(want) {
		t.Fatalf("%d records, want %d: %+v", set.Len(), len(want), set.Records)
	}
	for i, w := range want {
		if r := set.Records[i]; r.ID != w.id || !reflect.DeepEqual(r.Captions, w.captions) {
			t.Errorf("record %d: %q %q, want %q %q", i, r.ID, r.Captions, w.id, w.captions)
		}
	}
}

func TestOpenJSONL(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"set.jsonl": "\xef\xbb\xbf" + `{"image":"img/1.png","image2":"img/2.png","caption":"one","extra":[1]}

{"id":"two","image":"/abs/2.png","captions":["b","c"],"question":"how many","answers":["2"],"scene":{"x":1}}
{"id":7,"image":"3.png","questions":[{"question":"q","answers":["a"],"kind":"k","question_id":70}, {"question":"r","answers":["b"],"question_id":"x1"}],"scene":null}
`})
	set, err := Open(filepath.Join(dir, "set.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "set.jsonl")
	want := []Record{
		{ID: "1", NoID: true, Image: filepath.Join(dir, "img/1.png"), Image2: filepath.Join(dir, "img/2.png"), Captions: []string{"one"}, Origin: file + ":1"},
		{ID: "two", Image: "/abs/2.png", Captions: []string{"b", "c"},
			Questions: []Question{{Question: "how many", Answers: []string{"2"}}}, Scene: []byte(`{"x":1}`), Origin: file + ":3"},
		{ID: "7", Image: filepath.Join(dir, "3.png"), Origin: file + ":4",
			Questions: []Question{{Question: "q", Answers: []string{"a"}, Kind: "k", ID: "70"}, {Question: "r", Answers: []string{"b"}, ID: "x1"}}},
	}
	if !reflect.DeepEqual(set.Records, want) {
		t.Errorf("got  %+v\nwant %+v", set.Records, want)
	}
}

func TestOpenNamesTheBadPlace(t *testing.T) {
	good := `{"image":"x.png","caption":"c"}` + "\n"
	for _, tc := range []struct{ name, content, want string }{
		{"empty caption", good + `{"image":"x.png","caption":" "}`, "set.jsonl:2: empty caption"},
		{"empty among captions", `{"image":"x.png","captions":["a",""]}`, "set.jsonl:1: empty caption"},
		{"no image", `{"caption":"c"}`, `set.jsonl:1: no "image"`},
		{"broken JSON", good + good + `{"image":`, "set.jsonl:3: bad JSON"},
		{"trailing", `{"image":"x"} x`, "set.jsonl:1: bad JSON"},
		{"wrong type", `{"image":"x.png","captions":"c"}`, `set.jsonl:1: "captions" must not be a JSON string`},
		{"not an object", `["x"]`, "set.jsonl:1: want a JSON object, got array"},
		{"bad id", `{"id":{},"image":"x"}`, `"id" must be`},
		{"empty answer", `{"image":"x","question":"q","answers":[""]}`, `empty answer to "q"`},
		{"empty question", `{"image":"x","questions":[{"question":""}]}`, "empty question"},
		{"long line", good + strings.Repeat("x", MaxLineBytes+1), "line 2 is longer than"},
		{"nothing", "\n\n", "no records"},
		{"two problems", `{"caption":"c"}` + "\n" + `{}`, "and 1 more"},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"set.jsonl": tc.content})
		_, err := Open(filepath.Join(dir, "set.jsonl"))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.png": "a", "a.txt": " \n", "set.xls": "x"})
	for path, want := range map[string]string{
		dir: "a.txt: empty caption", filepath.Join(dir, "none"): "does not exist", filepath.Join(dir, "set.xls"): "not a data source",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
}

func TestLoadPixels(t *testing.T) {
	dir := t.TempDir()
	set := &Set{}
	files := map[string]string{}
	for i := range 40 {
		name := string(rune('A'+i)) + ".png"
		files[name] = string(rune('A' + i))
		set.Records = append(set.Records, Record{Image: filepath.Join(dir, name)})
	}
	write(t, dir, files)
	last := 0
	pixels, err := set.LoadPixels(image.Processor{Size: 2}, func(done, total int) {
		if done != last+1 || total != 40 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != 40 {
		t.Fatalf("error %v, progress %d", err, last)
	}
	for i, v := range pixels {
		if want := byte('A' + i/12); v != want {
			t.Fatalf("byte %d is %d, want %d", i, v, want)
		}
	}
	// Of several failures the first by index is told, however they are timed.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	write(t, dir, map[string]string{"K.png": "not a picture"})
	set.Records[30].Image = filepath.Join(dir, "missing.png")
	for range 20 {
		if _, err := set.LoadPixels(image.Processor{Size: 2}, nil); err == nil || !strings.Contains(err.Error(), "K.png: not a JPEG") {
			t.Fatalf("error %v, want one about K.png", err)
		}
	}
	set.Records = set.Records[30:]
	set.Records[0].Origin = "train.jsonl:17"
	if _, err := set.LoadPixels(image.Processor{Size: 2}, nil); err == nil || !strings.Contains(err.Error(), "train.jsonl:17: picture path does not exist") {
		t.Errorf("error %v, want the line and the missing file", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, seed := range []string{`{"image":"x","caption":"c"}`, `{"id":1,"image":"x","questions":[{"question":"q","answers":["a"]}]}`, `[]`, `{"id":`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		record, err := parseRecord(text, nil)
		if err == nil && record.Image == "" {
			t.Error("a record without a picture was accepted")
		}
	})
}
