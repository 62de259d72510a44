package infer

import (
	"errors"
	"fmt"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets/text"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/nn"
	"goblip/models/opt"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Declare lists the tensors that a graph function uses, by tensor name; their variables exist in
// the store afterwards, without values.
func Declare(backend compute.Backend, store *model.Store, fn func(scope *model.Scope, in []*Node), inputs ...shapes.Shape) (map[string]shapes.Shape, error) {
	want := map[string]shapes.Shape{}
	err := nn.Declare(backend, store, func(root *model.Scope, in []*Node) {
		fn(root.At("model"), in)
		for v := range store.IterVariables() {
			if name, ok := checkpoints.TensorName(v.Path()); ok && v.InUseByGraph(in[0].Graph()) {
				want[name] = v.Shape()
			}
		}
	}, inputs...)
	return want, err
}

// visionOf reads the image tower's config of a model folder: a CLIP's, whose last block BLIP-2
// leaves out (section 3.4), or a BLIP-2's as it is.
func visionOf(dir string) (cfg vit.Config, dropLast bool, err error) {
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := checkpoints.ReadConfig(dir, &kind); err != nil {
		return cfg, false, err
	}
	switch kind.ModelType {
	case "clip":
		var c clip.Config
		err = checkpoints.ReadConfig(dir, &c)
		cfg, dropLast = c.Vision, true
		if cfg.NumHiddenLayers--; err == nil && cfg.NumHiddenLayers == 0 {
			return cfg, false, fmt.Errorf("%s: vision_config: num_hidden_layers is 1; BLIP-2 leaves the last block of a CLIP out, so that it needs 2 or more", dir)
		}
	case "blip-2", "instructblip":
		var c blip2.Config
		err = checkpoints.ReadConfig(dir, &c)
		cfg = c.Vision
	case "blip":
		var c blip.Config
		err = checkpoints.ReadConfig(dir, &c)
		cfg = c.Vision
	default:
		return cfg, false, fmt.Errorf("%s: model_type %q has no image tower that is known (clip, blip, blip-2, instructblip)", dir, kind.ModelType)
	}
	if err != nil {
		return cfg, false, err
	}
	if err := cfg.Validate(); err != nil {
		return cfg, false, fmt.Errorf("%s: %w", dir, err)
	}
	return cfg, dropLast, nil
}

func validate(folder *checkpoints.Folder, cfg interface{ Validate() error }) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("%s: %w", folder.Dir(), err)
	}
	return nil
}

// LoadVision loads the blocks of the frozen image tower into the store.
func LoadVision(backend compute.Backend, store *model.Store, folder *checkpoints.Folder) (vit.Config, error) {
	cfg, dropLast, err := visionOf(folder.Dir())
	if err != nil {
		return cfg, err
	}
	want, err := Declare(backend, store, func(scope *model.Scope, in []*Node) { ImageStates(scope, &cfg, in[0]) },
		shapes.Make(dtypes.Uint8, 1, cfg.ImageSize, cfg.ImageSize, 3))
	if err != nil {
		return cfg, err
	}
	last := fmt.Sprintf("vision_model.encoder.layers.%d.", cfg.NumHiddenLayers)
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{
		From: "vision_model.", To: "vision_model.", ConvertFloats: true,
		IgnoreUnexpected: func(name string) bool {
			return dropLast && strings.HasPrefix(name, last) || strings.HasPrefix(name, "vision_model.post_layernorm.") ||
				IsPositionIDs(name)
		},
	})
	return cfg, err
}

// LoadLLM loads a folder as the language model of a BLIP-2, an OPT or a T5 as its model_type says, and
// sets cfg.Text or cfg.T5.
func LoadLLM(backend compute.Backend, store *model.Store, folder *checkpoints.Folder, cfg *blip2.Config) (err error) {
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := folder.Config(&kind); err != nil {
		return err
	}
	switch kind.ModelType {
	case "opt":
		cfg.Text, err = LoadOPT(backend, store, folder)
	case "t5":
		cfg.T5, err = LoadT5(backend, store, folder)
	default:
		err = fmt.Errorf("%s: model_type %q is no language model that is known (opt, t5)", folder.Dir(), kind.ModelType)
	}
	return err
}

// LoadOPT loads an OPT folder as the language model of a BLIP-2.
func LoadOPT(backend compute.Backend, store *model.Store, folder *checkpoints.Folder) (opt.Config, error) {
	var cfg opt.Config
	if err := folder.Config(&cfg); err != nil {
		return cfg, err
	}
	if cfg.ModelType != "opt" {
		return cfg, fmt.Errorf("%s: model_type %q is not an OPT", folder.Dir(), cfg.ModelType)
	}
	if err := validate(folder, &cfg); err != nil {
		return cfg, err
	}
	want, err := Declare(backend, store, func(scope *model.Scope, in []*Node) {
		llm := scope.At("language_model")
		embeds := opt.Embed(llm, &cfg, in[0])
		states, _ := opt.Decode(llm, &cfg, embeds, opt.Positions(in[1]), blip2.CausalMask(in[1], embeds), nil)
		opt.Logits(llm, &cfg, states)
	}, shapes.Make(dtypes.Int32, 1, 2), shapes.Make(dtypes.Int32, 1, 2))
	if err != nil {
		return cfg, err
	}
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{
		From: "model.", To: "language_model.model.", ConvertFloats: true,
	})
	return cfg, err
}

// OpenWordPiece opens the Q-Former's tokenizer.
func OpenWordPiece(dir string) (*text.WordPiece, error) {
	t, err := text.Open(dir)
	if err != nil {
		return nil, err
	}
	w, ok := t.(*text.WordPiece)
	if !ok {
		return nil, fmt.Errorf("%s: the tokenizer is not a WordPiece, which the Q-Former needs", dir)
	}
	return w, nil
}

// OpenBPE opens an OPT's tokenizer.
func OpenBPE(dir string) (*text.BPE, error) {
	t, err := text.Open(dir)
	if err != nil {
		return nil, err
	}
	b, ok := t.(*text.BPE)
	if !ok {
		return nil, fmt.Errorf("%s: the tokenizer is not a byte-level BPE, which OPT needs", dir)
	}
	return b, nil
}

// LoadStage1 loads the image tower and, unless fresh, the query side of a stage-1 folder.
func LoadStage1(backend compute.Backend, store *model.Store, dir string, qformer bool) (*blip2.Config, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var cfg blip2.Config
	if err := folder.Config(&cfg); err != nil {
		return nil, err
	}
	if err := validate(folder, &cfg); err != nil {
		return nil, err
	}
	if _, err := LoadVision(backend, store, folder); err != nil {
		return nil, err
	}
	if !qformer {
		return &cfg, nil
	}
	want, err := Declare(backend, store, func(scope *model.Scope, in []*Node) { blip2.EncodeImages(scope, &cfg, in[0]) },
		shapes.Make(dtypes.Float32, 1, cfg.Vision.Tokens(), cfg.Vision.HiddenSize))
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true, IgnoreUnexpected: func(name string) bool {
		return strings.HasPrefix(name, "vision_model.") || stage1Only(name)
	}})
	return &cfg, err
}

// LoadInstructed loads the image tower and the whole Q-Former of a stage-1 folder as those of an
// InstructBLIP, and gives that one's config, still without language model.
func LoadInstructed(backend compute.Backend, store *model.Store, dir string) (*blip2.Config, error) {
	folder, cfg, err := openBLIP2(dir, blip2.RetrievalClass)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if _, err := LoadVision(backend, store, folder); err != nil {
		return nil, err
	}
	if err := cfg.Instruct(); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	want, err := Declare(backend, store, func(scope *model.Scope, in []*Node) {
		blip2.EncodeInstructed(scope, cfg, in[0], in[1], in[1])
	}, shapes.Make(dtypes.Float32, 1, cfg.Vision.Tokens(), cfg.Vision.HiddenSize), shapes.Make(dtypes.Int32, 1, 2))
	if err != nil {
		return nil, err
	}
	_, err = folder.LoadWith(store, want, checkpoints.LoadOptions{ConvertFloats: true, Rename: blip2.ToInstructedName,
		IgnoreUnexpected: func(name string) bool {
			return strings.HasPrefix(name, "vision_model.") || IsPositionIDs(name) || stage1Head(name)
		}})
	return cfg, err
}

// stage1Head names the heads of stage 1, which nothing after it uses.
func stage1Head(name string) bool {
	for _, prefix := range []string{"cls.", "itm_head.", "vision_projection.", "text_projection."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "temp"
}

// stage1Only names what stage 2 leaves behind: the text side and the heads of stage 1.
func stage1Only(name string) bool {
	for _, prefix := range []string{"embeddings.", "language_projection.", "language_model."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return stage1Head(name) || strings.Contains(name, ".intermediate.") || strings.Contains(name, ".output.dense.") || strings.Contains(name, ".output.LayerNorm.")
}

// IsPositionIDs names the counters 0, 1, 2, ... that older transformers saved beside the weights.
func IsPositionIDs(name string) bool { return strings.HasSuffix(name, "embeddings.position_ids") }

// Trainable says what BLIP-2 trains: all but the frozen towers, which are the image encoder without
// its final norm, and the whole language model.
func Trainable(name string) bool {
	if strings.HasPrefix(name, "vision_model.") {
		return strings.HasPrefix(name, "vision_model.post_layernorm.")
	}
	return !strings.HasPrefix(name, "language_model.")
}

// openBLIP2 opens a BLIP-2 folder of one of the classes with its config. The caller closes the folder.
func openBLIP2(dir string, classes ...string) (*checkpoints.Folder, *blip2.Config, error) {
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		return nil, nil, err
	}
	var cfg blip2.Config
	err = folder.Config(&cfg)
	if err == nil {
		err = requireClass(folder, cfg.Architectures, classes...)
	}
	if err == nil {
		err = validate(folder, &cfg)
	}
	if err != nil {
		return nil, nil, errors.Join(err, folder.Close())
	}
	return folder, &cfg, nil
}
