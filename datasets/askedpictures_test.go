package datasets

import (
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func number(n int) *int { return &n }

// TestAskedPictures reads files of questions as VizWiz, A-OKVQA, GQA and OK-VQA publish them.
func TestAskedPictures(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"vizwiz/Annotations/val.json": `[{"image": "VizWiz_val_00000001.jpg", "question": "what is this?", "answer_type": "other", "answerable": 1, "answers": [
				{"answer": "unsuitable", "answer_confidence": "no"}, {"answer": "a can", "answer_confidence": "yes"}, {"answer": "", "answer_confidence": "no"},
				{"answer": "soda", "answer_confidence": "maybe"}, {"answer": "a can", "answer_confidence": "yes"}]},
			{"answerable": 0, "image": "VizWiz_val_00000000.jpg", "question": "can you read it", "answers": [{"answer": "unanswerable", "answer_confidence": "yes"}], "answer_type": "unanswerable"}]`,
		"vizwiz/val/VizWiz_val_00000001.jpg": "x",
		"vizwiz/test.json":                   `[{"image": "VizWiz_test_00000003.jpg", "question": "what"}]`,
		"aokvqa/aokvqa_v1p0_val.json": `[{"split": "val", "image_id": 299207, "question_id": "22MexNk", "question": "What is he awaiting?", "choices": ["bus", "cab"], "correct_choice_idx": 1,
				"direct_answers": ["ride", "ride", "bus", "taxi", "taxi", "taxi"], "difficult_direct_answer": false, "rationales": ["r"]},
			{"split": "val", "image_id": 12, "question_id": "q2", "question": "Which?", "choices": ["x", "y"], "correct_choice_idx": 0, "direct_answers": ["x"], "difficult_direct_answer": true},
			{"split": "val", "image_id": 299207, "question_id": "q3", "question": "Why?", "choices": ["x", "y"]}]`,
		"coco/val2017/000000299207.jpg": "x",
		"gqa/questions1.2/val_balanced_questions.json": `{"201640614": {"semantic": [{"operation": "select", "argument": "x [1, 2}"}], "imageId": "2405722", "question": "Who is it?", "answer": "girl",
				"isBalanced": true, "types": {"structural": "query", "semantic": "rel"}, "fullAnswer": "A girl."},
			"05515938": {"imageId": "n161313", "question": "Is it red?", "answer": "no", "types": {"structural": "verify"}},
			"7": {"question": "Hidden?", "imageId": "2405722"}}`,
		"gqa/images/2405722.jpg":                        "x",
		"okvqa/OpenEnded_mscoco_val2014_questions.json": `{"info": {"version": "1.1"}, "data_subtype": "val2014", "questions": [{"image_id": 297147, "question": "What sport?", "question_id": 2971475}]}`,
		"okvqa/mscoco_val2014_annotations.json": `{"annotations": [{"image_id": 297147, "answer_type": "other", "question_type": "four", "question_id": 2971475, "confidence": 3,
				"answers": [{"answer_id": 1, "raw_answer": "racing", "answer_confidence": "yes", "answer": "race"}, {"answer_id": 2, "raw_answer": "motocross", "answer": "motocross"},
					{"answer_id": 3, "raw_answer": "motocross", "answer": "motocross"}, {"answer_id": 4, "raw_answer": "race", "answer": "race"}, {"answer_id": 5, "raw_answer": "ride", "answer": "ride"}]}]}`,
	})
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, tc := range []struct {
		name string
		want []Record
	}{
		{at("vizwiz/Annotations/val.json"), []Record{
			{ID: "VizWiz_val_00000001.jpg", Image: at("vizwiz/val/VizWiz_val_00000001.jpg"), Questions: []Question{
				{Question: "what is this?", Answers: []string{"a can", "a can", "unsuitable", "soda"}, Kind: "other", ID: "VizWiz_val_00000001.jpg"}}},
			{ID: "VizWiz_val_00000000.jpg", Image: at("vizwiz/val/VizWiz_val_00000000.jpg"), Questions: []Question{
				{Question: "can you read it", Answers: []string{"unanswerable"}, Kind: "unanswerable", ID: "VizWiz_val_00000000.jpg"}}}}},
		{at("vizwiz/test.json#images=pictures"), []Record{
			{ID: "VizWiz_test_00000003.jpg", Image: "pictures/VizWiz_test_00000003.jpg", Questions: []Question{{Question: "what", ID: "VizWiz_test_00000003.jpg"}}}}},
		{at("aokvqa/aokvqa_v1p0_val.json#images=" + at("coco/val2017")), []Record{
			{ID: "299207", Image: at("coco/val2017/000000299207.jpg"), Questions: []Question{
				{Question: "What is he awaiting?", Answers: []string{"taxi", "taxi", "taxi", "ride", "ride", "bus"}, ID: "22MexNk", Choices: []string{"bus", "cab"}, Correct: number(1)},
				{Question: "Why?", ID: "q3", Choices: []string{"x", "y"}}}},
			{ID: "12", Image: at("coco/val2017/000000000012.jpg"), Questions: []Question{
				{Question: "Which?", Answers: []string{"x"}, ID: "q2", Choices: []string{"x", "y"}, Correct: number(0), Difficult: true}}}}},
		{at("gqa/questions1.2/val_balanced_questions.json"), []Record{
			{ID: "2405722", Image: at("gqa/images/2405722.jpg"), Questions: []Question{
				{Question: "Who is it?", Answers: []string{"girl"}, Kind: "query", ID: "201640614"}, {Question: "Hidden?", ID: "7"}}},
			{ID: "n161313", Image: at("gqa/images/n161313.jpg"), Questions: []Question{{Question: "Is it red?", Answers: []string{"no"}, Kind: "verify", ID: "05515938"}}}}},
		{at("okvqa/OpenEnded_mscoco_val2014_questions.json"), []Record{
			{ID: "297147", Image: at("okvqa/COCO_val2014_000000297147.jpg"), Questions: []Question{
				{Question: "What sport?", Answers: []string{"race", "race", "motocross", "motocross", "ride"}, Kind: "other", ID: "2971475"}}}}},
	} {
		set, err := Open(tc.name)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for i := range set.Records {
			if set.Records[i].Origin == "" {
				t.Errorf("%s: record %d has no origin", tc.name, i)
			}
			set.Records[i].Origin = ""
		}
		if !reflect.DeepEqual(set.Records, tc.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tc.name, set.Records, tc.want)
		}
	}
}

// TestAskedElsewhere reads the same questions as columns of other files.
func TestAskedElsewhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.jsonl": `{"image": "a.png", "question": "q", "question_id": 12, "answers": [{"answer": "x", "answer_id": 1}, {"answer": "y"}], "kind": "other", "choices": ["x", "z"], "correct_choice_idx": 0, "difficult_direct_answer": true}
{"image": "b.png", "question": "r", "question_id": "q9", "answers": ["y"]}`,
		"a.csv": "image,question,question_id,answers,kind,choices,correct_choice_idx,difficult_direct_answer\n" +
			`a.png,q,12,"[""x"", ""y""]",other,"[""x"", ""z""]",0,True` + "\n" + `b.png,r,q9,y,,,,` + "\n",
		"list.json": `[{"picture": "a.png", "question": "q", "number": 12, "answers": ["x", "y"], "kind": "other", "choices": ["x", "z"], "correct_choice_idx": 0, "difficult_direct_answer": true},
			{"picture": "b.png", "question": "r", "number": "q9", "answers": "y"}]`,
	})
	for _, name := range []string{"a.jsonl", "a.csv", "list.json#images=" + dir} {
		o := Options{}
		if strings.HasPrefix(name, "list") {
			o.Fields = map[string]string{"image": "picture", "question_id": "number"}
		}
		set, err := OpenWith(filepath.Join(dir, name), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := []Question{{Question: "q", ID: "12", Answers: []string{"x", "y"}, Kind: "other", Choices: []string{"x", "z"}, Correct: number(0), Difficult: true},
			{Question: "r", ID: "q9", Answers: []string{"y"}}}
		got := []Question{set.Records[0].Questions[0], set.Records[1].Questions[0]}
		if !reflect.DeepEqual(got, want) || set.Records[1].Image != filepath.Join(dir, "b.png") || !set.Records[0].NoID {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, set.Records, want)
		}
	}
	for _, name := range []string{"questions", "questions-v2"} {
		set, err := OpenWith(filepath.Join("testdata/parquet", name+".parquet"), Options{Fields: map[string]string{"kind": "answer_type"}})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range set.Records {
			want := Question{Question: "what is " + strconv.Itoa(i), ID: ID(strconv.Itoa(9000 + i)), Choices: []string{"choice 0", "choice 1", "choice 2", "choice 3"}}
			for j := range i % 3 {
				want.Answers = append(want.Answers, "a "+strconv.Itoa(j))
			}
			if i%2 == 0 {
				want.Kind = "other"
			}
			if i%5 != 4 {
				want.Correct = number(i % 4)
			}
			want.Difficult = i%5 != 3 && i%3 == 0
			if !reflect.DeepEqual(r.Questions, []Question{want}) || !r.NoID {
				t.Errorf("%s: row %d: %+v, want %+v", name, i, r, want)
			}
		}
	}
}

// TestAsked: runs and CapFilt know their data by this text, which must not change with what a Question holds.
func TestAsked(t *testing.T) {
	r := Record{Questions: []Question{{Question: "how many \"x\"", Answers: []string{"2", "two"}, Kind: "number", ID: "420", Choices: []string{"2", "3"}, Correct: number(0)}, {Question: "q"}}}
	if got, want := r.Asked(), `[{"how many \"x\"" ["2" "two"] "number" "420"} {"q" [] "" ""}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := (&Record{}).Asked(); got != "[]" {
		t.Errorf("no questions: %s", got)
	}
}

// TestMapped: a column that is mapped is not read under its own name too.
func TestMapped(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.jsonl": `{"image": "a.png", "captions": ["x", "y"]}`, "a.csv": "image,captions\na.png,\"[\"\"x\"\",\"\"y\"\"]\"\n",
		"b.jsonl": `{"captions": "a.png"}`, "b.csv": "captions,text\na.png,t\n"})
	set, err := OpenWith(filepath.Join(dir, "a.jsonl"), Options{Fields: map[string]string{"caption": "captions"}})
	if err != nil || len(set.Records[0].Captions) != 2 {
		t.Errorf("JSONL: %+v, %v", set, err)
	}
	for _, name := range []string{"b.jsonl", "b.csv"} {
		set, err := OpenWith(filepath.Join(dir, name), Options{Fields: map[string]string{"image": "captions"}})
		if err != nil || len(set.Records[0].Captions) != 0 || set.Records[0].Image != filepath.Join(dir, "a.png") {
			t.Errorf("%s: %+v, %v", name, set, err)
		}
		other := strings.Replace(name, "b", "a", 1)
		if _, err := OpenWith(filepath.Join(dir, other), Options{Fields: map[string]string{"caption": "image"}}); err == nil || !strings.Contains(err.Error(), `"image"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBadQuestions wants one line that names file and field.
func TestBadQuestions(t *testing.T) {
	okvqa := `{"questions": [{"image_id": 1, "question_id": 5, "question": "q"}, {"image_id": 2, "question_id": %, "question": "r"}]}`
	for _, tc := range []struct{ name, content, want string }{
		{"a.json", `[{"image": 7, "question": "q", "answerable": 1}]`, `a.json: record 0: "image" is 7, not the name of a picture`},
		{"a.json", `[{"image": "VizWiz_val_1.jpg", "question": "q", "answers": [{"text": "x"}]}]`, `a.json: record 0: `},
		{"a.json", `[{"image": "VizWiz_val_1.jpg", "question": "q"}, {"question": "r"}]`, `a.json: record 1: no "image"`},
		{"a.json", `[{"image": "VizWiz_val_1.jpg", "question": " "}]`, `a.json: image VizWiz_val_1.jpg: empty question`},
		{"a.json", `[{"image": "VizWiz_val_1.jpg", "question": "q"}`, "a.json: the file ends too early"},
		{"a.json", `[{"image_id": "x", "question_id": "1", "question": "q", "choices": []}]`, `a.json: record 0: "image_id" is "x", not the name of a picture`},
		{"a.json", `[{"image_id": 1, "question_id": "1", "question": "q", "choices": ["a"]}, {"image_id": 2, "question_id": "1", "question": "q", "choices": ["a"]}]`, `a.json: question "1" is there twice`},
		{"a.json", `[{"image_id": 1, "question_id": {}, "question": "q", "choices": ["a"]}]`, `a.json: record 0: `},
		{"a.json", `[{"image_id": 1, "question_id": "1", "question": "q", "choices": ["a"], "correct_choice_idx": 1}]`, `a.json: image 1: "correct_choice_idx" is 1, of 1 choices for "q"`},
		{"a.json", `{"1": {"imageId": "2", "question": "q"}, "1": {"imageId": "3", "question": "q"}}`, `a.json: question "1" is there twice`},
		{"a.json", `{"1": {"imageId": "2", "question": "q"}, "2": {"imageId": ["3"], "question": "q"}}`, `a.json: question "2": "imageId" is ["3"], not the name`},
		{"a.json", `{"1": {"imageId": "2", "question": "q"}, "2": [{"question": "q"}]}`, `a.json: question "2": no "imageId"`},
		{"a.json", strings.ReplaceAll(okvqa, "%", "5"), `a.json: "question_id" 5 is there twice`},
		{"a.json", strings.ReplaceAll(okvqa, "%", `"x"`), `a.json: questions 1: "question_id" is "x", not a whole number`},
		{"a.json", strings.ReplaceAll(okvqa, "%", "1.5"), `a.json: questions 1: "question_id" is 1.5, not a whole number`},
		{"a.json", `{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], "annotations": [{"image_id": 1, "caption": "c"}]}`, `a.json: images: "id" 1 is there twice`},
		{"a.csv", "image,question,correct_choice_idx\na.png,q,one\n", `a.csv:2: "correct_choice_idx" is "one", want a whole number`},
		{"a.csv", "image,question,difficult_direct_answer\na.png,q,perhaps\n", `a.csv:2: "difficult_direct_answer" is "perhaps"`},
		{"a.csv", "image,questions\na.png,q\n", `a.csv:2: "questions" is not a JSON list of questions`},
		{"a.csv", "image,caption,noise\na.png,c,\"[\"\"\"\",\"\"\"\"]\"\n", `a.csv:2: "noise" has 2 entries for 1 captions`},
		{"a.jsonl", `{"image": "a", "question": "q", "answers": [{"answer": 7}]}`, `a.jsonl:1: `},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{tc.name: tc.content})
		_, err := Open(filepath.Join(dir, tc.name))
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %s", tc.content, err, tc.want)
		}
	}
	if _, err := OpenWith("testdata/parquet/snappy.parquet", Options{Fields: map[string]string{"scene": "caption"}}); err == nil || !strings.Contains(err.Error(), "scene is not read") {
		t.Errorf("a mapped field that tables do not have: %v", err)
	}
}
