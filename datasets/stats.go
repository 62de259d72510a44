package datasets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"goblip/datasets/image"
)

// Stats counts what a source holds.
type Stats struct {
	Pictures           int            `json:"pictures"`
	WithoutCaption     int            `json:"without_caption"`
	Captions           int            `json:"captions"`
	CaptionWords       int            `json:"caption_words"`
	LongestCaption     int            `json:"longest_caption"` // words
	Vocabulary         int            `json:"vocabulary"`      // different words, case ignored
	Questions          int            `json:"questions"`
	Answers            int            `json:"answers"`
	QuestionsByKind    map[string]int `json:"questions_by_kind,omitempty"`
	WithTruth          int            `json:"with_truth"` // records with a scene
	Sizes              map[string]int `json:"sizes"`      // "640x480" to the number of pictures
	CaptionLengths     map[int]int    `json:"caption_lengths"`
	Words              []WordCount    `json:"words"` // the most frequent of the captions
	CaptionsPerPicture float64        `json:"captions_per_picture"`
	WordsPerCaption    float64        `json:"words_per_caption"`
}

// WordCount is how often a word occurs.
type WordCount struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

const (
	maxStatWords = 50
	// maxVocabulary bounds the words that are told apart: past it, new ones are not counted.
	maxVocabulary = 5_000_000
)

// Count makes the statistics of a source. Of the pictures it reads the headers only.
// progress may be nil.
func Count(source Source, progress func(done, total int)) (Stats, error) {
	s := Stats{QuestionsByKind: map[string]int{}, Sizes: map[string]int{}, CaptionLengths: map[int]int{}}
	words := map[string]int{}
	var mu sync.Mutex
	err := forEach(source.Len(), progress, func(i int) error {
		r, err := source.Record(i)
		if err != nil {
			return err
		}
		width, height, err := r.Size()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		s.Sizes[fmt.Sprintf("%dx%d", width, height)]++
		s.count(&r, words)
		return nil
	})
	if err != nil {
		return s, err
	}
	s.Vocabulary = len(words)
	if s.Pictures > 0 {
		s.CaptionsPerPicture = float64(s.Captions) / float64(s.Pictures)
	}
	if s.Captions > 0 {
		s.WordsPerCaption = float64(s.CaptionWords) / float64(s.Captions)
	}
	for word, n := range words {
		s.Words = append(s.Words, WordCount{word, n})
	}
	slices.SortFunc(s.Words, func(a, b WordCount) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Word, b.Word)) })
	s.Words = slices.Clone(s.Words[:min(maxStatWords, len(s.Words))])
	return s, nil
}

func (s *Stats) count(r *Record, words map[string]int) {
	s.Pictures++
	if len(r.Captions) == 0 {
		s.WithoutCaption++
	}
	if len(r.Scene) > 0 {
		s.WithTruth++
	}
	for _, caption := range r.Captions {
		list := strings.FieldsFunc(strings.ToLower(caption), func(c rune) bool {
			return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '\''
		})
		s.Captions++
		s.CaptionWords += len(list)
		s.CaptionLengths[len(list)]++
		s.LongestCaption = max(s.LongestCaption, len(list))
		for _, word := range list {
			if _, known := words[word]; known || len(words) < maxVocabulary {
				words[word]++
			}
		}
	}
	for _, q := range r.Questions {
		s.Questions++
		s.Answers += len(q.Answers)
		if q.Kind != "" {
			s.QuestionsByKind[q.Kind]++
		}
	}
}

// Length is the number of words that a share of the captions does not exceed.
func (s *Stats) Length(share float64) int {
	lengths := slices.Sorted(maps.Keys(s.CaptionLengths))
	left := share * float64(s.Captions)
	for _, n := range lengths {
		if left -= float64(s.CaptionLengths[n]); left <= 0 {
			return n
		}
	}
	return s.LongestCaption
}

// Size reads the picture's width and height, of a file from its header.
func (r *Record) Size() (width, height int, err error) {
	if r.picture == nil {
		width, height, err = image.Size(r.Image)
		return width, height, r.named(err)
	}
	data, err := r.PictureFile()
	if err == nil {
		if width, height, err = image.SizeOf(data); err != nil {
			err = fmt.Errorf("%s: %w", r.Image, err)
		}
	}
	return width, height, r.named(err)
}
