package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

type layoutCase struct {
	Class   string           `json:"class"`
	Config  json.RawMessage  `json:"config"`
	Tensors int              `json:"tensors"`
	Digest  string           `json:"digest"`
	Own     map[string][]int `json:"own"`
	Tied    map[string][]int `json:"tied"`
}

func cases(t testing.TB) []layoutCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "layouts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []layoutCase }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

// digest is the hash of the names and shapes, as scripts/golden_layout.py makes it.
func digest(tensors map[string][]int) string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		shape := strings.ReplaceAll(fmt.Sprint(tensors[name]), " ", ",")
		fmt.Fprintf(sum, "%s %s\n", name, shape)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// TestLayouts compares with the classes of transformers: small models and published sizes, configs of
// all keys and of those that differ from the defaults.
func TestLayouts(t *testing.T) {
	for i, c := range cases(t) {
		name := fmt.Sprintf("%d %s", i, c.Class)
		l, err := Read(c.Config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Class != c.Class {
			t.Errorf("%s: got class %s", name, l.Class)
		}
		want := maps.Clone(l.Required)
		if c.Class == "BertModel" { // a pooler is optional here
			maps.Copy(want, l.Optional)
			delete(want, "embeddings.position_ids")
		}
		if len(want) != c.Tensors || digest(want) != c.Digest {
			t.Errorf("%s: %d tensors, want %d, or their shapes differ", name, len(want), c.Tensors)
		}
		if c.Own == nil {
			continue
		}
		if d := l.Compare(shapesOf(c.Own), nil); !d.Empty() {
			t.Errorf("%s: missing %q, unexpected %q, shapes %q", name, d.Missing, d.Unexpected, d.Shapes)
		}
		both := maps.Clone(c.Own)
		maps.Copy(both, c.Tied)
		if d := l.Compare(shapesOf(both), nil); !d.Empty() {
			t.Errorf("%s with tied copies: %+v", name, *d)
		}
	}
}

func shapesOf(tensors map[string][]int) map[string]shapes.Shape {
	all := map[string]shapes.Shape{}
	for name, dims := range tensors {
		all[name] = shapes.Make(dtypes.Float32, dims...)
	}
	return all
}

// TestPublished compares with lists of the published models' tensors, where GOBLIP_KEYS names a folder
// of them: keys_CLASS.json.
func TestPublished(t *testing.T) {
	dir := os.Getenv("GOBLIP_KEYS")
	if dir == "" {
		t.Skip("GOBLIP_KEYS is not set")
	}
	opt := `"text_config": {"model_type": "opt", "hidden_size": 2560, "ffn_dim": 10240, "num_hidden_layers": 32, "num_attention_heads": 32, "word_embed_proj_dim": 2560, "vocab_size": 50304}`
	for class, config := range map[string]string{
		"BlipForConditionalGeneration": `"model_type": "blip"`, "BlipForImageTextRetrieval": `"model_type": "blip"`, "BlipForQuestionAnswering": `"model_type": "blip"`,
		"Blip2ForConditionalGeneration": `"model_type": "blip-2", ` + opt,
		"Blip2ForImageTextRetrieval":    `"model_type": "blip-2", "qformer_config": {"vocab_size": 30523, "use_qformer_text_input": true}`,
	} {
		data, err := os.ReadFile(filepath.Join(dir, "keys_"+class+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want map[string][]int
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		l, err := Read(fmt.Appendf(nil, `{"architectures": [%q], %s}`, class, config))
		if err != nil {
			t.Fatal(err)
		}
		if d := l.Compare(shapesOf(want), nil); !d.Empty() {
			t.Errorf("%s: missing %.300q, unexpected %.300q, shapes %.300q", class, d.Missing, d.Unexpected, d.Shapes)
		}
	}
}

func TestCompare(t *testing.T) {
	l := &Layout{Required: map[string][]int{"a": {2}, "b": {3, 4}}, Optional: map[string][]int{"c": {1}}}
	d := l.Compare(shapesOf(map[string][]int{"b": {4, 3}, "c": {2}, "d": {1}, "extra": {}}), func(name string) bool { return name == "extra" })
	if !slices.Equal(d.Missing, []string{"a"}) || !slices.Equal(d.Unexpected, []string{"d"}) ||
		!slices.Equal(d.Shapes, []string{"b is [4 3], want [3 4]", "c is [2], want [1]"}) {
		t.Errorf("got %+v", *d)
	}
}

func TestReadErrors(t *testing.T) {
	for config, want := range map[string]string{
		`{`:                                    "unexpected end",
		`{}`:                                   "not a class",
		`{"architectures": ["SomebodyElses"]}`: "SomebodyElses",
		`{"architectures": ["OPTForCausalLM"], "num_hidden_layers": 1000000000}`:                                                            "more than 1000",
		`{"architectures": ["BlipForQuestionAnswering"], "vision_config": {"num_hidden_layers": 2000}}`:                                     "more than 1000",
		`{"architectures": ["Blip2ForImageTextRetrieval"], "qformer_config": {"cross_attention_frequency": 0}}`:                             "qformer_config",
		`{"architectures": ["OPTForCausalLM"], "hidden_size": "wide"}`:                                                                      "hidden_size",
		`{"architectures": ["InstructBlipForConditionalGeneration"], "model_type": "instructblip", "text_config": {"model_type": "llama"}}`: "llama",
	} {
		_, err := Read([]byte(config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", config, err, want)
		}
		if want == "not a class" && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v is not ErrUnknown", config, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range cases(f) {
		if c.Own != nil {
			f.Add([]byte(c.Config))
		}
	}
	f.Add([]byte(`{"architectures": ["T5ForConditionalGeneration"], "num_layers": -1, "d_kv": 1e9, "num_heads": 4000000000}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Read(data)
		if (l == nil) == (err == nil) {
			t.Errorf("got %v, %v", l, err)
		}
	})
}
