package datasets

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"goblip/datasets/image"
)

// Record is one picture and what is known about it. Its JSON keys are those of
// one line of a JSONL source.
type Record struct {
	ID        string          `json:"id,omitempty"`
	Image     string          `json:"image"` // usable path, unless it is Stored; in a file, relative to that file
	Captions  []string        `json:"captions,omitempty"`
	Questions []Question      `json:"questions,omitempty"`
	Scene     json.RawMessage `json:"scene,omitempty"` // ground truth of generated corpora
	// Noise says what is known to be wrong with each caption, "" if it is right; empty where nobody knows.
	Noise []string `json:"noise,omitempty"`

	// Image2 is the second picture of a pair that a text is about, as in NLVR2.
	Image2 string `json:"image2,omitempty"`

	// NoID says that the source gave no id, and ID is only the place of the record in it.
	NoID bool `json:"-"`

	// Origin says where the record was read, "train.jsonl:17", for messages.
	Origin string `json:"-"`

	// picture is where the picture lies, if that is not a file of its own.
	picture stored
}

// stored is a picture inside of something: a tar shard, a column of a table.
type stored interface {
	read() ([]byte, error)
	stamp() (string, bool) // see Set.Stamp
}

// Question is one question about a picture with its accepted answers.
type Question struct {
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
	Kind     string   `json:"kind,omitempty"`        // for accuracy by kind
	ID       ID       `json:"question_id,omitempty"` // by which files of results call it; "": none

	// Choices are what a multiple-choice question offers, and Correct is which of them is right, from 0; nil
	// where nobody says, as in test sets. Answers are then what people say freely.
	Choices []string `json:"choices,omitempty"`
	Correct *int     `json:"correct_choice_idx,omitempty"`
	// Difficult marks a question that A-OKVQA asks with its choices alone.
	Difficult bool `json:"difficult_direct_answer,omitempty"`
}

// Asked is what is asked about the picture and answered, for hashes that tell data sets apart; what there is to
// choose from is no part of it.
func (r *Record) Asked() string {
	type asked struct {
		question string
		answers  []string
		kind     string
		id       ID
	}
	list := make([]asked, len(r.Questions))
	for i, q := range r.Questions {
		list[i] = asked{q.Question, q.Answers, q.Kind, q.ID}
	}
	return fmt.Sprintf("%q", list)
}

// ID is a picture's or a question's id as files of results have it: a whole number where it is one, as COCO and VQA
// want, and else a text.
type ID string

// MarshalJSON is json.Marshaler.
func (id ID) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(string(id), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(id) {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// UnmarshalJSON is json.Unmarshaler: of a number or a text.
func (id *ID) UnmarshalJSON(text []byte) error {
	s, err := parseID(text)
	*id = ID(s)
	return err
}

// Stored says whether the picture lies inside of a shard or a table; Image is
// then a name for people, and no path.
func (r *Record) Stored() bool { return r.picture != nil }

// PictureFile reads the picture as it was written: the bytes of a JPEG, a PNG.
func (r *Record) PictureFile() ([]byte, error) {
	if r.picture == nil {
		return image.ReadFile(r.Image)
	}
	data, err := r.picture.read()
	if err == nil && len(data) > image.MaxFileBytes {
		err = fmt.Errorf("picture of %d bytes is over the limit of %d", len(data), image.MaxFileBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Image, err)
	}
	return data, nil
}

// Decode reads and decodes the picture; errors name it.
func (r *Record) Decode(o image.Options) (image.RGB, error) {
	data, err := r.PictureFile()
	if err != nil {
		return image.RGB{}, r.named(err)
	}
	rgb, err := image.Decode(data, o)
	if err != nil {
		return image.RGB{}, r.named(fmt.Errorf("%s: %w", r.Image, err))
	}
	return rgb, nil
}

// Pixels is the picture as a model sees it -> [side, side, 3] bytes.
func (r *Record) Pixels(p image.Processor) ([]byte, error) {
	rgb, err := r.Decode(p.Options())
	if err != nil {
		return nil, err
	}
	return p.Apply(rgb), nil
}

// named puts the record's place before an error that names its picture.
func (r *Record) named(err error) error {
	if err == nil || r.Origin == "" || r.Origin == r.Image || strings.HasPrefix(r.Image, r.Origin) {
		return err
	}
	return fmt.Errorf("%s: %w", r.Origin, err)
}

// Place is where the record was read, or else its picture, for messages.
func (r *Record) Place() string { return cmp.Or(r.Origin, r.Image) }
