package forward

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goblip/internal/golden"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
)

// onXLA says what runs on the program's own backend too: a graph of each kind, since compiling all of
// them takes minutes. With GOBLIP_PARITY=xla all does.
var onXLA = map[string]string{"bert": "", "blip-vqa": "loss", "blip-itm": "itm.*", "blip2-opt": "gen.beam5.*", "t5-relu-tied": "gen.beam4.*", "clip-quickgelu": "vision.*"}

// TestCases computes every reference case whole and compares each tensor: the parity of all models
// with transformers, LAVIS and BLIP. Weights are loaded strictly both ways, so that no tensor of a
// checkpoint goes unused.
func TestCases(t *testing.T) {
	for _, name := range golden.Cases(t) {
		backends := map[string]compute.Backend{"go": golden.Go(t)}
		only, chosen := onXLA[name]
		if os.Getenv("GOBLIP_PARITY") == "xla" {
			only, chosen = "", true
		}
		if chosen {
			backends["xla"] = golden.Backend(t)
		}
		for kind, backend := range backends {
			t.Run(name+"/"+kind, func(t *testing.T) {
				c, o := golden.Open(t, name), Options{}
				if kind == "xla" {
					o.Only = only
				}
				named, notes, err := Run(backend, c.Dir(), o)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range notes {
					t.Error(n)
				}
				if expected := c.Expected(); o.Only == "" && len(named) != len(expected) {
					t.Errorf("%d tensors, want %d", len(named), len(expected))
				}
				if len(named) == 0 {
					t.Error("no tensors")
				}
				for _, n := range named {
					value := n.Tensor
					if value.DType().IsInt() { // as golden reads them
						if value, err = cast(value, "int32"); err != nil {
							t.Fatal(err)
						}
					}
					c.CheckAny(n.Name, value)
				}
			})
		}
	}
}

// copyCase copies a case without what is expected of it, to be changed.
func copyCase(t *testing.T, name string) string {
	t.Helper()
	from, to := golden.Open(t, name).Dir(), t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "expected.safetensors")); err != nil {
		t.Fatal(err)
	}
	return to
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(raw), old, new)
	if changed == string(raw) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOnly computes what a pattern names, of a case that does not say what comes out.
func TestOnly(t *testing.T) {
	named, _, err := Run(golden.Go(t), copyCase(t, "bert"), Options{Only: "hidden_states.[02]"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range named {
		names = append(names, n.Name)
	}
	if want := []string{"hidden_states.0", "hidden_states.2"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestElementTypes wants the integer type that case.json says.
func TestElementTypes(t *testing.T) {
	for dtype, want := range map[string]string{"int64": "Int64", "int32": "Int32"} {
		dir := copyCase(t, "blip-vqa")
		if dtype != "int64" {
			edit(t, filepath.Join(dir, "case.json"), `"gen.greedy.ids": {"shape": [3, 10], "dtype": "int64"}`, `"gen.greedy.ids": {"shape": [3, 10], "dtype": "`+dtype+`"}`)
		}
		named, _, err := Run(golden.Go(t), dir, Options{Only: "gen.greedy.*"})
		if err != nil || len(named) != 1 {
			t.Fatalf("%d tensors, %v", len(named), err)
		}
		if got := named[0].Tensor.DType().String(); got != want {
			t.Errorf("%s: got %s", dtype, got)
		}
	}
}

// TestRefuses checks what is said of cases that cannot run.
func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, file, old, new string
		want                 []string
	}{
		{"unknown names", "case.json", `"pooler_output"`, `"attentions.7"`, []string{"1 tensors that nothing computes: attentions.7"}},
		{"unknown class", "model/config.json", `"BertModel"`, `"GPT2LMHeadModel"`, []string{"config.json", "GPT2LMHeadModel"}},
		{"another vocabulary", "model/config.json", `"vocab_size": 97`, `"vocab_size": 98`, []string{"embeddings.word_embeddings.weight", "98"}},
		{"fewer layers", "model/config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 1`, []string{"unexpected", "encoder.layer.1."}},
		{"heads", "model/config.json", `"num_attention_heads": 3`, `"num_attention_heads": 5`, []string{"24 does not divide into 5 heads"}},
		{"nothing expected", "case.json", `"expected"`, `"hoped"`, []string{"expected lists no tensors"}},
		{"element type", "case.json", `"pooler_output": {"shape": [3, 24], "dtype": "float32"}`, `"pooler_output": {"shape": [3, 24], "dtype": "int64"}`, []string{"pooler_output", "int64"}},
	} {
		dir := copyCase(t, "bert")
		edit(t, filepath.Join(dir, test.file), test.old, test.new)
		_, _, err := Run(golden.Go(t), dir, Options{})
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", test.name, err, part)
			}
		}
	}
	dir := copyCase(t, "bert")
	if err := os.RemoveAll(filepath.Join(dir, "model")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Run(golden.Go(t), dir, Options{}); err == nil || !strings.Contains(err.Error(), "--model") {
		t.Errorf("without a model: %v", err)
	}
	if _, _, err := Run(golden.Go(t), dir, Options{Only: "[", Model: dir}); err == nil || !strings.Contains(err.Error(), "pattern") {
		t.Errorf("bad pattern: %v", err)
	}
}

// TestGenerationSettings reads settings as transformers means them.
func TestGenerationSettings(t *testing.T) {
	r := &run{Case: &Case{about: about{Generation: map[string]json.RawMessage{
		"long":    json.RawMessage(`{"num_beams": 2, "max_length": 14, "early_stopping": false, "use_cache": true}`),
		"new":     json.RawMessage(`{"max_new_tokens": 7, "max_length": 5}`),
		"default": json.RawMessage(`{}`),
		"odd":     json.RawMessage(`{"num_bems": 2}`),
		"early":   json.RawMessage(`{"early_stopping": "often"}`),
	}}}}
	for _, test := range []struct {
		setting       string
		width, prompt int
		newTokens     int
		beams         int
		wrong         string
	}{
		{"long", 0, 4, 10, 2, ""},
		{"new", 0, 4, 7, 1, ""},
		{"default", 0, 4, 16, 1, ""},
		{"greedy", 18, 10, 8, 1, ""},
		{"beam4", 18, 10, 8, 4, ""},
		{"odd", 0, 4, 0, 0, "num_bems"},
		{"early", 0, 4, 0, 0, "early_stopping"},
		{"nucleus", 18, 4, 0, 0, "no \"nucleus\""},
		{"long", 0, 14, 0, 0, "max_new_tokens"},
	} {
		o, err := r.options(generation{setting: test.setting, width: test.width}, test.prompt, 102)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: error %v", test.setting, err)
			}
			continue
		}
		if err != nil || o.MaxNewTokens != test.newTokens || o.NumBeams != test.beams || o.EOSTokenID != 102 {
			t.Errorf("%s: got %+v, %v", test.setting, o, err)
		}
	}
}

// TestInputTypes wants integers and booleans of any width as int32, and what does not fit refused.
func TestInputTypes(t *testing.T) {
	if _, err := cast(tensors.FromValue([]int64{1 << 40}), "int32"); err == nil {
		t.Error("2^40 became an int32")
	}
	got, err := maskOf(tensors.FromValue([]bool{true, false}))
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "mask", got, tensors.FromValue([]int32{1, 0}), 0, 0)
}
