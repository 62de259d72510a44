package infer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"goblip/checkpoints"
	"goblip/datasets"
	"goblip/datasets/image"
	"goblip/datasets/text"
	"goblip/models/bert"
	"goblip/models/blip"
	"goblip/models/clip"
	"goblip/models/vit"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// BLIPStart is what the training of a BLIP starts from: nothing, an earlier BLIP, or an image tower and
// a BERT. Close releases its folders.
type BLIPStart struct {
	Config *blip.Config    // what no folder tells has transformers' defaults: see Tower, Text and Whole
	Words  *text.WordPiece // with [DEC] and [ENC]; nil without a folder that has text

	whole, tower, bert *checkpoints.Folder
	side               int // pixels that the image tower's positions are for
}

// OpenBLIPStart opens a BLIP folder (init), or the folder of an image tower and that of a BERT; each
// may be empty.
func OpenBLIPStart(init, vision, bertDir string) (s *BLIPStart, err error) {
	cfg := blip.Default()
	s = &BLIPStart{Config: &cfg}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if init != "" {
		if vision != "" || bertDir != "" {
			return s, fmt.Errorf("an earlier BLIP has an image tower and text of its own: %s", init)
		}
		if s.whole, err = checkpoints.OpenFolder(init); err != nil {
			return s, err
		}
		if s.Config, err = BLIPConfig(s.whole); err != nil {
			return s, err
		}
		if s.Config.ModelType != "blip" {
			return s, fmt.Errorf("%s: model_type %q is not blip", init, s.Config.ModelType)
		}
		s.side = s.Config.Vision.ImageSize
		return s, s.openWords(init)
	}
	if vision != "" {
		if s.tower, err = checkpoints.OpenFolder(vision); err == nil {
			cfg.Vision, err = wholeTower(s.tower)
		}
		if err != nil {
			return s, err
		}
		s.side = cfg.Vision.ImageSize
	}
	if bertDir != "" {
		var c bert.Config
		if s.bert, err = checkpoints.OpenFolder(bertDir); err == nil {
			err = s.bert.Config(&c)
		}
		if err != nil {
			return s, err
		}
		if c.ModelType != "bert" {
			return s, fmt.Errorf("%s: model_type %q is not bert", bertDir, c.ModelType)
		}
		if err := validate(s.bert, &c); err != nil {
			return s, err
		}
		cfg.Text.Layers = c.Layers
		return s, s.openWords(bertDir)
	}
	return s, nil
}

// Whole says whether all of the model comes from an earlier BLIP.
func (s *BLIPStart) Whole() bool { return s.whole != nil }

// Tower says whether the image tower comes from a folder.
func (s *BLIPStart) Tower() bool { return s.whole != nil || s.tower != nil }

// Text says whether the text side comes from a folder.
func (s *BLIPStart) Text() bool { return s.whole != nil || s.bert != nil }

// Processor is how pictures are prepared for the folder of the image tower.
func (s *BLIPStart) Processor() (image.Processor, error) {
	if s.whole != nil {
		return ImageProcessor(s.whole.Dir())
	}
	return ImageProcessor(s.tower.Dir())
}

// Close releases the folders.
func (s *BLIPStart) Close() {
	for _, f := range []*checkpoints.Folder{s.whole, s.tower, s.bert} {
		if f != nil {
			_ = f.Close() // only read
		}
	}
}

// openWords opens a folder's tokenizer and adds the tokens that BLIP begins texts with.
func (s *BLIPStart) openWords(dir string) (err error) {
	if s.Words, err = OpenWordPiece(dir); err != nil {
		return err
	}
	return s.UseWords(s.Words)
}

// UseWords makes the config that of a tokenizer, which gets BLIP's special tokens if it lacks them.
func (s *BLIPStart) UseWords(words *text.WordPiece) error {
	t := &s.Config.Text
	words.AddSpecial(text.DecToken, text.EncToken)
	id := func(token string) int { n, _ := words.ID(token); return int(n) }
	dec, enc := id(text.DecToken), id(text.EncToken)
	switch {
	case enc != dec+1:
		return fmt.Errorf("the tokenizer has %s at %d and %s at %d: BLIP wants one behind the other", text.DecToken, dec, text.EncToken, enc)
	case s.whole != nil && words.VocabSize() > t.VocabSize:
		return fmt.Errorf("%s: the tokenizer has %d tokens, more than the %d of the model", s.whole.Dir(), words.VocabSize(), t.VocabSize)
	}
	s.Words, t.BOSTokenID, t.SEPTokenID, t.PadTokenID = words, dec, id(text.SepToken), id(text.PadToken)
	if s.whole == nil {
		t.VocabSize = words.VocabSize()
	}
	return nil
}

// wholeTower reads the config of an image tower all of whose blocks BLIP takes over.
func wholeTower(folder *checkpoints.Folder) (vit.Config, error) {
	cfg, dropLast, err := visionOf(folder.Dir())
	if err != nil {
		return cfg, err
	}
	if dropLast { // visionOf is BLIP-2's view
		var c clip.Config
		if err := folder.Config(&c); err != nil {
			return cfg, err
		}
		cfg = c.Vision
	}
	switch {
	case cfg.ModelType == vit.CLIP:
		return cfg, fmt.Errorf("%s: an image tower in CLIP's layout does not fit BLIP, whose has a patch bias and no norm before its blocks (recipe clip: vision=eva)", folder.Dir())
	case !cfg.QKVBias:
		return cfg, fmt.Errorf("%s: qkv_bias false does not fit BLIP's image tower", folder.Dir())
	}
	cfg.ModelType = vit.BLIP
	return cfg, nil
}

// fresh names what may start from nothing although the rest comes from folders: heads.
func fresh(name string) bool {
	for _, prefix := range []string{"vision_proj.", "text_proj.", "itm_head.", "cls_head.", "text_decoder.cls."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "temp" || strings.Contains(name, ".merge_layer.")
}

// sources lists the names under which a BLIP folder may have a tensor of the model, the best first:
// what encoder and decoder have in common may come from the other, and both of a layer's
// cross-attentions for two pictures from the one that there is.
func sources(name string) []string {
	names := []string{name}
	if one, ok := blip.OneCrossAttention(name); ok {
		names = append(names, one)
	}
	for _, n := range slices.Clone(names) {
		if other, ok := blip.DecoderName(n); ok {
			names = append(names, other)
		} else if other, ok := blip.EncoderName(n); ok {
			names = append(names, other)
		}
	}
	return names
}

// bertNames lists the names under which a BERT may have a text tensor, its oldest files included.
func bertNames(name string) []string {
	rest := strings.TrimPrefix(name, "text_decoder.")
	if other, ok := blip.EncoderName(name); ok {
		rest = other
	}
	rest = strings.TrimPrefix(rest, "text_encoder.")
	old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(rest)
	return []string{rest, "bert." + rest, old, "bert." + old}
}

// Fill sets the declared variables of a store from the folders. want are the model's tensors, without
// what training alone has. What no folder has starts afresh, where it may: started lists it. A tensor
// that is missing or of another shape is a *checkpoints.MismatchError.
func (s *BLIPStart) Fill(backend compute.Backend, store *model.Store, want map[string]shapes.Shape) (started []string, err error) {
	var mismatch *checkpoints.MismatchError
	for _, name := range slices.Sorted(maps.Keys(want)) {
		folder, names, required := s.from(name)
		if folder == nil {
			started = append(started, name)
			continue
		}
		at := slices.IndexFunc(names, func(n string) bool { return folder.File(n) != nil })
		if at < 0 && !required {
			started = append(started, name)
			continue
		}
		if at >= 0 {
			value, ok, err := s.read(backend, folder, names[at], name, want[name])
			if err != nil {
				return nil, err
			}
			if ok {
				if err := store.GetVariable(checkpoints.VariablePath(name)).SetValue(value); err != nil {
					return nil, fmt.Errorf("%s: tensor %s: %w", folder.Dir(), names[at], err)
				}
				continue
			}
			if s.narrow(name) {
				started = append(started, name)
				continue
			}
		}
		if mismatch == nil {
			mismatch = &checkpoints.MismatchError{Folder: folder.Dir()}
		}
		if at < 0 {
			mismatch.Missing = append(mismatch.Missing, name)
			continue
		}
		got, _ := folder.Shape(names[at])
		mismatch.Shapes = append(mismatch.Shapes, checkpoints.ShapeMismatch{Name: name, Got: got, Want: want[name]})
	}
	if mismatch != nil {
		return nil, mismatch
	}
	return started, nil
}

// from says which folder has a tensor, under which names, and whether it must; nil: none has.
func (s *BLIPStart) from(name string) (folder *checkpoints.Folder, names []string, required bool) {
	switch tower := strings.HasPrefix(name, "vision_model."); {
	case s.whole != nil:
		return s.whole, sources(name), !fresh(name)
	case tower:
		return s.tower, []string{name}, true
	case s.bert != nil && (strings.HasPrefix(name, "text_encoder.") || strings.HasPrefix(name, "text_decoder.")):
		return s.bert, bertNames(name), !fresh(name) && !strings.Contains(name, ".crossattention.")
	}
	return nil, nil, false
}

// narrow names what starts afresh where the decoder looks at something of another width than before:
// at the states of a question instead of a picture.
func (s *BLIPStart) narrow(name string) bool {
	return strings.HasPrefix(name, "text_decoder.") && s.Config.Vision.HiddenSize != s.Config.Text.HiddenSize &&
		(strings.HasSuffix(name, ".crossattention.self.key.weight") || strings.HasSuffix(name, ".crossattention.self.value.weight"))
}

// read reads a tensor for one of the model; false if its shape does not fit. Positions of the image
// tower are resized, and tables of words get rows for the tokens that BLIP adds.
func (s *BLIPStart) read(backend compute.Backend, folder *checkpoints.Folder, source, name string, want shapes.Shape) (*tensors.Tensor, bool, error) {
	value, err := folder.Tensor(source)
	if err == nil {
		value, err = checkpoints.Cast(value, dtypes.Float32)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s: tensor %s: %w", folder.Dir(), source, err)
	}
	got := value.Shape()
	switch v := &s.Config.Vision; {
	case name == "vision_model.embeddings.position_embedding" && s.side != v.ImageSize:
		before := *v
		before.ImageSize = s.side
		if !got.EqualDimensions(shapes.Make(dtypes.Float32, 1, before.Tokens(), v.HiddenSize)) {
			return nil, false, nil
		}
		rows := v.ImageSize / v.PatchSize
		exec, err := model.NewExec(backend, model.NewStore(), func(_ *model.Scope, x *Node) *Node { return vit.PositionsFor(&before, x, rows, rows) })
		if err != nil {
			return nil, false, err
		}
		defer exec.Finalize()
		resized, err := exec.Call1(value)
		if err == nil {
			err = resized.ToLocal()
		}
		return resized, true, err
	case s.bert != nil && got.Rank() == want.Rank() && got.Rank() > 0 && isVocabulary(name) && got.Dim(0) < want.Dim(0) && want.Dim(0)-got.Dim(0) <= 2:
		flat, err := tensors.CopyFlatData[float32](value)
		if err != nil {
			return nil, false, err
		}
		rng := datasets.Rand(addedRows)
		for deviation := s.Config.Text.InitializerRange; len(flat) < want.Size(); {
			flat = append(flat, float32(rng.NormFloat64()*deviation))
		}
		return tensors.FromFlatDataAndDimensions(flat, want.Dimensions...), true, nil
	}
	return value, got.EqualDimensions(want), nil
}

// addedRows names the random stream of new rows.
const addedRows = 0xb11b

// isVocabulary names what has a row or an entry for each token.
func isVocabulary(name string) bool {
	return strings.HasSuffix(name, ".word_embeddings.weight") || strings.HasSuffix(name, "cls.predictions.bias")
}
