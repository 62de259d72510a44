package shapes

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHeldOutTouchesEachWordOnce(t *testing.T) {
	byColour, byShape := map[string]int{}, map[string]int{}
	for _, c := range Colours {
		for _, s := range Shapes {
			if HeldOut(c, s) {
				byColour[c]++
				byShape[s]++
			}
		}
	}
	for _, c := range Colours {
		if byColour[c] != 1 {
			t.Errorf("%s is held out with %d shapes, want 1", c, byColour[c])
		}
	}
	for _, s := range Shapes {
		if byShape[s] != 1 {
			t.Errorf("%s is held out in %d colours, want 1", s, byShape[s])
		}
	}
	if HeldOut("pink", "circle") || HeldOut("red", "heart") {
		t.Error("an unknown word is held out")
	}
}

func TestScenesOfSplits(t *testing.T) {
	for _, tc := range []struct {
		name     string
		split, n int
	}{{"train", splitTrain, 24000}, {"val", splitVal, 500}, {"test", splitTest, 1000}} {
		scenes, err := sampleScenes(1, tc.split, tc.n)
		if err != nil {
			t.Fatal(err)
		}
		seen, novel := map[Scene]bool{}, 0
		for i, s := range scenes {
			if err := s.Validate(); err != nil {
				t.Fatalf("%s %d: %v", tc.name, i, err)
			}
			pair := HeldOut(s.Main.Colour, s.Main.Shape) || HeldOut(s.Group.Colour, s.Group.Shape)
			if s.Novel != pair {
				t.Fatalf("%s %d: novel is %v for %+v", tc.name, i, s.Novel, s)
			}
			if pair {
				novel++
			}
			if seen[s] && tc.split != splitTrain {
				t.Errorf("%s %d: scene occurs twice: %+v", tc.name, i, s)
			}
			seen[s] = true
		}
		share := float64(novel) / float64(tc.n)
		if tc.split != splitTest && novel != 0 {
			t.Errorf("%s: %d scenes with held-out pairs, want none", tc.name, novel)
		}
		if tc.split == splitTest && (share < 0.2 || share > 0.3) {
			t.Errorf("test: share of held-out pairs is %.3f, want about 0.25", share)
		}
	}
}

func TestParseNamesTheBadField(t *testing.T) {
	good := `{"main":{"colour":"red","shape":"circle","texture":"plain"},"group":{"colour":"blue","shape":"star","count":2},"relation":"left"}`
	for _, tc := range []struct{ name, from, to, want string }{
		{"good", "", "", ""},
		{"colour", `"red"`, `"pink"`, "main.colour"},
		{"texture", `"plain"`, `"furry"`, "main.texture"},
		{"count", `"count":2`, `"count":4`, "group.count"},
		{"count type", `"count":2`, `"count":"2"`, "count"},
		{"relation", `"left"`, `"inside"`, "relation"},
		{"same colour", `"blue"`, `"red"`, "share a colour"},
	} {
		_, err := Parse(json.RawMessage(strings.Replace(good, tc.from, tc.to, 1)))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	if _, err := Parse(nil); err == nil {
		t.Error("an absent scene was accepted")
	}
}
