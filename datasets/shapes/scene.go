package shapes

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The words of the grammar.
var (
	Colours   = []string{"red", "yellow", "green", "blue", "purple", "white"}
	Shapes    = []string{"circle", "square", "triangle", "star", "cross", "ring"}
	Textures  = []string{"plain", "striped", "dotted"}
	Relations = []string{"left", "right", "above", "below"} // where the group is, seen from the main object
	counts    = []string{"none", "one", "two", "three"}
)

// MaxCount is the largest number of small objects.
const MaxCount = 3

// Scene is the truth of one picture.
type Scene struct {
	Main     Main   `json:"main"`
	Group    Group  `json:"group"`
	Relation string `json:"relation"` // the group is left of, right of, above or below the main object
	// Novel says that the main object's or the group's pair of colour and
	// shape occurs in no training picture.
	Novel bool `json:"novel"`
}

// Main is the large object.
type Main struct {
	Colour  string `json:"colour"`
	Shape   string `json:"shape"`
	Texture string `json:"texture"`
}

// Group is one to three equal small objects, of another colour and another
// shape than the main one, so that every question has one answer.
type Group struct {
	Colour string `json:"colour"`
	Shape  string `json:"shape"`
	Count  int    `json:"count"`
}

// Parse reads the "scene" of a record.
func Parse(data json.RawMessage) (Scene, error) {
	var scene Scene
	if len(data) == 0 {
		return scene, fmt.Errorf("scene: absent")
	}
	if err := json.Unmarshal(data, &scene); err != nil {
		return scene, fmt.Errorf("scene: %w", err)
	}
	return scene, scene.Validate()
}

// Validate reports the first word that is not of the grammar.
func (s Scene) Validate() error {
	for _, field := range []struct {
		name, value string
		known       []string
	}{
		{"main.colour", s.Main.Colour, Colours}, {"main.shape", s.Main.Shape, Shapes},
		{"main.texture", s.Main.Texture, Textures}, {"group.colour", s.Group.Colour, Colours},
		{"group.shape", s.Group.Shape, Shapes}, {"relation", s.Relation, Relations},
	} {
		if !slices.Contains(field.known, field.value) {
			return fmt.Errorf("scene: %s: %q is none of %v", field.name, field.value, field.known)
		}
	}
	if s.Group.Count < 1 || s.Group.Count > MaxCount {
		return fmt.Errorf("scene: group.count: %d is out of range 1..%d", s.Group.Count, MaxCount)
	}
	if s.Main.Colour == s.Group.Colour || s.Main.Shape == s.Group.Shape {
		return fmt.Errorf("scene: main and group share a colour or a shape")
	}
	return nil
}

// HeldOut says whether no training picture shows this pair. The pairs are a
// diagonal of the table of colours and shapes: each colour and each shape
// loses exactly one of its six partners.
func HeldOut(colour, shape string) bool {
	c, s := slices.Index(Colours, colour), slices.Index(Shapes, shape)
	return c >= 0 && s >= 0 && (c+2)%len(Shapes) == s
}
