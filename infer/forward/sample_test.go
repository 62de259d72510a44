package forward

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/golden"
)

// configOf is a case's config.json with some keys of its own; nil takes a key away.
func configOf(t *testing.T, dir string, keys map[string]any) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, checkpoints.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	for key, value := range keys {
		if config[key] = value; value == nil {
			delete(config, key)
		}
	}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSample runs configs as older libraries wrote them, twice each: the inputs are the same ones.
func TestSample(t *testing.T) {
	for name, c := range map[string]struct {
		class   string
		without string
		last    string // output
	}{
		"blip2-opt":       {"Blip2ForConditionalGeneration", "image_token_index", "prompt.logits"},
		"blip2-retrieval": {"Blip2ForImageTextRetrieval", "image_token_index", "itc.logits_per_image"},
		"opt-350m-layout": {"OPTForCausalLM", "architectures", "logits"},
		"clip-gelu":       {"CLIPModel", "architectures", "logits_per_image"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(golden.Open(t, name).Dir(), modelDir)
			folder, err := checkpoints.OpenFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer folder.Close()
			config := configOf(t, dir, map[string]any{c.without: nil})
			first, err := Sample(golden.Go(t), c.class, config, folder)
			if err != nil {
				t.Fatal(err)
			}
			if last := first[len(first)-1]; last.Name != c.last || last.Tensor.Size() == 0 {
				t.Errorf("the last output is %s %s", last.Name, last.Tensor.Shape())
			}
			second, err := Sample(golden.Go(t), c.class, config, folder)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range first {
				if !a.Tensor.Equal(second[i].Tensor) {
					t.Errorf("output %s differs between two runs", a.Name)
				}
			}
		})
	}
}

func TestSampleRefuses(t *testing.T) {
	dir := filepath.Join(golden.Open(t, "blip2-opt").Dir(), modelDir)
	folder, err := checkpoints.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	for name, c := range map[string]struct {
		keys map[string]any
		want string
	}{
		"class":   {map[string]any{"architectures": []string{"OtherModel"}}, `nothing runs class "OtherModel"`},
		"picture": {map[string]any{"vision_config": map[string]any{"image_size": 1 << 20}}, "image_size 1048576"},
		"queries": {map[string]any{"num_query_tokens": 100000}, "num_query_tokens 100000"},
		"tensors": {map[string]any{"num_query_tokens": 3}, dir + ": does not fit the model"},
	} {
		if _, err := Sample(golden.Go(t), "", configOf(t, dir, c.keys), folder); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
