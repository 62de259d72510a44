package recipes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/infer"
	"goblip/models/blip2"
	"goblip/models/clip"
	"goblip/models/opt"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// TestFinalFolder looks at the files beside the weights, as transformers reads them.
func TestFinalFolder(t *testing.T) {
	store := model.NewStore()
	if _, err := store.CreateVariable(checkpoints.VariablePath("temp"), tensors.FromScalar(float32(0.07))); err != nil {
		t.Fatal(err)
	}
	llm := opt.Default()
	llm.EOSTokenID = 202
	index := 453
	stage1, stage2, tower := blip2.Default(), blip2.Default(), clip.Default()
	stage1.Architectures = []string{blip2.RetrievalClass}
	stage2.Architectures, stage2.ImageTokenIndex, stage2.NumQueryTokens, stage2.Text = []string{blip2.GenerationClass}, &index, 8, llm
	pictures := &infer.Pictures{Side: 48, Processor: image.Processor{Size: 48, Alpha: image.AlphaWhite}}
	ends := map[string]any{"bos_token_id": 2., "eos_token_id": 202., "pad_token_id": 1.}
	for _, test := range []struct {
		name       string
		folder     finalFolder
		side       any // of pictures; nil: no preprocessor
		processor  map[string]any
		generation map[string]any
	}{
		{"lm", finalFolder{config: &llm}, nil, nil, ends},
		{"clip", finalFolder{config: &tower, pictures: pictures}, 48., nil, nil},
		{"stage 1", finalFolder{config: &stage1, pictures: pictures, pretraining: blip2.IsPretraining}, 48., map[string]any{"processor_class": "Blip2Processor"}, nil},
		{"stage 2", finalFolder{config: &stage2, pictures: pictures}, 48., map[string]any{"processor_class": "Blip2Processor", "num_query_tokens": 8.}, ends},
	} {
		dir := filepath.Join(t.TempDir(), "final")
		test.folder.words = func(dir string) error { return os.WriteFile(filepath.Join(dir, "words"), nil, 0o644) }
		if err := test.folder.write(dir, store); err != nil {
			t.Fatal(err)
		}
		read := func(name string) map[string]any {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return nil
			}
			var content map[string]any
			if err := json.Unmarshal(data, &content); err != nil {
				t.Fatalf("%s: %s: %v", test.name, name, err)
			}
			return content
		}
		if got := read("processor_config.json"); !reflect.DeepEqual(got, test.processor) {
			t.Errorf("%s: processor_config.json is %v, want %v", test.name, got, test.processor)
		}
		if got := read("generation_config.json"); !reflect.DeepEqual(got, test.generation) {
			t.Errorf("%s: generation_config.json is %v, want %v", test.name, got, test.generation)
		}
		var side any
		if size, ok := read(infer.PreprocessorFile)["size"].(map[string]any); ok && size["height"] == size["width"] {
			side = size["height"]
		}
		if side != test.side {
			t.Errorf("%s: pictures of %v pixels, want %v", test.name, side, test.side)
		}
		// transformers refuses an integer where it wants a float, so this key is left to its default.
		if _, ok := read(checkpoints.ConfigFile)["initializer_factor"]; ok {
			t.Errorf("%s: config.json has initializer_factor", test.name)
		}
		for _, file := range []struct {
			name string
			want bool
		}{{"words", true}, {checkpoints.PretrainingFile, test.folder.pretraining != nil}} {
			if _, err := os.Stat(filepath.Join(dir, file.name)); (err == nil) != file.want {
				t.Errorf("%s: %s: %v", test.name, file.name, err)
			}
		}
	}
}
