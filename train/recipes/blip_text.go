package recipes

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"goblip/datasets"

	"github.com/gomlx/compute/shapes"
)

// punctuation is what BLIP takes out of captions and questions.
const punctuation = `.!"()*#:;~`

// CleanCaption prepares a caption as BLIP does: lower case, punctuation becomes a space, words are cut
// to a number.
func CleanCaption(s string, maxWords int) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(punctuation, r) {
			return ' '
		}
		return r
	}, strings.ToLower(s))
	words := strings.Fields(s)
	return strings.Join(words[:min(len(words), maxWords)], " ")
}

// CleanQuestion prepares a question as BLIP does: as a caption, but punctuation leaves no space.
func CleanQuestion(s string, maxWords int) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(punctuation, r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
	words := strings.Fields(s)
	return strings.Join(words[:min(len(words), maxWords)], " ")
}

// caption prepares a caption as the settings say.
func (m *BLIPModel) caption(s string) string {
	if m.Clean {
		return CleanCaption(s, m.MaxWords)
	}
	words := strings.Fields(s)
	return strings.Join(words[:min(len(words), m.MaxWords)], " ")
}

// cleanSpace collapses white space.
func cleanSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// question likewise.
func (m *BLIPModel) question(s string) string {
	if m.Clean {
		return CleanQuestion(s, m.MaxWords)
	}
	return m.caption(s)
}

// cleaned is a set with prepared captions.
func (m *BLIPModel) cleaned(set *datasets.Set) (*datasets.Set, error) {
	out := &datasets.Set{Name: set.Name, Records: slices.Clone(set.Records)}
	for i, r := range out.Records {
		captions := make([]string, len(r.Captions))
		for j, c := range r.Captions {
			if captions[j] = m.caption(c); captions[j] == "" {
				return nil, fmt.Errorf("%s: caption %q has no words", r.Origin, c)
			}
		}
		out.Records[i].Captions = captions
	}
	return out, nil
}

// prepared lists the prepared captions of a set.
func (m *BLIPModel) prepared(set *datasets.Set) ([]string, error) {
	clean, err := m.cleaned(set)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range clean.Records {
		out = append(out, r.Captions...)
	}
	return out, nil
}

func sliceOf(texts []string) iter.Seq[string] { return slices.Values(texts) }

// freeze turns patterns with commas between into the test of a tensor name. A pattern that fits no
// tensor is a mistake.
func freeze(patterns string, tensors map[string]shapes.Shape) (func(name string) bool, error) {
	var all []string
	for _, p := range strings.Split(patterns, ",") {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		fits := false
		for name := range tensors {
			ok, err := path.Match(p, name) // names have no slash: * stands for anything
			if err != nil {
				return nil, fmt.Errorf("freeze: %q is not a pattern", p)
			}
			fits = fits || ok
		}
		if !fits {
			return nil, fmt.Errorf("freeze: %q fits no tensor of the model", p)
		}
		all = append(all, p)
	}
	return func(name string) bool {
		return slices.ContainsFunc(all, func(p string) bool {
			ok, _ := path.Match(p, name) // tried before
			return ok
		})
	}, nil
}
