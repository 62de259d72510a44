package datasets

import (
	"fmt"
	"strings"
	"sync"

	"goblip/datasets/image"
)

// MaxCaptionWords is the length above which Check calls a caption too long:
// BLIP's text encoders keep 30 to 40 tokens and silently cut the rest.
const MaxCaptionWords = 64

// CheckPath reads a source as training will and lists everything that is wrong
// with it, records that could not be read included.
func CheckPath(path string, progress func(done, total int)) ([]Problem, error) {
	set, problems, err := read(path)
	if err != nil {
		return nil, err
	}
	return append(problems, Check(set, progress)...), nil
}

// Check reports pictures that are missing or cannot be decoded, empty, repeated
// or very long captions, questions without an answer, and repeated IDs, in the
// order of the records. progress may be nil.
func Check(set *Set, progress func(done, total int)) []Problem {
	perRecord := make([][]string, len(set.Records))
	var mu sync.Mutex
	_ = forEach(len(set.Records), progress, func(i int) error {
		found := checkRecord(&set.Records[i])
		mu.Lock()
		defer mu.Unlock()
		perRecord[i] = found
		return nil // go on: all problems are wanted
	})
	var problems []Problem
	firstWithID := map[string]int{}
	firstWithCaption := map[string]int{} // key: picture and caption
	for i := range set.Records {
		r := &set.Records[i]
		where := r.Origin
		if where == "" {
			where = fmt.Sprintf("%s: record %d", set.Name, i)
		}
		add := func(format string, args ...any) {
			problems = append(problems, Problem{where, fmt.Sprintf(format, args...)})
		}
		for _, what := range perRecord[i] {
			add("%s", what)
		}
		if first, ok := firstWithID[r.ID]; ok {
			add("id %q was used before (%s)", r.ID, set.Records[first].Origin)
		} else {
			firstWithID[r.ID] = i
		}
		for _, caption := range r.Captions {
			key := r.Image + "\x00" + strings.TrimSpace(caption)
			if first, ok := firstWithCaption[key]; ok {
				add("duplicate: this picture had the caption %q before (%s)", caption, set.Records[first].Origin)
			} else {
				firstWithCaption[key] = i
			}
		}
	}
	return problems
}

func checkRecord(r *Record) (found []string) {
	if _, err := image.Open(r.Image, image.Options{}); err != nil {
		// The file's name is part of the message; Where is the record's place.
		found = append(found, err.Error())
	}
	if len(r.Captions) == 0 && len(r.Questions) == 0 {
		found = append(found, "neither caption nor question")
	}
	for _, caption := range r.Captions {
		if strings.TrimSpace(caption) == "" {
			found = append(found, "empty caption")
		}
		if n := len(strings.Fields(caption)); n > MaxCaptionWords {
			found = append(found, fmt.Sprintf("caption of %d words: models keep fewer than %d", n, MaxCaptionWords))
		}
	}
	for _, q := range r.Questions {
		if len(q.Answers) == 0 {
			found = append(found, fmt.Sprintf("question %q has no answer", q.Question))
		}
	}
	return found
}
