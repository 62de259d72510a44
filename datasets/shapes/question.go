package shapes

import (
	"math/rand/v2"
	"slices"

	"goblip/datasets"
)

// Kinds of questions.
const (
	KindHowMany    = "how many"
	KindWhatColour = "what colour"
	KindIsThere    = "is there"
)

// Questions asks four things about a scene whose answers are drawn first, so
// that guessing from the words alone does not pay.
func Questions(scene Scene, rng *rand.Rand) []datasets.Question {
	ask := func(kind, question, answer string) datasets.Question {
		return datasets.Question{Question: question, Answers: []string{answer}, Kind: kind}
	}
	shape, answer := howMany(scene, rng)
	list := []datasets.Question{ask(KindHowMany, "how many "+plural(shape)+" are there", answer)}

	switch {
	case rng.IntN(2) == 0:
		list = append(list, ask(KindWhatColour, "what colour is the "+scene.Main.Shape, scene.Main.Colour))
	case scene.Group.Count == 1:
		list = append(list, ask(KindWhatColour, "what colour is the "+scene.Group.Shape, scene.Group.Colour))
	default:
		list = append(list, ask(KindWhatColour, "what colour are the "+plural(scene.Group.Shape), scene.Group.Colour))
	}

	shape, answer = pick(rng, []string{scene.Main.Shape, scene.Group.Shape}), "yes"
	if rng.IntN(2) == 0 {
		shape, answer = absentShape(scene, rng), "no"
	}
	list = append(list, ask(KindIsThere, "is there a "+shape, answer))

	colour, shape, answer := colouredShape(scene, rng)
	return append(list, ask(KindIsThere, "is there a "+colour+" "+shape, answer))
}

// howMany asks of an absent shape in a quarter of the cases and mostly of the
// group otherwise, which gives the four answers about equal shares.
func howMany(scene Scene, rng *rand.Rand) (shape, answer string) {
	switch u := rng.Float64(); {
	case u < 0.25:
		return absentShape(scene, rng), counts[0]
	case u < 0.33:
		return scene.Main.Shape, counts[1]
	}
	return scene.Group.Shape, counts[scene.Group.Count]
}

func absentShape(scene Scene, rng *rand.Rand) string {
	for {
		if shape := pick(rng, Shapes); shape != scene.Main.Shape && shape != scene.Group.Shape {
			return shape
		}
	}
}

// colouredShape asks for a pair: half of the time one that is there, otherwise
// one that shares its colour or its shape with an object of the scene.
func colouredShape(scene Scene, rng *rand.Rand) (colour, shape, answer string) {
	colour, shape = scene.Main.Colour, scene.Main.Shape
	if rng.IntN(2) == 0 {
		colour, shape = scene.Group.Colour, scene.Group.Shape
	}
	if rng.IntN(2) == 0 {
		return colour, shape, "yes"
	}
	for {
		c, s := colour, shape
		if rng.IntN(2) == 0 {
			c = pick(rng, Colours)
		} else {
			s = pick(rng, Shapes)
		}
		there := c == scene.Main.Colour && s == scene.Main.Shape || c == scene.Group.Colour && s == scene.Group.Shape
		// A held-out pair is never a "yes" in training; were it a "no", the
		// words alone would give the answer away.
		if !there && (scene.Novel || !HeldOut(c, s)) {
			return c, s, "no"
		}
	}
}

// Vocabulary lists every word the corpus can use, sorted.
func Vocabulary() []string {
	words := map[string]bool{}
	add := func(text string) {
		for _, word := range wordsOf(text) {
			words[word] = true
		}
	}
	for _, list := range [][]string{Colours, Shapes, counts, {"plain striped dotted with stripes dots a one is are",
		"large big small tiny yes no how many are there what colour is the are", "is there a question answer"}} {
		for _, text := range list {
			add(text)
		}
	}
	for _, shape := range Shapes {
		add(plural(shape))
	}
	for _, t := range templates {
		for _, word := range wordsOf(t) {
			if word[0] != '{' {
				words[word] = true
			}
		}
	}
	for _, m := range []map[string]string{places, sides, ofs} {
		for _, text := range m {
			add(text)
		}
	}
	list := make([]string, 0, len(words))
	for word := range words {
		list = append(list, word)
	}
	slices.Sort(list)
	return list
}
