package shapes

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"goblip/datasets"
)

// noiseKinds are the ways to spoil a text, with their shares of the noise.
var noiseKinds = []struct {
	kind  string
	share float64
	spoil func(scenes []Scene, index int, rng *rand.Rand) string
}{
	{datasets.NoiseSwapped, 0.4, otherCaption},
	{datasets.NoiseAttribute, 0.3, wrongCaption},
	{datasets.NoiseBoilerplate, 0.15, boilerplate},
	{datasets.NoiseTruncated, 0.15, truncatedCaption},
}

// webText is the one text that a page has beside picture number index, and what is wrong with it, "" if nothing.
func webText(noise float64, scenes []Scene, index int, rng *rand.Rand) (text, kind string) {
	if rng.Float64() >= noise {
		return oneCaption(scenes[index], rng), ""
	}
	u := rng.Float64()
	for _, k := range noiseKinds {
		if u -= k.share; u < 0 {
			return k.spoil(scenes, index, rng), k.kind
		}
	}
	last := noiseKinds[len(noiseKinds)-1]
	return last.spoil(scenes, index, rng), last.kind
}

func oneCaption(scene Scene, rng *rand.Rand) string { return fill(pick(rng, templates), scene, rng) }

// otherCaption is right of another picture and wrong of this one.
func otherCaption(scenes []Scene, index int, rng *rand.Rand) string {
	for range 1000 {
		if text := oneCaption(pick(rng, scenes), rng); scenes[index].Noise(text) == datasets.NoiseAttribute {
			return text
		}
	}
	return oneCaption(sampleOther(scenes[index], rng), rng) // all scenes are alike
}

func sampleOther(scene Scene, rng *rand.Rand) Scene {
	for {
		if other := sampleScene(rng, knownPairs); other.Main.Shape != scene.Main.Shape {
			return other
		}
	}
}

// wrongCaption has one or two words of the truth wrong.
func wrongCaption(scenes []Scene, index int, rng *rand.Rand) string {
	for {
		s := scenes[index]
		for range 1 + rng.IntN(2) {
			switch rng.IntN(7) {
			case 0:
				s.Main.Colour = pick(rng, Colours)
			case 1:
				s.Main.Shape = pick(rng, Shapes)
			case 2:
				s.Main.Texture = pick(rng, Textures)
			case 3:
				s.Group.Colour = pick(rng, Colours)
			case 4:
				s.Group.Shape = pick(rng, Shapes)
			case 5:
				s.Group.Count = 1 + rng.IntN(MaxCount)
			case 6:
				s.Relation = pick(rng, Relations)
			}
		}
		if s.Validate() != nil {
			continue
		}
		if text := oneCaption(s, rng); scenes[index].Noise(text) == datasets.NoiseAttribute {
			return text
		}
	}
}

// pages are texts that stand beside pictures and say nothing of them; # is a number.
var pages = []string{
	"img # jpg", "click to enlarge", "photo # of #", "stock image # royalty free", "free shipping on all orders over #",
	"all rights reserved", "buy now for # only", "home about contact", "download wallpaper # x #", "share this page",
	"item # in stock", "best price guaranteed", "loading please wait", "advertisement", "posted # days ago by admin",
}

func boilerplate(_ []Scene, _ int, rng *rand.Rand) string {
	words := strings.Fields(pick(rng, pages))
	for i := range words {
		if words[i] == "#" {
			words[i] = strconv.Itoa(1 + rng.IntN(9999))
		}
	}
	return strings.Join(words, " ")
}

// truncatedCaption is cut before all was said.
func truncatedCaption(scenes []Scene, index int, rng *rand.Rand) string {
	for {
		words := strings.Fields(oneCaption(scenes[index], rng))
		// At least two words stay and at least two go; the cut may not make the rest wrong, as
		// "a red circle with" is of a striped one that would have been called so at the end.
		cut := strings.Join(words[:2+rng.IntN(len(words)-3)], " ")
		if scenes[index].Noise(cut) == datasets.NoiseTruncated {
			return cut
		}
	}
}

// Noise says what is wrong with a text about this scene, "" if nothing is and nothing is missing: a kind of
// package datasets. A text that names no shape says nothing (NoiseBoilerplate), or was cut (NoiseTruncated) if it
// names one of the scene's colours, its texture or its place.
func (s Scene) Noise(text string) string {
	said, truth := ParseCaption(text), s.Words()
	if said.Main.Shape == "" {
		words := wordsOf(strings.ToLower(text))
		for _, w := range []string{s.Main.Colour, s.Main.Texture, s.Relation} {
			if slices.Contains(words, w) {
				return datasets.NoiseTruncated
			}
		}
		return datasets.NoiseBoilerplate
	}
	missing := false
	for i, word := range said.Words() {
		if word != "" && word != truth[i] {
			return datasets.NoiseAttribute
		}
		missing = missing || word == ""
	}
	if missing {
		return datasets.NoiseTruncated
	}
	return ""
}
