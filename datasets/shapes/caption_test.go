package shapes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"goblip/datasets"
)

// everyScene calls use for all combinations of attributes.
func everyScene(use func(Scene)) {
	for _, mc := range Colours {
		for _, ms := range Shapes {
			for _, texture := range Textures {
				for _, gc := range Colours {
					for _, gs := range Shapes {
						for count := 1; count <= MaxCount; count++ {
							for _, relation := range Relations {
								s := Scene{Main: Main{mc, ms, texture}, Group: Group{gc, gs, count}, Relation: relation}
								if s.Validate() == nil {
									use(s)
								}
							}
						}
					}
				}
			}
		}
	}
}

func TestEveryTemplateScoresFull(t *testing.T) {
	known := Vocabulary()
	rng := datasets.Rand(1)
	everyScene(func(s Scene) {
		for _, template := range templates {
			caption := fill(template, s, rng)
			if got := Score(s, caption); got.Fraction() != 1 {
				t.Fatalf("%q scores %+v for %+v", caption, got, s)
			}
			if n := len(strings.Fields(caption)); n > 20 {
				t.Fatalf("%q has %d words, want at most 20", caption, n)
			}
			for word := range strings.FieldsSeq(caption) {
				if _, ok := slices.BinarySearch(known, word); !ok {
					t.Fatalf("%q: %q is not in the vocabulary", caption, word)
				}
			}
		}
	})
	if len(known) >= 80 {
		t.Errorf("vocabulary has %d words, want fewer than 80", len(known))
	}
}

func TestCaptionsTellScenesApart(t *testing.T) {
	scenes, err := sampleScenes(1, splitTest, 300)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scenes {
		captions := Captions(s, newRand(1, splitTest, i, streamCaptions))
		slices.Sort(captions)
		if unique := slices.Compact(slices.Clone(captions)); len(unique) != CaptionsPerScene {
			t.Errorf("scene %d: captions repeat: %q", i, captions)
		}
		for j, other := range scenes {
			if i != j && Score(other, captions[0]).Fraction() == 1 {
				t.Errorf("%q fits scenes %d and %d", captions[0], i, j)
			}
		}
	}
}

func TestParseCaption(t *testing.T) {
	full := Mentioned{Main{"red", "circle", "striped"}, Group{"blue", "square", 2}, "left"}
	for _, tc := range []struct {
		text string
		want Mentioned
	}{
		{"A large striped red circle, with two small blue squares to the left.", full},
		{"a red red disc with stripes and left of it 2 blue boxes", full},
		{"a circle in red that is striped and two squares in blue on the left", full},
		{"a spotted violet donut and a tiny white star beneath it",
			Mentioned{Main{"purple", "ring", "dotted"}, Group{"white", "star", 1}, "below"}},
		{"a striped red circle and left of it two blue circles",
			Mentioned{Main{"red", "circle", "striped"}, Group{"blue", "circle", 2}, "left"}},
		{"a red circle", Mentioned{Main: Main{"red", "circle", "plain"}}},
		{"red red red", Mentioned{}},
		{"", Mentioned{}},
	} {
		if got := ParseCaption(tc.text); got != tc.want {
			t.Errorf("%q: got %+v, want %+v", tc.text, got, tc.want)
		}
	}
}

func TestScoreSeesEachMistake(t *testing.T) {
	s := Scene{Main{"red", "circle", "striped"}, Group{"blue", "square", 2}, "left", false}
	const right = "a large striped red circle with two small blue squares on the left"
	for i, change := range [][2]string{
		{"red", "white"}, {"circle", "ring"}, {"striped", "dotted"}, {"blue", "green"},
		{"squares", "stars"}, {"two", "three"}, {"left", "right"},
	} {
		flags := Score(s, strings.Replace(right, change[0], change[1], 1)).Flags()
		for j, ok := range flags {
			if ok != (i != j) {
				t.Errorf("%s -> %s: %s is %v", change[0], change[1], Attributes[j], ok)
			}
		}
	}
}

func ExampleCaptions() {
	s := Scene{Main{"red", "circle", "striped"}, Group{"blue", "square", 2}, "left", false}
	for _, caption := range Captions(s, datasets.Rand(1))[:2] {
		fmt.Println(caption)
	}
	// Output:
	// this picture shows a striped circle in red and two small squares in blue on the left
	// large striped red circle next to two blue squares on the left
}
