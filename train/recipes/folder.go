package recipes

import (
	"encoding/json"

	"goblip/checkpoints"
	"goblip/infer"
	"goblip/models/blip"
	"goblip/models/blip2"
	"goblip/models/opt"

	"github.com/gomlx/gomlx/ml/model"
)

// finalFolder is how a trained model becomes a folder that transformers opens.
type finalFolder struct {
	config      any
	pretraining func(tensor string) bool // which tensors transformers' class does not have; may be nil
	words       func(dir string) error   // writes the tokenizer
	pictures    *infer.Pictures          // what the model was trained on; nil for text

	// tensors turns the store's tensors into the folder's; nil: they are the same.
	tensors func([]checkpoints.Named) []checkpoints.Named
}

// write writes the model of a store.
func (f finalFolder) write(dir string, store *model.Store) error {
	named, err := checkpoints.StoreTensors(store, nil)
	if err != nil {
		return err
	}
	if f.tensors != nil {
		named = f.tensors(named)
	}
	files, err := f.files()
	if err != nil {
		return err
	}
	return checkpoints.WriteFolder(dir, checkpoints.Contents{
		Config: f.config, Tensors: named, Pretraining: f.pretraining, Fill: f.words, Files: files,
	})
}

// files are those that say how pictures and texts are prepared, and how a text begins and ends.
func (f finalFolder) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	if f.pictures != nil {
		preprocessor, err := infer.PreprocessorConfig(f.pictures)
		if err != nil {
			return nil, err
		}
		files[infer.PreprocessorFile] = preprocessor
	}
	put := func(name string, content map[string]any) error {
		data, err := json.MarshalIndent(content, "", "  ")
		files[name] = append(data, '\n')
		return err
	}
	generation := func(c *opt.Config) error {
		return put("generation_config.json", map[string]any{"bos_token_id": c.BOSTokenID, "eos_token_id": c.EOSTokenID, "pad_token_id": c.PadTokenID})
	}
	switch c := f.config.(type) {
	case *opt.Config:
		return files, generation(c)
	case *blip.Config:
		return files, put("processor_config.json", map[string]any{"processor_class": "BlipProcessor"})
	case *blip2.Config:
		processor := map[string]any{"processor_class": "Blip2Processor"}
		// With a number, transformers puts that many image tokens before a text. The retrieval class
		// wants none, unless its config has an image token to strip them again.
		if c.ImageTokenIndex != nil {
			processor["num_query_tokens"] = c.NumQueryTokens
		}
		if err := put("processor_config.json", processor); err != nil {
			return nil, err
		}
		switch {
		case c.Architectures[0] != blip2.GenerationClass:
		case c.T5 != nil:
			return files, put("generation_config.json", map[string]any{
				"decoder_start_token_id": c.T5.DecoderStartTokenID, "eos_token_id": c.T5.EOSTokenID, "pad_token_id": c.T5.PadTokenID})
		default:
			return files, generation(&c.Text)
		}
	}
	return files, nil
}
