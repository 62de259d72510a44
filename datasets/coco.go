package datasets

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets/blob"
)

// openJSON tells apart what a .json file may be, by its keys: COCO captions
// (images and annotations), Karpathy's splits (images with sentences), VQA
// questions, those of VizWiz, A-OKVQA and GQA, the manifest of packed shards,
// or a list of JSONL's objects.
func openJSON(spec Spec, o Options) (Source, error) {
	file, err := blob.Open(spec.Path)
	if err != nil {
		return nil, err
	}
	d := &document{file: file, spec: spec, fields: o.Fields, keys: map[string]bool{}, subtype: subtypeIn(spec.Path)}
	if err := eachElement(file, d.note); err != nil {
		return nil, err
	}
	if len(o.Fields) > 0 && (d.keys["images"] || d.keys["questions"]) {
		return nil, fmt.Errorf("%s: --map is for columns; this file has a layout of its own", spec.Path)
	}
	if len(spec.Splits) > 0 && !d.karpathy {
		return nil, fmt.Errorf("%s: split= is for Karpathy's file; this one has no splits", spec.Path)
	}
	if spec.Annotations != "" && !d.keys["questions"] {
		return nil, fmt.Errorf("%s: annotations= belongs to a file of VQA questions; this is none", spec.Path)
	}
	switch {
	case d.asked != nil:
		return d.askedPictures()
	case d.keys["shards"]:
		return openPacked(spec.Path, o)
	case d.keys["questions"]:
		return d.vqa()
	case d.keys["images"] && d.karpathy:
		return d.karpathySplits()
	case d.keys["images"] && d.keys["annotations"]:
		return d.coco()
	case d.keys["images"]:
		return nil, fmt.Errorf("%s: images without annotations: there is nothing to learn from", spec.Path)
	case d.keys["annotations"]:
		return nil, fmt.Errorf("%s: annotations alone; for VQA name the questions: QUESTIONS.json#annotations=%s", spec.Path, path.Base(spec.Path))
	case d.keys[""]:
		return &elementList{d}, nil
	}
	return nil, fmt.Errorf("%s: no records", spec.Path)
}

// document is where the parts of a .json file lie.
type document struct {
	file     blob.Blob
	spec     Spec
	fields   map[string]string
	keys     map[string]bool // of lists that are not empty; "" for the document itself
	karpathy bool
	subtype  string // "train2014": which of COCO's pictures

	images    []keyed // by id
	texts     []keyed // annotations or questions, by image id
	questions []int64 // their ids
	elements  []extent
	asked     *askedNotes // of a file whose questions name their pictures; nil: another
	pictures  pictures
}

// keyed is an element with the id it is found by.
type keyed struct {
	id    int64
	place extent
}

func byID(list []keyed) {
	slices.SortStableFunc(list, func(a, b keyed) int { return cmp.Compare(a.id, b.id) })
}

// withID are the elements of one id, of a sorted list.
func withID(list []keyed, id int64) []keyed {
	first, _ := slices.BinarySearchFunc(list, id, func(k keyed, id int64) int { return cmp.Compare(k.id, id) })
	last := first
	for last < len(list) && list[last].id == id {
		last++
	}
	return list[first:last]
}

// wholeID reads an id that is a whole number, or one in quotes.
func wholeID(raw json.RawMessage, field, where string) (int64, error) {
	if len(raw) == 0 {
		return 0, Problem{where, fmt.Sprintf("no %q", field)}
	}
	id, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		return 0, Problem{where, fmt.Sprintf("%q is %.40s, not a whole number", field, raw)}
	}
	return id, nil
}

// twiceIn finds an id that is there more than once.
func twiceIn[T cmp.Ordered](ids []T) (id T, twice bool) {
	ids = slices.Sorted(slices.Values(ids))
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return ids[i], true
		}
	}
	return id, false
}

// note takes in an element of the first pass. Of objects only ids are read.
func (d *document) note(e element) error {
	if d.asked == nil && len(d.keys) == 0 && e.number == 0 {
		if layout := askedLayoutOf(e); layout != nil && len(d.fields) == 0 {
			d.asked = &askedNotes{layout: layout, numbers: map[string]int32{}}
		}
	}
	if d.asked != nil {
		if e.number >= maxElements || len(d.asked.places) >= maxElements {
			return fmt.Errorf("more than %d questions", maxElements)
		}
		return d.noteAsked(e)
	}
	if !e.inList {
		if e.key == "data_subtype" {
			var subtype string
			if json.Unmarshal(e.text, &subtype) == nil {
				d.subtype = cmp.Or(subtype, d.subtype)
			}
		}
		return nil
	}
	if e.number >= maxElements {
		return fmt.Errorf("more than %d elements in a list", maxElements)
	}
	d.keys[e.key] = true
	var ids struct {
		ID         json.RawMessage `json:"id"`
		ImageID    json.RawMessage `json:"image_id"`
		QuestionID json.RawMessage `json:"question_id"`
		Sentences  json.RawMessage `json:"sentences"`
	}
	parse := func() error {
		if err := json.Unmarshal(e.text, &ids); err != nil {
			return Problem{fmt.Sprintf("%s: %s %d", d.file.Name(), e.key, e.number), jsonError(err, nil).Error()}
		}
		return nil
	}
	id := func(raw json.RawMessage, field string) (int64, error) {
		return wholeID(raw, field, fmt.Sprintf("%s: %s %d", d.file.Name(), e.key, e.number))
	}
	switch e.key {
	case "":
		d.elements = append(d.elements, e.place)
	case "images":
		if err := parse(); err != nil {
			return err
		}
		if e.number == 0 {
			d.karpathy = ids.Sentences != nil
		}
		if d.karpathy {
			d.elements = append(d.elements, e.place)
			return nil
		}
		number, err := id(ids.ID, "id")
		d.images = append(d.images, keyed{number, e.place})
		return err
	case "annotations", "questions":
		if err := parse(); err != nil {
			return err
		}
		number, err := id(ids.ImageID, "image_id")
		d.texts = append(d.texts, keyed{number, e.place})
		if err != nil || e.key == "annotations" {
			return err
		}
		number, err = id(ids.QuestionID, "question_id")
		d.questions = append(d.questions, number)
		return err
	}
	return nil
}

// maxElements bounds a JSON file's lists: 24 bytes are kept of each.
const maxElements = 100_000_000

func (d *document) unmarshal(place extent, into any) error {
	text, err := place.read(d.file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("byte %d: %w", place.offset, jsonError(err, nil))
	}
	return nil
}

// elementList is a document that is a list of records.
type elementList struct{ *document }

func (s *elementList) Len() int { return len(s.elements) }

func (s *elementList) Record(i int) (Record, error) {
	text, err := s.elements[i].read(s.file)
	if err != nil {
		return Record{}, err
	}
	where := fmt.Sprintf("%s: record %d", s.spec.Path, i)
	record, err := parseRecord(text, s.fields)
	if err == nil {
		err = record.validateTexts()
	}
	if err != nil {
		return Record{}, Problem{where, err.Error()}
	}
	record.Origin = where
	record.Image = s.listed(record.Image)
	if record.Image2 != "" {
		record.Image2 = s.listed(record.Image2)
	}
	if record.ID == "" {
		record.ID, record.NoID = strconv.Itoa(i), true
	}
	return record, nil
}

// listed is where a picture of a list lies: beside it, or where images=DIR says.
func (s *elementList) listed(name string) string {
	if s.spec.Images != "" {
		return pictures{s.spec.Images}.path(name)
	}
	return beside(s.spec.Path, name)
}

// cocoCaptions is COCO's layout: a list of images, and one of captions by image.
type cocoCaptions struct{ *document }

func (d *document) coco() (Source, error) {
	byID(d.texts)
	if len(d.images) == 0 {
		return nil, fmt.Errorf("%s: no records", d.spec.Path)
	}
	ids := make([]int64, len(d.images))
	for i, image := range d.images {
		ids[i] = image.id
	}
	if id, twice := twiceIn(ids); twice {
		return nil, fmt.Errorf("%s: images: \"id\" %d is there twice", d.spec.Path, id)
	}
	var first struct {
		FileName string `json:"file_name"`
	}
	if err := d.unmarshal(d.images[0].place, &first); err != nil {
		return nil, fmt.Errorf("%s: images 0: %w", d.spec.Path, err)
	}
	d.pictures = findPictures(d.spec, d.subtype, first.FileName)
	return &cocoCaptions{d}, nil
}

func (s *cocoCaptions) Len() int { return len(s.images) }

func (s *cocoCaptions) Record(i int) (Record, error) {
	var image struct {
		FileName string `json:"file_name"`
	}
	id := s.images[i].id
	record := Record{ID: strconv.FormatInt(id, 10), Origin: fmt.Sprintf("%s: image %d", s.spec.Path, id)}
	if err := s.unmarshal(s.images[i].place, &image); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	if image.FileName == "" {
		return record, Problem{record.Origin, `no "file_name"`}
	}
	record.Image = s.pictures.path(image.FileName)
	for _, k := range withID(s.texts, id) {
		var annotation struct {
			Caption *string `json:"caption"`
		}
		if err := s.unmarshal(k.place, &annotation); err != nil {
			return record, Problem{record.Origin, err.Error()}
		}
		if annotation.Caption == nil {
			return record, Problem{record.Origin, fmt.Sprintf(`byte %d: an annotation without "caption"`, k.place.offset)}
		}
		record.Captions = append(record.Captions, *annotation.Caption)
	}
	if err := record.validateTexts(); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	return record, nil
}

// karpathy is the layout of dataset_coco.json: images with their split and sentences.
type karpathy struct{ *document }

// karpathyImage is one element; coco_id is absent in Flickr's file.
type karpathyImage struct {
	FilePath  string       `json:"filepath"`
	FileName  string       `json:"filename"`
	ImageID   json.Number  `json:"imgid"`
	COCOID    *json.Number `json:"cocoid"`
	Split     string       `json:"split"`
	Sentences []struct {
		Raw string `json:"raw"`
	} `json:"sentences"`
}

func (d *document) karpathySplits() (Source, error) {
	if len(d.spec.Splits) > 0 {
		var chosen []extent
		there := map[string]bool{}
		for i, place := range d.elements {
			var image struct {
				Split string `json:"split"`
			}
			if err := d.unmarshal(place, &image); err != nil {
				return nil, fmt.Errorf("%s: images %d: %w", d.spec.Path, i, err)
			}
			there[image.Split] = true
			if slices.Contains(d.spec.Splits, image.Split) {
				chosen = append(chosen, place)
			}
		}
		for _, split := range d.spec.Splits {
			if !there[split] {
				return nil, fmt.Errorf("%s: no split %q; there are: %v", d.spec.Path, split, slices.Sorted(maps.Keys(there)))
			}
		}
		d.elements = chosen
	}
	var first karpathyImage
	if err := d.unmarshal(d.elements[0], &first); err != nil {
		return nil, fmt.Errorf("%s: images 0: %w", d.spec.Path, err)
	}
	d.pictures = findPictures(d.spec, d.subtype, path.Join(first.FilePath, first.FileName))
	return &karpathy{d}, nil
}

func (s *karpathy) Len() int { return len(s.elements) }

func (s *karpathy) Record(i int) (Record, error) {
	var image karpathyImage
	record := Record{Origin: fmt.Sprintf("%s: images %d", s.spec.Path, i)}
	if err := s.unmarshal(s.elements[i], &image); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	record.ID = image.ImageID.String()
	if image.COCOID != nil {
		record.ID = image.COCOID.String()
	}
	if image.FileName == "" {
		return record, Problem{record.Origin, `no "filename"`}
	}
	record.Image = s.pictures.path(path.Join(image.FilePath, image.FileName))
	for _, sentence := range image.Sentences {
		record.Captions = append(record.Captions, sentence.Raw)
	}
	if err := record.validateTexts(); err != nil {
		return record, Problem{record.Origin, err.Error()}
	}
	return record, nil
}
