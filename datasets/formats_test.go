package datasets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"goblip/datasets/image"
)

// tarOf makes a tar of members, in their order: name, content, name, content.
func tarOf(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Size: int64(len(members[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFormats reads the same records from every format.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	a, b := string(greyPNG(t, 'a')), string(greyPNG(t, 'b'))
	shard := tarOf(t, "x/1.png", a, "x/1.json", `{"id":"one","captions":["a \"bee\"","two, bees"]}`, "x/2.txt", "an ant", "x/2.png", b, "x/2.json", `{"id":2,"caption":"an ant"}`)
	write(t, dir, map[string]string{
		"a.png": a, "b.png": b,
		"set.jsonl": `{"id":"one","image":"a.png","captions":["a \"bee\"","two, bees"]}` + "\n" + `{"id":2,"image":"b.png","caption":"an ant"}`,
		"list.json": `[{"id":"one","image":"a.png","captions":["a \"bee\"","two, bees"]}, {"id":2,"image":"b.png","caption":"an ant"}]`,
		"set.csv":   "\xef\xbb\xbfid,image,caption,captions\r\none,a.png,\"a \"\"bee\"\"\",\"[\"\"two, bees\"\"]\"\r\n\r\n2,b.png,an ant,",
		"set.tsv":   "key\tfile\ttexts\none\ta.png\t[\"a \\\"bee\\\"\", \"two, bees\"]\n2\tb.png\tan ant\n",
		"coco.json": `{"info": {"x": [1, {"y": "]"}]}, "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
			"annotations": [{"id": 7, "image_id": 2, "caption": "an ant"}, {"id": 8, "image_id": 1, "caption": "a \"bee\""}, {"id": 9, "image_id": 1, "caption": "two, bees"}], "licenses": []}`,
		"karpathy.json": `{"images": [{"filename": "a.png", "filepath": "", "imgid": 0, "cocoid": 1, "split": "train", "sentences": [{"raw": "a \"bee\""}, {"raw": "two, bees"}]},
			{"filename": "b.png", "imgid": 1, "cocoid": 2, "split": "restval", "sentences": [{"raw": "an ant"}]},
			{"filename": "c.png", "imgid": 2, "cocoid": 3, "split": "test", "sentences": []}], "dataset": "coco"}`,
		"s-0.tar":    string(tarOf(t, "x/1.png", a, "x/1.json", `{"id":"one","captions":["a \"bee\"","two, bees"]}`)),
		"s-1.tar":    string(tarOf(t, "readme", "", "2.txt", "an ant", "2.png", b)),
		"all.tar":    string(shard),
		"all.tar.gz": gzipped(t, shard),
	})
	for _, name := range []string{"set.jsonl", "list.json", "set.csv", "set.tsv", "coco.json", "karpathy.json#split=train+restval", "s-{0..1}.tar", "all.tar", "all.tar.gz"} {
		o := Options{}
		if name == "set.tsv" {
			o.Fields = map[string]string{"id": "key", "image": "file", "captions": "texts"}
		}
		set, err := OpenWith(filepath.Join(dir, name), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range []Record{{ID: "one", Captions: []string{`a "bee"`, "two, bees"}}, {ID: "2", Captions: []string{"an ant"}}} {
			if strings.HasPrefix(name, "coco") || strings.HasPrefix(name, "karpathy") {
				want.ID = fmt.Sprint(i + 1)
			}
			if i >= set.Len() || set.Records[i].ID != want.ID || !reflect.DeepEqual(set.Records[i].Captions, want.Captions) {
				t.Errorf("%s: record %d: %+v", name, i, set.Records)
				break
			}
			if rgb, err := set.Records[i].Decode(image.Options{}); err != nil || rgb.Pix[0] != byte('a'+i) {
				t.Errorf("%s: picture %d: %v %v", name, i, rgb, err)
			}
		}
	}
}

func TestVQA(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"Annotations/v2_OpenEnded_mscoco_val2014_questions.json": `{"data_subtype": "val2014", "questions": [
			{"image_id": 42, "question": "how many", "question_id": 420}, {"image_id": 7, "question": "what", "question_id": 70}, {"image_id": 42, "question": "is it", "question_id": 421}]}`,
		"Annotations/v2_mscoco_val2014_annotations.json": `{"annotations": [
			{"question_id": 421, "answer_type": "yes/no", "multiple_choice_answer": "yes", "answers": [{"answer": "no"}, {"answer": ""}, {"answer": "yes"}, {"answer": "yes"}]},
			{"question_id": 420, "answer_type": "number", "multiple_choice_answer": "2", "answers": []},
			{"question_id": 70, "answer_type": "other", "multiple_choice_answer": "dog", "answers": [{"answer": "dog"}]}]}`,
		"val2014/COCO_val2014_000000000042.jpg": "x",
	})
	set, err := Open(filepath.Join(dir, "Annotations/v2_OpenEnded_mscoco_val2014_questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Question{{Question: "how many", Answers: []string{"2"}, Kind: "number", ID: "420"},
		{Question: "is it", Answers: []string{"yes", "yes", "no"}, Kind: "yes/no", ID: "421"}}
	if set.Len() != 2 || set.Records[0].ID != "42" || !reflect.DeepEqual(set.Records[0].Questions, want) ||
		set.Records[1].Image != filepath.Join(dir, "val2014/COCO_val2014_000000000007.jpg") {
		t.Errorf("got %+v", set.Records)
	}
}

// TestBadFormats wants one clear line of each bad file.
func TestBadFormats(t *testing.T) {
	picture := string(greyPNG(t, 'a'))
	whole := tarOf(t, "1.png", picture, "1.txt", "one", "2.png", picture, "2.txt", "two", "3.png", picture)
	huge := "x,image\n" + strings.Repeat("y", MaxLineBytes+5)
	for _, tc := range []struct{ name, content, want string }{
		{"a.csv", "", "a.csv: no records"},
		{"a.csv", "name,text\n1,2\n", `a.csv: no column "image" in its first row (name, text); --map`},
		{"a.csv", "image,caption\na.png\n", "a.csv:2: 1 columns, the first row has 2"},
		{"a.csv", "image,caption\na.png,\"x\n", "a.csv: line 2: a quoted cell does not end"},
		{"a.csv", "image,caption\na.png,\n", "a.csv:2: empty caption"},
		{"a.csv", "image,captions\na.png,[1]\n", `a.csv:2: "captions" starts like a JSON list`},
		{"a.csv", huge, "a.csv: line 2 is longer than"},
		{"a.json", "", "a.json: the file ends too early"},
		{"a.json", "7", "a.json: bad JSON: byte 0: want a list or an object"},
		{"a.json", `{"images": [{"id": 1`, "a.json: the file ends too early"},
		{"a.json", `{"images": [{"id": 1},]}`, "a.json: bad JSON: byte 22: a comma too many"},
		{"a.json", `{"images": [{"id": "x"}], "annotations": []}`, `a.json: images 0: "id" is "x", not a whole number`},
		{"a.json", `{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1}]}`, `a.json: image 1: byte 62: an annotation without "caption"`},
		{"a.json", `{"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "c"}]}`, `a.json: image 1: no "file_name"`},
		{"a.json", `{"images": [{"id": 1, "file_name": "a.png"}]}`, "a.json: images without annotations"},
		{"a.json", `{"annotations": [{"image_id": 1}]}`, "a.json: annotations alone"},
		{"a.json", `[1]`, "a.json: record 0: want a JSON object"},
		{"a.json", `[{"image": "` + strings.Repeat("x", MaxLineBytes) + `"}]`, "an element is longer than"},
		{"a.json", `{"questions": [{"image_id": 1, "question_id": 1, "question": "q"}], "annotations": []}`, ""},
		{"a.tar", "x", "a.tar: cut in the middle"},
		{"a.tar", strings.Repeat("x", 2048), "a.tar: not a tar file, or damaged"},
		{"a.tar", string(whole[:len(whole)-2048-512]), "a.tar: cut in the middle"},
		{"a.tar", string(tarOf(t, "1.txt", "one")), "a.tar: 1: no picture"},
		{"a.tar", string(tarOf(t, "1.png", picture, "1.json", "{")), "a.tar: 1: 1.json: bad JSON"},
		{"a.tar", string(tarOf(t, "readme", "x")), "no records"},
		{"a.tar.gz", "x", "a.tar.gz: "},
		{"a.tar.gz", gzipped(t, whole)[:150], "a.tar.gz: unexpected EOF"},
		{"a.parquet", "PAR1", "a.parquet: not a Parquet file"},
		{"a.parquet", "PAR1" + strings.Repeat("\xff", 20) + "PAR1", "a.parquet: a footer of 4294967295 bytes"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, tc.name)
		if err := os.WriteFile(path, []byte(tc.content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s %.40q: %v", tc.name, tc.content, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %.40q: error %v, want one with %q", tc.name, tc.content, err, tc.want)
		}
	}
}

// TestSkipBad reads what is whole of shards that are not.
func TestSkipBad(t *testing.T) {
	dir := t.TempDir()
	picture := string(greyPNG(t, 'a'))
	whole := tarOf(t, "1.png", picture, "1.txt", "one", "2.png", picture, "2.txt", "two", "3.png", picture, "3.txt", "three")
	write(t, dir, map[string]string{"s0.tar": string(whole), "s1.tar": string(whole[:len(whole)-1024-1024-100]), "s3.tar": string(tarOf(t, "9.png", picture, "9.txt", " "))})
	pattern := filepath.Join(dir, "s{0..3}.tar")
	if _, err := Open(pattern); err == nil || !strings.Contains(err.Error(), "s1.tar: cut in the middle: no end mark (after 2 whole samples)") {
		t.Errorf("stop: %v", err)
	}
	var notes []string
	set, err := OpenWith(pattern, Options{SkipBad: true, Note: func(s string) { notes = append(notes, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 5 || set.Skipped != 3 || len(notes) != 2 || !strings.Contains(notes[1], "s2.tar") {
		t.Errorf("skip: %d records, %d skipped, notes %q", set.Len(), set.Skipped, notes)
	}
}

func TestSpec(t *testing.T) {
	got, err := ParseSpec("a/b.json#split=train+val&images=x%26y&weight=0.5&share=1/3&annotations=c")
	want := Spec{Path: "a/b.json", Weight: 0.5, Share: 1, Shares: 3, Images: "x&y", Splits: []string{"train", "val"}, Annotations: "c"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"a#weight=0", "a#weight=nan", "a#share=3/3", "a#share=x", "a#colour=red", "a#split="} {
		if _, err := ParseSpec(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	names, err := expandBraces("s{08..10}-{a,b}.tar")
	if err != nil || strings.Join(names, " ") != "s08-a.tar s08-b.tar s09-a.tar s09-b.tar s10-a.tar s10-b.tar" {
		t.Errorf("got %q, %v", names, err)
	}
	for _, bad := range []string{"s{1..", "s{2..1}", "s{1..99999999}", "s{a..b}"} {
		if _, err := expandBraces(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// TestShares wants each record in one share.
func TestShares(t *testing.T) {
	dir := t.TempDir()
	text := ""
	for i := range 11 {
		text += fmt.Sprintf(`{"id":%d,"image":"x","caption":"c"}`+"\n", i)
	}
	write(t, dir, map[string]string{"set.jsonl": text})
	var ids []string
	for i := range 4 {
		set, err := Open(fmt.Sprintf("%s#share=%d/4", filepath.Join(dir, "set.jsonl"), i))
		if err != nil || set.Len() < 2 || set.Len() > 3 {
			t.Fatalf("share %d: %v, %v", i, set, err)
		}
		for _, r := range set.Records {
			ids = append(ids, r.ID)
		}
	}
	if strings.Join(ids, " ") != "0 1 2 3 4 5 6 7 8 9 10" {
		t.Errorf("shares hold %q", ids)
	}
}

// TestLineIndex reads lines in any order, across blocks and blank lines.
func TestLineIndex(t *testing.T) {
	dir := t.TempDir()
	text, csv := "", "image,id,caption\n"
	for i := range 100 {
		text += strings.Repeat("\n", i%3) + fmt.Sprintf(`{"image":"x","caption":"%s"}`, strings.Repeat("y", 1+i*200)) + "\r\n"
		csv += strings.Repeat("\n", i%3) + fmt.Sprintf("x,%d,\"%s\"\r\n", i, strings.Repeat("y\n", 1+i*100))
	}
	write(t, dir, map[string]string{"set.jsonl": text, "set.csv": csv})
	for name, length := range map[string]func(i int) int{"set.jsonl": func(i int) int { return 1 + i*200 }, "set.csv": func(i int) int { return 2 + i*200 }} {
		source, err := OpenSource(filepath.Join(dir, name), Options{})
		if err != nil || source.Len() != 100 {
			t.Fatalf("%s: %v", name, err)
		}
		for k := range 100 {
			i := k * 37 % 100
			r, err := source.Record(i)
			if err != nil || len(r.Captions[0]) != length(i) {
				t.Fatalf("%s: record %d: %d letters, %v", name, i, len(r.Captions[0]), err)
			}
		}
	}
}

func fuzzSource(f *testing.F, name string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		source, err := OpenSource(path, Options{})
		if err != nil {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for i := range min(source.Len(), 20) {
			r, err := source.Record(i)
			if err == nil && r.Image == "" {
				t.Error("a record without a picture was accepted")
			}
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("the error does not name the file: %v", err)
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	fuzzSource(f, "a.csv", "image,caption\na.png,one\n", "image,captions\r\na,\"[\"\"x\"\"]\"\r\n\n\"b\nc\",y\"z\n", "\xef\xbb\xbfimage\n\"")
}

func FuzzJSONDocument(f *testing.F) {
	fuzzSource(f, "a.json", `{"images":[{"id":1,"file_name":"a"}],"annotations":[{"image_id":1,"caption":"c"}]}`,
		`{"images":[{"filename":"a","imgid":0,"sentences":[{"raw":"x"}]}]}`, `{"data_subtype":"val2014","questions":[{"image_id":1,"question_id":2,"question":"q"}]}`,
		`[{"image":"a","caption":["b"]}]`, `{"a":[[]],"b":{}}`,
		`[{"image":"VizWiz_val_1.jpg","question":"q","answers":[{"answer":"a"},{"answer":""}],"answerable":1}]`,
		`[{"image_id":3,"question_id":"q","question":"w","choices":["a","b"],"correct_choice_idx":1,"direct_answers":["a"],"split":"val"}]`,
		`{"5":{"imageId":"n3","question":"q","answer":"a","types":{"structural":"s"}},"6":{"imageId":"n3","question":"r"}}`)
}

func FuzzTar(f *testing.F) {
	t := &testing.T{}
	fuzzSource(f, "a.tar", string(tarOf(t, "1.png", "x", "1.txt", "one")), string(tarOf(t, "1.json", `{"id":1}`, "1.jpg", "y", "d/2.jpg", "")))
}
