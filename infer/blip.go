package infer

import (
	"slices"
	"strings"

	"goblip/models/blip"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPGraph is a graph function that uses every tensor of a BLIP of the config's class, for Declare,
// and the shapes of its inputs: pixels, text.
func BLIPGraph(cfg *blip.Config) (build func(scope *model.Scope, in []*Node), inputs []shapes.Shape) {
	side := cfg.Vision.ImageSize
	inputs = []shapes.Shape{shapes.Make(dtypes.Float32, 1, 3, side, side), shapes.Make(dtypes.Int32, 1, 4)}
	return func(scope *model.Scope, in []*Node) {
		image, text := blip.ImageStates(scope, cfg, in[0]), in[1]
		decode := func(states *Node) {
			memory := blip.Memory(scope, cfg, states)
			blip.WordLogits(scope, cfg, blip.DecoderStates(scope, cfg, memory, nil, text, text))
		}
		switch {
		case slices.Contains(cfg.Architectures, blip.RetrievalClass):
			blip.Match(scope, blip.GroundedStates(scope, cfg, image, text, text))
			blip.ImageFeatures(scope, cfg, image)
			blip.TextFeatures(scope, cfg, blip.TextStates(scope, cfg, text, text))
		case slices.Contains(cfg.Architectures, blip.VQAClass):
			decode(blip.GroundedStates(scope, cfg, image, text, text))
		default:
			decode(image)
		}
	}, inputs
}

// IsBLIPCopy names tensors that some BLIP files have beside the model's own: counters, and the second
// names of the word table and its bias.
func IsBLIPCopy(name string) bool {
	return IsPositionIDs(name) || strings.HasPrefix(name, "text_decoder.cls.predictions.decoder.")
}
