package datasets

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestCheckFindsEverything(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("word ", MaxCaptionWords+1)
	picture := greyPNG(t, 'a')
	write(t, dir, map[string]string{"a.png": "a", "cut.png": string(picture[:len(picture)-20]), "set.jsonl": `{"id":"1","image":"a.png","caption":"fine"}
{"id":"2","image":"a.png","caption":""}
{"id":"3","image":"gone.png","caption":"c"}
{"id":"4","image":"cut.png","caption":"c"}
{"id":"1","image":"a.png","caption":"again"}
{"id":"6","image":"a.png","caption":"fine"}
{"id":"7","image":"a.png"}
{"id":"8","image":"a.png","caption":"` + long + `"}
{"id":"9","image":"a.png","question":"why"}
`})
	source, err := OpenSource(filepath.Join(dir, "set.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultCheck()
	o.MinSide = 1
	checked, err := Check(source, o)
	if err != nil {
		t.Fatal(err)
	}
	problems := checked.Findings
	want := []string{
		"set.jsonl:2: empty caption", "set.jsonl:3: picture path does not exist: ", "set.jsonl:4: " + dir,
		`set.jsonl:5: id "1" was used before`, "set.jsonl:6: duplicate", "set.jsonl:7: neither caption nor question",
		"set.jsonl:8: caption of 65 words", `set.jsonl:9: question "why" has no answer`,
	}
	if len(problems) != len(want) {
		t.Fatalf("%d problems, want %d: %v", len(problems), len(want), problems)
	}
	for i, w := range want {
		if !strings.Contains(problems[i].String(), w) {
			t.Errorf("problem %d: %q, want %q in it", i, problems[i], w)
		}
	}
}

func TestCount(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.png": "a", "a.txt": "A bee, a wasp.\nbees don't", "b.png": "b"})
	set, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	set.Records[1].Questions = []Question{{Question: "q", Answers: []string{"a"}, Kind: "is there"}}
	got, err := Count(set, nil)
	want := Stats{Pictures: 2, WithoutCaption: 1, Captions: 2, CaptionWords: 6, LongestCaption: 4, Vocabulary: 5,
		Questions: 1, Answers: 1, QuestionsByKind: map[string]int{"is there": 1}, Sizes: map[string]int{"3x2": 2},
		CaptionLengths: map[int]int{2: 1, 4: 1}, CaptionsPerPicture: 1, WordsPerCaption: 3,
		Words: []WordCount{{"a", 2}, {"bee", 1}, {"bees", 1}, {"don't", 1}, {"wasp", 1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v, want %+v", got, err, want)
	}
}

func TestWriteJSONLReadsBack(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"img/a.png": "a"})
	records := []Record{{ID: "x", Image: filepath.Join(dir, "img/a.png"), Captions: []string{"<b> & é"},
		Questions: []Question{{Question: "q", Answers: []string{"a"}, ID: "12"}}, Scene: []byte(`{"k":1}`)}}
	path := filepath.Join(dir, "set.jsonl")
	if err := WriteJSONL(path, records); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"image":"img/a.png"`) {
		t.Errorf("file holds %s, error %v", text, err)
	}
	set, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	set.Records[0].Origin = ""
	if !reflect.DeepEqual(set.Records, records) {
		t.Errorf("got %+v, want %+v", set.Records, records)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".writing*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEmoji(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"emoji.json": `[{"name":"THUMBS UP SIGN","unified":"1F44D-FE0F","image":"1f44d.png","short_names":["+1","thumbsup"],
			"category":"People & Body","subcategory":"hand-fingers-closed",
			"skin_variations":{"1F3FB":{"unified":"1F44D-1F3FB","image":"1f44d-1f3fb.png"}}},
			{"name":"LACKING","unified":"1F600","image":"1f600.png","category":"c","subcategory":"s"}]`,
		"img/toy/64/1f44d.png": "a", "img/toy/64/1f44d-1f3fb.png": "b",
		"en.xml": `<ldml><annotations><annotation cp="👍">good | hand | thumbs up</annotation>
			<annotation cp="👍" type="tts">thumbs up</annotation></annotations></ldml>`,
	})
	records, err := Emoji(dir, "toy", []string{filepath.Join(dir, "en.xml")})
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].ID != "toy-1f44d-fe0f" || records[1].ID != "toy-1f44d-1f3fb" {
		t.Fatalf("records: %+v", records)
	}
	want := []string{"thumbs up", "a drawing of thumbsup", "a drawing about good and hand", "thumbs up, from people and body, hand fingers closed"}
	if !reflect.DeepEqual(records[0].Captions, want) {
		t.Errorf("captions %q, want %q", records[0].Captions, want)
	}
	if got := records[1].Captions[0]; got != "thumbs up sign: light skin tone" {
		t.Errorf("caption of a variation: %q", got)
	}
	if _, err := Emoji(dir, "other", nil); err == nil || !strings.Contains(err.Error(), `style "other"`) {
		t.Errorf("a style that is not there: %v", err)
	}
}
