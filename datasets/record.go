package datasets

import "encoding/json"

// Record is one picture and what is known about it. Its JSON keys are those of
// one line of a JSONL source.
type Record struct {
	ID        string          `json:"id,omitempty"`
	Image     string          `json:"image"` // usable path; in a file, relative to that file
	Captions  []string        `json:"captions,omitempty"`
	Questions []Question      `json:"questions,omitempty"`
	Scene     json.RawMessage `json:"scene,omitempty"` // ground truth of generated corpora

	// Image2 is the second picture of a pair that a text is about, as in NLVR2.
	Image2 string `json:"image2,omitempty"`

	// NoID says that the source gave no id, and ID is only the place of the record in it.
	NoID bool `json:"-"`

	// Origin says where the record was read, "train.jsonl:17", for messages.
	Origin string `json:"-"`
}

// Question is one question about a picture with its accepted answers.
type Question struct {
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
	Kind     string   `json:"kind,omitempty"` // for accuracy by kind
}

// Set is a source read into memory; pictures stay on disk.
type Set struct {
	Name    string // the path it was opened by
	Records []Record
}

// Len is the number of pictures.
func (s *Set) Len() int { return len(s.Records) }
