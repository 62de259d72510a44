package shapes

import (
	"slices"
	"strings"
	"unicode"
)

// Mentioned is what a caption says; an empty word or a count of 0 is unsaid.
type Mentioned struct {
	Main     Main
	Group    Group
	Relation string
}

// AttributeScore says which attributes of a scene a caption got right.
type AttributeScore struct {
	MainColour, MainShape, Texture, GroupColour, GroupShape, Count, Relation bool
}

// Attributes names the fields of an AttributeScore in their order.
var Attributes = []string{"main colour", "main shape", "texture", "group colour", "group shape", "count", "relation"}

// Flags are the fields in the order of Attributes.
func (a AttributeScore) Flags() []bool {
	return []bool{a.MainColour, a.MainShape, a.Texture, a.GroupColour, a.GroupShape, a.Count, a.Relation}
}

// Fraction is the share of attributes that are right, 0..1.
func (a AttributeScore) Fraction() float64 {
	right := 0
	for _, ok := range a.Flags() {
		if ok {
			right++
		}
	}
	return float64(right) / float64(len(Attributes))
}

// Score compares a caption with the truth.
func Score(scene Scene, caption string) AttributeScore {
	got := ParseCaption(caption)
	return AttributeScore{
		MainColour:  got.Main.Colour == scene.Main.Colour,
		MainShape:   got.Main.Shape == scene.Main.Shape,
		Texture:     got.Main.Texture == scene.Main.Texture,
		GroupColour: got.Group.Colour == scene.Group.Colour,
		GroupShape:  got.Group.Shape == scene.Group.Shape,
		Count:       got.Group.Count == scene.Group.Count,
		Relation:    got.Relation == scene.Relation,
	}
}

var synonyms = map[string]string{
	"violet": "purple", "disc": "circle", "disk": "circle", "box": "square", "boxes": "square",
	"plus": "cross", "plus-sign": "cross", "donut": "ring", "doughnut": "ring",
	"stripes": "striped", "stripe": "striped", "stripy": "striped", "dots": "dotted", "dot": "dotted",
	"spotted": "dotted", "spots": "dotted", "top": "above", "over": "above", "bottom": "below",
	"under": "below", "beneath": "below", "underneath": "below",
}

var numbers = map[string]int{
	"a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "1": 1, "2": 2, "3": 3,
}

func init() {
	for _, shape := range Shapes {
		synonyms[plural(shape)] = shape
	}
}

// ParseCaption reads a caption word by word, forgiving order, punctuation and
// synonyms: the first shape is the main object, the next other one the group. Where no other shape is
// named, the first one's next mention is the group: wrong, but its colour and number may be right.
func ParseCaption(text string) Mentioned {
	var m Mentioned
	words := wordsOf(strings.ToLower(text))
	main, again, group := -1, -1, len(words) // places of the two shapes, and of the first one's next mention
	for i, word := range words {
		if s, ok := synonyms[word]; ok {
			word, words[i] = s, s
		}
		switch {
		case slices.Contains(Shapes, word) && main < 0:
			main, m.Main.Shape = i, word
		case slices.Contains(Shapes, word) && m.Group.Shape == "" && word != m.Main.Shape:
			group, m.Group.Shape = i, word
		case main >= 0 && word == m.Main.Shape && again < 0:
			again = i
		case slices.Contains(Relations, word) && m.Relation == "":
			m.Relation = word
		case (word == "striped" || word == "dotted") && m.Main.Texture == "":
			m.Main.Texture = word
		}
	}
	if main < 0 {
		return Mentioned{Relation: m.Relation}
	}
	if m.Group.Shape == "" && again > 0 {
		group, m.Group.Shape = again, m.Main.Shape
	}
	if m.Main.Texture == "" {
		m.Main.Texture = "plain" // captions need not say it
	}
	before := lastOf(words[:main], Colours)
	between := words[main:group]
	var after []string
	if group < len(words) {
		after = words[group:]
	}
	if before != "" { // "a red circle and two blue squares", "... two squares in blue"
		m.Main.Colour, m.Group.Colour = before, lastOf(between, Colours)
		if m.Group.Colour == "" {
			m.Group.Colour = firstOf(after, Colours)
		}
	} else { // "a circle in red and two squares in blue", "... two blue squares"
		m.Main.Colour, m.Group.Colour = firstOf(between, Colours), firstOf(after, Colours)
		if m.Group.Colour == "" && m.Main.Colour != "" {
			rest := between[slices.Index(between, m.Main.Colour)+1:]
			m.Group.Colour = lastOf(rest, Colours)
		}
	}
	if m.Group.Shape == "" {
		m.Group.Colour = ""
		return m
	}
	for _, word := range between {
		if n := numbers[word]; n > 0 {
			m.Group.Count = n
		}
	}
	return m
}

func firstOf(words, wanted []string) string {
	for _, word := range words {
		if slices.Contains(wanted, word) {
			return word
		}
	}
	return ""
}

func lastOf(words, wanted []string) string {
	reversed := slices.Clone(words)
	slices.Reverse(reversed)
	return firstOf(reversed, wanted)
}

// wordsOf splits at everything that is not part of a word.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '{' && r != '}' && r != '-'
	})
}

// Words are what the caption says of each attribute, in the order of Attributes; "" where it says nothing.
func (m Mentioned) Words() []string {
	count := ""
	if m.Group.Count > 0 && m.Group.Count < len(counts) {
		count = counts[m.Group.Count]
	}
	return []string{m.Main.Colour, m.Main.Shape, m.Main.Texture, m.Group.Colour, m.Group.Shape, count, m.Relation}
}

// Words are the scene's attributes in the order of Attributes.
func (s Scene) Words() []string {
	return Mentioned{Main: s.Main, Group: s.Group, Relation: s.Relation}.Words()
}
