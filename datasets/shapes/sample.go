package shapes

import (
	"fmt"
	"math/rand/v2"

	"goblip/datasets"
)

// The split a scene belongs to is part of its random stream's name.
const (
	splitTrain = iota
	splitVal
	splitTest
	splitText
	splitHuman
)

// Independent random streams of one scene: changing what a caption draws does
// not change the picture.
const (
	streamAttributes = iota
	streamPicture
	streamCaptions
	streamQuestions
	streamNoise
)

// newRand is the generator of one stream of one scene: a counter, not a state,
// so scenes can be made in any order and by any number of processors.
func newRand(seed uint64, split, index, stream int) *rand.Rand {
	return datasets.Rand(seed, uint64(split), uint64(index), uint64(stream))
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// pairs says which pairs of colour and shape a scene may show.
type pairs int

const (
	knownPairs   pairs = iota // those of the training set
	heldOutPairs              // at least one that is not
	anyPairs
)

// sampleScene draws attributes until they fit.
func sampleScene(rng *rand.Rand, allowed pairs) Scene {
	for {
		s := Scene{
			Main:     Main{pick(rng, Colours), pick(rng, Shapes), pick(rng, Textures)},
			Group:    Group{pick(rng, Colours), pick(rng, Shapes), 1 + rng.IntN(MaxCount)},
			Relation: pick(rng, Relations),
		}
		if s.Main.Colour == s.Group.Colour || s.Main.Shape == s.Group.Shape {
			continue
		}
		s.Novel = HeldOut(s.Main.Colour, s.Main.Shape) || HeldOut(s.Group.Colour, s.Group.Shape)
		if allowed == anyPairs || s.Novel == (allowed == heldOutPairs) {
			return s
		}
	}
}

// novelShare is the part of test scenes with a held-out pair.
const novelShare = 0.25

// sampleScenes draws a split's scenes. Those of validation and test are all
// different, so that retrieval among them has one right answer.
func sampleScenes(seed uint64, split, n int) ([]Scene, error) {
	scenes := make([]Scene, n)
	seen := make(map[Scene]bool, n)
	for i := range scenes {
		rng := newRand(seed, split, i, streamAttributes)
		allowed := knownPairs
		if split == splitTest && rng.Float64() < novelShare {
			allowed = heldOutPairs
		}
		for tries := 0; ; tries++ {
			scenes[i] = sampleScene(rng, allowed)
			if split == splitTrain || !seen[scenes[i]] {
				break
			}
			if tries == 1000 {
				return nil, fmt.Errorf("shapes: there are not %d different scenes", n)
			}
		}
		seen[scenes[i]] = true
	}
	return scenes, nil
}
