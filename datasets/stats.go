package datasets

import (
	"fmt"
	"strings"
	"unicode"

	"goblip/datasets/image"
)

// Stats counts what a set holds.
type Stats struct {
	Pictures           int            `json:"pictures"`
	WithoutCaption     int            `json:"without_caption"`
	Captions           int            `json:"captions"`
	CaptionWords       int            `json:"caption_words"`
	LongestCaption     int            `json:"longest_caption"` // words
	Vocabulary         int            `json:"vocabulary"`      // different words, case ignored
	Questions          int            `json:"questions"`
	QuestionsByKind    map[string]int `json:"questions_by_kind,omitempty"`
	WithTruth          int            `json:"with_truth"` // records with a scene
	Sizes              map[string]int `json:"sizes"`      // "640x480" to the number of pictures
	CaptionsPerPicture float64        `json:"captions_per_picture"`
	WordsPerCaption    float64        `json:"words_per_caption"`
}

// Count makes the statistics of a set. Of the pictures it reads the headers only.
func Count(set *Set) (Stats, error) {
	s := Stats{Pictures: len(set.Records), QuestionsByKind: map[string]int{}, Sizes: map[string]int{}}
	words := map[string]struct{}{}
	for i := range set.Records {
		r := &set.Records[i]
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
			s.LongestCaption = max(s.LongestCaption, len(list))
			for _, word := range list {
				words[word] = struct{}{}
			}
		}
		for _, q := range r.Questions {
			s.Questions++
			if q.Kind != "" {
				s.QuestionsByKind[q.Kind]++
			}
		}
	}
	s.Vocabulary = len(words)
	if s.Pictures > 0 {
		s.CaptionsPerPicture = float64(s.Captions) / float64(s.Pictures)
	}
	if s.Captions > 0 {
		s.WordsPerCaption = float64(s.CaptionWords) / float64(s.Captions)
	}
	sizes := make([]string, len(set.Records))
	err := forEach(len(sizes), nil, func(i int) error {
		width, height, err := image.Size(set.Records[i].Image)
		sizes[i] = fmt.Sprintf("%dx%d", width, height)
		return err
	})
	for _, size := range sizes {
		s.Sizes[size]++
	}
	return s, err
}
