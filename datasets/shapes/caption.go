package shapes

import (
	"math/rand/v2"
	"strings"
)

// CaptionsPerScene is how many captions a picture gets, each of another template.
const CaptionsPerScene = 5

// templates name the main object first, then the group with its number and
// place. Words in braces are filled by fillers.
var templates = []string{
	"a {large} {texture} {colour} {shape} with {n} {small} {gcolour} {gshape} {at}",
	"there is a {large} {colour} {texture} {shape} and {n} {gcolour} {gshape} {side}",
	"a picture of a {colour} {shape} {pattern} and {n} {small} {gcolour} {gshape} {of}",
	"one {large} {texture} {colour} {shape} and {of} {n} {small} {gcolour} {gshape}",
	"this picture shows a {texture} {shape} in {colour} and {n} {small} {gshape} in {gcolour} {at}",
	"a {texture} {colour} {shape} that has {n} {small} {gcolour} {gshape} {side}",
	"we see a {large} {colour} {shape} {pattern} and then {n} {gcolour} {gshape} {at}",
	"{large} {texture} {colour} {shape} next to {n} {gcolour} {gshape} {at}",
	"an image with a {large} {texture} {colour} {shape} and {of} there {is} {n} {gcolour} {gshape}",
	"the {texture} {shape} is {colour} and {of} there {is} {n} {small} {gcolour} {gshape}",
}

var (
	places = map[string]string{"left": "on the left", "right": "on the right", "above": "at the top", "below": "at the bottom"}
	sides  = map[string]string{"left": "on its left side", "right": "on its right side", "above": "above it", "below": "below it"}
	ofs    = map[string]string{"left": "left of it", "right": "right of it", "above": "above it", "below": "under it"}
)

// Captions describes a scene five times, all lower-case words, no punctuation.
func Captions(scene Scene, rng *rand.Rand) []string {
	captions := make([]string, CaptionsPerScene)
	for i, t := range rng.Perm(len(templates))[:CaptionsPerScene] {
		captions[i] = fill(templates[t], scene, rng)
	}
	return captions
}

func fill(template string, s Scene, rng *rand.Rand) string {
	number, verb, gshape := counts[s.Group.Count], "are", plural(s.Group.Shape)
	if s.Group.Count == 1 {
		number, verb, gshape = pick(rng, []string{"a", "one"}), "is", s.Group.Shape
	}
	texture, pattern := s.Main.Texture, ""
	switch texture {
	case "plain": // said half of the time
		texture = pick(rng, []string{"", "plain"})
	case "striped":
		pattern = "with stripes"
	case "dotted":
		pattern = "with dots"
	}
	text := strings.NewReplacer(
		"{large}", pick(rng, []string{"large", "big"}), "{small}", pick(rng, []string{"small", "tiny"}),
		"{texture}", texture, "{pattern}", pattern, "{colour}", s.Main.Colour, "{shape}", s.Main.Shape,
		"{n}", number, "{is}", verb, "{gcolour}", s.Group.Colour, "{gshape}", gshape,
		"{at}", places[s.Relation], "{side}", sides[s.Relation], "{of}", ofs[s.Relation],
	).Replace(template)
	return strings.Join(strings.Fields(text), " ")
}

// plural is a shape's plural.
func plural(shape string) string {
	if shape == "cross" {
		return "crosses"
	}
	return shape + "s"
}
