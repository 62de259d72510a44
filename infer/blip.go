package infer

import (
	"fmt"
	"maps"
	"slices"

	"goblip/checkpoints"
	"goblip/models/blip"

	"github.com/gomlx/compute"
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
		if slices.Contains(cfg.Architectures, blip.NLVRClass) {
			blip.JudgePair(scope, cfg, blip.ImageStates(scope, cfg, Concatenate([]*Node{in[0], in[0]}, 0)), in[1], in[1])
			return
		}
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

// blipRetrieval are the graphs of a BLIP for Retriever.
type blipRetrieval struct{ cfg *blip.Config }

func (m blipRetrieval) imageFeatures(scope *model.Scope, states *Node) *Node {
	return InsertAxes(blip.ImageFeatures(scope, m.cfg, blip.Normed(scope, m.cfg, states)), 1)
}

func (m blipRetrieval) textFeatures(scope *model.Scope, ids, mask *Node) *Node {
	return blip.TextFeatures(scope, m.cfg, blip.TextStates(scope, m.cfg, ids, mask))
}

func (m blipRetrieval) match(scope *model.Scope, states, ids, mask *Node) *Node {
	return blip.Match(scope, blip.GroundedStates(scope, m.cfg, blip.Normed(scope, m.cfg, states), ids, mask))
}

// loadBLIP fills a Retriever; it matches with [ENC] in front, as BLIP was trained.
func (r *Retriever) loadBLIP(folder *checkpoints.Folder) (retrieval, error) {
	cfg, err := LoadBLIP(r.backend, r.store, folder, blip.RetrievalClass)
	if err != nil {
		return nil, err
	}
	r.vision, r.Dim, r.Vectors = &cfg.Vision, cfg.ImageTextHiddenSize, 1
	r.limit, r.pad, r.MatchToken = cfg.Text.MaxPositionEmbeddings, cfg.Text.PadTokenID, int32(cfg.Text.EncTokenID())
	return blipRetrieval{cfg}, nil
}

// LoadBLIP loads a BLIP into the store, strictly, as the first of the given classes that its
// config.json names; the config that it returns names that one alone. A folder with the heads of a
// whole pre-training names several classes: the tensors of the others are left out.
func LoadBLIP(backend compute.Backend, store *model.Store, folder *checkpoints.Folder, classes ...string) (*blip.Config, error) {
	cfg, err := BLIPConfig(folder)
	if err != nil {
		return nil, err
	}
	if err := requireClass(folder, cfg.Architectures, classes...); err != nil {
		return nil, err
	}
	others := map[string]shapes.Shape{}
	named := cfg.Architectures
	chosen := classes[slices.IndexFunc(classes, func(class string) bool { return slices.Contains(named, class) })]
	for _, class := range named {
		if class == chosen {
			continue
		}
		cfg.Architectures = []string{class}
		build, inputs := BLIPGraph(cfg)
		tensors, err := Declare(backend, model.NewStore(), build, inputs...)
		if err != nil {
			return nil, err
		}
		maps.Copy(others, tensors)
	}
	cfg.Architectures = []string{chosen}
	build, inputs := BLIPGraph(cfg)
	want, err := Declare(backend, store, build, inputs...)
	if err != nil {
		return nil, err
	}
	copies, err := knownCopies(folder, blipCopies)
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true, Backend: backend, IgnoreUnexpected: func(name string) bool {
		_, other := others[name]
		return other || copies(name) || blip.IsPretraining(name)
	}})
	return cfg, err
}

// BLIPConfig reads and checks the config.json of a BLIP folder.
func BLIPConfig(folder *checkpoints.Folder) (*blip.Config, error) {
	cfg := &blip.Config{}
	if err := folder.Config(cfg); err != nil {
		return nil, err
	}
	return cfg, validate(folder, cfg)
}

// Where a BLIP reads [ENC] or [CLS]: see Retriever.MatchToken and BLIPWriter.QuestionToken.
const (
	TokenEnc = "enc" // as the original was trained
	TokenCls = "cls" // as transformers leaves it
)

// UseMatchToken chooses what stands in front of text that is matched with a picture.
func (r *Retriever) UseMatchToken(name string) error {
	switch {
	case name == TokenCls:
		r.MatchToken = -1
	case name != TokenEnc:
		return fmt.Errorf("token %q is not %s or %s", name, TokenEnc, TokenCls)
	case r.MatchToken < 0:
		return fmt.Errorf("this model has no [ENC]: BLIP-2 matches with [CLS]")
	}
	return nil
}
