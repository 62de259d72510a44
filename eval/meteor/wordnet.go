package meteor

import (
	"fmt"
	"strconv"
	"strings"
)

// wordNet knows which words can mean the same.
type wordNet struct {
	sets  map[string][]uint32 // a word's sets of synonyms
	bases map[string][]string // base forms of irregular ones
}

func newWordNet() *wordNet {
	return &wordNet{sets: map[string][]uint32{}, bases: map[string][]string{}}
}

func (n *wordNet) addForms(base string, forms []string) error {
	for _, f := range forms {
		n.bases[f] = append(n.bases[f], base)
	}
	return nil
}

func (n *wordNet) addSets(word string, numbers []string) error {
	sets := make([]uint32, len(numbers))
	for i, number := range numbers {
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not the number of a set of synonyms", number)
		}
		sets[i] = uint32(id)
	}
	n.sets[word] = sets
	return nil
}

// detachments are WordNet's regular endings of nouns, verbs and adjectives, with those of their base forms.
var detachments = [][2]string{
	{"s", ""}, {"ses", "s"}, {"xes", "x"}, {"zes", "z"}, {"ches", "ch"}, {"shes", "sh"}, {"men", "man"}, {"ies", "y"},
	{"es", "e"}, {"es", ""}, {"ed", "e"}, {"ed", ""}, {"ing", "e"}, {"ing", ""},
	{"er", ""}, {"est", ""}, {"er", "e"}, {"est", "e"},
}

// of are the sets of synonyms of a word and of its base forms.
func (n *wordNet) of(word string) map[uint32]bool {
	found := map[uint32]bool{}
	for _, form := range append([]string{word}, n.baseForms(word)...) {
		for _, id := range n.sets[form] {
			found[id] = true
		}
	}
	return found
}

// baseForms are those of an irregular word, or the first that a regular ending gives and WordNet has.
func (n *wordNet) baseForms(word string) []string {
	if bases, irregular := n.bases[word]; irregular {
		return bases
	}
	if len(word) < 3 || strings.HasSuffix(word, "ss") {
		return nil
	}
	for _, d := range detachments {
		if before, ends := strings.CutSuffix(word, d[0]); ends {
			if _, there := n.sets[before+d[1]]; there {
				return []string{before + d[1]}
			}
		}
	}
	return nil
}
