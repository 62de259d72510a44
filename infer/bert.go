package infer

import (
	"strings"

	"goblip/checkpoints"
	"goblip/models/bert"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// LoadBERT loads a BertModel, strictly. The folder may be that of a BERT with a pre-training head,
// which is left out, and have the names of BERT's first files: "bert." in front, LayerNorm's gamma and
// beta.
func LoadBERT(backend compute.Backend, store *model.Store, folder *checkpoints.Folder) (*bert.Config, error) {
	cfg := &bert.Config{}
	if err := folder.Config(cfg); err != nil {
		return nil, err
	}
	if err := validate(folder, cfg); err != nil {
		return nil, err
	}
	build, inputs := BERTGraph(cfg)
	want, err := Declare(backend, store, build, inputs...)
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true,
		Rename: func(name string) string {
			name = strings.TrimPrefix(name, "bert.")
			if rest, ok := strings.CutSuffix(name, "LayerNorm.gamma"); ok {
				return rest + "LayerNorm.weight"
			}
			if rest, ok := strings.CutSuffix(name, "LayerNorm.beta"); ok {
				return rest + "LayerNorm.bias"
			}
			return name
		},
		IgnoreUnexpected: func(name string) bool { return IsPositionIDs(name) || strings.HasPrefix(name, "cls.") },
	})
	return cfg, err
}

// BERTGraph is a graph function that uses every tensor of a BertModel, for Declare, and the shapes of
// its inputs: text.
func BERTGraph(cfg *bert.Config) (build func(scope *model.Scope, in []*Node), inputs []shapes.Shape) {
	return func(scope *model.Scope, in []*Node) {
		states := bert.Model(scope, cfg, in[0], in[0], nil)
		bert.Pool(scope, &cfg.Layers, states[len(states)-1])
	}, []shapes.Shape{shapes.Make(dtypes.Int32, 1, 4)}
}
