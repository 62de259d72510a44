package forward

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"goblip/checkpoints"
	"goblip/models/blip2"
	"goblip/models/vit"

	"github.com/gomlx/gomlx/core/tensors"
)

// maxSampleSide bounds the picture that a config.json asks for.
const maxSampleSide = 4096

// pixels adds a picture: pixel_values [1, 3, side, side].
func (s *sample) pixels(cfg *vit.Config) error {
	side := cfg.ImageSize
	if side < 1 || side > maxSampleSide {
		return fmt.Errorf("image_size %d is not 1 to %d", side, maxSampleSide)
	}
	values := make([]float32, 3*side*side)
	for i := range values {
		values[i] = float32(s.random.NormFloat64())
	}
	s.inputs = append(s.inputs, checkpoints.Named{Name: "pixel_values", Tensor: tensors.FromFlatDataAndDimensions(values, 1, 3, side, side)})
	return nil
}

// prompt adds a text behind the placeholders of a picture, if the model has any.
func (s *sample) prompt(prefix string, cfg *blip2.Config, words, limit int) error {
	var placeholders []int32
	if cfg.ImageTokenIndex != nil {
		for range cfg.NumQueryTokens {
			placeholders = append(placeholders, int32(*cfg.ImageTokenIndex))
		}
	}
	return s.text(prefix, words, limit, behind(placeholders))
}

// behind puts a text behind placeholders, which it does not have itself.
func behind(placeholders []int32) func(ids []int32, words int) []int32 {
	return func(ids []int32, words int) []int32 {
		for i, id := range ids {
			if len(placeholders) > 0 && id == placeholders[0] {
				ids[i] = (id + 1) % int32(words)
			}
		}
		return append(placeholders, ids...)
	}
}

// ending makes a text's last token the one that ends texts.
func ending(token int) func(ids []int32, words int) []int32 {
	return func(ids []int32, _ int) []int32 {
		ids[len(ids)-1] = int32(token)
		return ids
	}
}

// text adds PREFIXinput_ids and PREFIXattention_mask, [1, tokens] each: up to limit tokens of so many
// words, and what the changes make of them.
func (s *sample) text(prefix string, words, limit int, changes ...func(ids []int32, words int) []int32) error {
	if words < 2 || limit < 1 {
		return fmt.Errorf("%d words and texts of %d tokens are too few", words, limit)
	}
	ids := s.tokens(words, limit)
	for _, change := range changes {
		ids = change(ids, words)
	}
	mask := make([]int32, len(ids))
	for i := range mask {
		mask[i] = 1
	}
	s.row(prefix+"input_ids", ids)
	s.row(prefix+"attention_mask", mask)
	return nil
}

// row adds an input [1, len(values)].
func (s *sample) row(name string, values []int32) {
	s.inputs = append(s.inputs, checkpoints.Named{Name: name, Tensor: tensors.FromFlatDataAndDimensions(values, 1, len(values))})
}

// labels adds labels [1, tokens].
func (s *sample) labels(words, limit int) error {
	if words < 2 || limit < 1 {
		return fmt.Errorf("%d words and texts of %d tokens are too few", words, limit)
	}
	s.row("labels", s.tokens(words, limit))
	return nil
}

func (s *sample) tokens(words, limit int) []int32 {
	ids := make([]int32, min(sampleTokens, limit))
	for i := range ids {
		ids[i] = int32(s.random.IntN(words))
	}
	return ids
}

// write makes the folder of the case.
func (s *sample) write(dir string) error {
	expected := map[string]spec{}
	for _, name := range s.outputs {
		expected[name] = spec{}
	}
	for file, content := range map[string]any{caseFile: map[string]any{"expected": expected}, filepath.Join(modelDir, checkpoints.ConfigFile): s.config} {
		data, err := json.Marshal(content)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return checkpoints.Write(filepath.Join(dir, inputsFile), s.inputs, nil)
}
