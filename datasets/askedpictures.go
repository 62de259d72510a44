package datasets

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// askedPictures is a file of questions that name their pictures themselves: those of VizWiz, A-OKVQA and
// GQA. A record is a picture with all its questions.
type askedPictures struct {
	*document
	layout *askedLayout
	groups [][]askedPlace // by picture, in the order of their first questions
	names  []string       // of the pictures
}

// askedPlace is one question.
type askedPlace struct {
	picture int32 // number in names
	place   extent
	key     string // the key of the question, where the file is an object of questions
}

// askedLayout is what differs between these files.
type askedLayout struct {
	name    string
	image   string // the field that names a picture
	picture func(id string, e *askedElement) (file, folder string)
	read    func(key string, e *askedElement) (Question, error)
}

// askedElement is a question in any of the layouts.
type askedElement struct {
	Image     json.RawMessage `json:"image"`
	ImageID   json.RawMessage `json:"image_id"`
	ImageIDG  json.RawMessage `json:"imageId"`
	Question  string          `json:"question"`
	AskedAs   ID              `json:"question_id"`
	Answer    string          `json:"answer"`
	Answers   answers         `json:"answers"`
	Direct    []string        `json:"direct_answers"`
	Kind      string          `json:"answer_type"`
	Types     askedTypes      `json:"types"`
	Choices   []string        `json:"choices"`
	Correct   *int            `json:"correct_choice_idx"`
	Difficult bool            `json:"difficult_direct_answer"`
	Split     string          `json:"split"`
}

// askedTypes are GQA's kinds of questions.
type askedTypes struct {
	Structural string `json:"structural"`
}

func (e *askedElement) imageOf(field string) json.RawMessage {
	return map[string]json.RawMessage{"image": e.Image, "image_id": e.ImageID, "imageId": e.ImageIDG}[field]
}

var (
	vizWiz = &askedLayout{
		name: "VizWiz", image: "image",
		picture: func(id string, _ *askedElement) (file, folder string) {
			_, rest, _ := strings.Cut(id, "_") // VizWiz_val_00000000.jpg
			folder, _, _ = strings.Cut(rest, "_")
			return id, folder
		},
		read: func(_ string, e *askedElement) (Question, error) {
			var image string
			err := json.Unmarshal(e.Image, &image)
			return Question{Question: e.Question, Answers: mostFrequentFirst(e.Answers, ""), Kind: e.Kind, ID: ID(image)}, err
		},
	}
	aokvqa = &askedLayout{
		name: "A-OKVQA", image: "image_id",
		picture: func(id string, e *askedElement) (file, folder string) {
			n, _ := strconv.ParseInt(id, 10, 64)
			return fmt.Sprintf("%012d.jpg", n), e.Split + "2017"
		},
		read: func(_ string, e *askedElement) (Question, error) {
			if e.AskedAs == "" {
				return Question{}, errors.New(`no "question_id"`)
			}
			return Question{Question: e.Question, Answers: mostFrequentFirst(e.Direct, ""), ID: e.AskedAs,
				Choices: e.Choices, Correct: e.Correct, Difficult: e.Difficult}, nil
		},
	}
	gqa = &askedLayout{
		name: "GQA", image: "imageId",
		picture: func(id string, _ *askedElement) (file, folder string) { return id + ".jpg", "" },
		read: func(key string, e *askedElement) (Question, error) {
			q := Question{Question: e.Question, Kind: e.Types.Structural, ID: ID(key)}
			if e.Answer != "" {
				q.Answers = []string{e.Answer}
			}
			return q, nil
		},
	}
)

// askedLayoutOf recognises a layout by a document's first element; nil: it has none of them.
func askedLayoutOf(e element) *askedLayout {
	var keys map[string]json.RawMessage
	if len(e.text) == 0 || e.text[0] != '{' || json.Unmarshal(e.text, &keys) != nil {
		return nil
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return keys[name] == nil })
	}
	switch {
	case !e.inList && has("imageId", "question"):
		return gqa
	case !e.inList || e.key != "":
		return nil
	case has("image_id", "question_id", "question", "choices"):
		return aokvqa
	case has("image", "question") && (has("answerable") || strings.HasPrefix(string(keys["image"]), `"VizWiz_`)):
		return vizWiz
	}
	return nil
}

// noteAsked takes in a question of the first pass.
func (d *document) noteAsked(e element) error {
	where := d.whereAsked(e)
	var q askedElement
	if err := json.Unmarshal(e.text, &q); err != nil {
		return Problem{where, jsonError(err, nil).Error()}
	}
	raw := q.imageOf(d.asked.layout.image)
	id, err := parseID(raw)
	if d.asked.layout == aokvqa && err == nil && id != "" {
		_, err = strconv.ParseInt(id, 10, 64)
	}
	switch {
	case err != nil || d.asked.layout == vizWiz && id != "" && raw[0] != '"':
		return Problem{where, fmt.Sprintf("%q is %.40s, not the name of a picture", d.asked.layout.image, raw)}
	case id == "":
		return Problem{where, fmt.Sprintf("no %q", d.asked.layout.image)}
	}
	number, known := d.asked.numbers[id]
	if !known {
		number = int32(len(d.asked.names))
		d.asked.numbers[id] = number
		d.asked.names = append(d.asked.names, id)
		if number == 0 {
			d.asked.first, d.asked.folder = d.asked.layout.picture(id, &q)
		}
	}
	d.asked.places = append(d.asked.places, askedPlace{number, e.place, e.key})
	if id := cmp.Or(e.key, string(q.AskedAs)); id != "" {
		d.asked.ids = append(d.asked.ids, id)
	}
	return nil
}

func (d *document) whereAsked(e element) string {
	if e.key != "" {
		return fmt.Sprintf("%s: question %q", d.file.Name(), e.key)
	}
	return fmt.Sprintf("%s: record %d", d.file.Name(), e.number)
}

// askedNotes is what the first pass notes of such a file.
type askedNotes struct {
	layout        *askedLayout
	numbers       map[string]int32
	names         []string
	places        []askedPlace
	ids           []string // of questions
	first, folder string   // the first picture's file, and the folder its kind is kept in
}

// askedPictures groups the questions by picture.
func (d *document) askedPictures() (Source, error) {
	n := d.asked
	if id, twice := twiceIn(n.ids); twice {
		return nil, fmt.Errorf("%s: question %q is there twice", d.spec.Path, id)
	}
	s := &askedPictures{document: d, layout: n.layout, names: n.names, groups: make([][]askedPlace, len(n.names))}
	slices.SortStableFunc(n.places, func(a, b askedPlace) int { return cmp.Compare(a.picture, b.picture) })
	for from := 0; from < len(n.places); {
		to, picture := from, n.places[from].picture
		for to < len(n.places) && n.places[to].picture == picture {
			to++
		}
		s.groups[picture] = n.places[from:to:to]
		from = to
	}
	folder := n.folder
	if folder == "" {
		folder = strings.TrimSuffix(filepath.Base(d.spec.Path), filepath.Ext(d.spec.Path))
	}
	d.pictures = findPictures(d.spec, folder, n.first)
	d.asked = nil
	return s, nil
}

func (s *askedPictures) Len() int { return len(s.groups) }

func (s *askedPictures) Record(i int) (Record, error) {
	record := Record{ID: s.names[i], Origin: fmt.Sprintf("%s: image %s", s.spec.Path, s.names[i])}
	for _, place := range s.groups[i] {
		var e askedElement
		err := s.unmarshal(place.place, &e)
		if err == nil && record.Image == "" {
			name, _ := s.layout.picture(s.names[i], &e)
			record.Image = s.pictures.path(name)
		}
		var q Question
		if err == nil {
			q, err = s.layout.read(place.key, &e)
		}
		if err != nil {
			return record, Problem{record.Origin, err.Error()}
		}
		record.Questions = append(record.Questions, q)
	}
	if err := record.validateTexts(); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	return record, nil
}

// mostFrequentFirst puts the answers that equal most first, or if that is empty those that most people gave, and
// leaves out empty ones, which some people left so; else answers stay in their order.
func mostFrequentFirst(given []string, most string) []string {
	count, given := map[string]int{}, slices.DeleteFunc(slices.Clone(given), func(answer string) bool { return strings.TrimSpace(answer) == "" })
	for _, answer := range given {
		count[answer]++
	}
	if most == "" {
		for _, answer := range given {
			if count[answer] > count[most] {
				most = answer
			}
		}
	}
	slices.SortStableFunc(given, func(a, b string) int {
		switch {
		case a == most && b != most:
			return -1
		case a != most && b == most:
			return 1
		}
		return 0
	})
	return given
}
