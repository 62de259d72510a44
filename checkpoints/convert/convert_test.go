package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"goblip/checkpoints"
	"goblip/checkpoints/layout"
)

// configs are small models of each class, as scripts/golden_layout.py has them.
func configs(t testing.TB) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "layout", "testdata", "layouts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Class  string
			Config json.RawMessage
			Own    map[string][]int
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for i, c := range file.Cases {
		if c.Own != nil {
			all[fmt.Sprintf("%02d %s", i, c.Class)] = c.Config
		}
	}
	return all
}

// random gives a tensor random numbers; attention biases of keys are 0, as EVA-CLIP has them.
func random(random *rand.Rand, name string, dims []int) checkpoints.Named {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = random.Float32() - 0.5
		if strings.HasSuffix(name, "qkv.bias") && i/(size/3) == 1 {
			values[i] = 0
		}
	}
	return checkpoints.Named{Name: name, Tensor: tensors.FromFlatDataAndDimensions(values, dims...)}
}

// writeModel writes a folder with random weights for a config, without the tensors that skip tells.
func writeModel(t testing.TB, dir string, config []byte, skip func(name string) bool) {
	t.Helper()
	l, err := layout.Read(config)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var named []checkpoints.Named
	for _, name := range slices.Sorted(maps.Keys(l.Required)) {
		n := random(r, name, l.Required[name])
		if skip == nil || !skip(name) {
			named = append(named, n)
		}
	}
	files := map[string][]byte{checkpoints.ConfigFile: config, "tokenizer.json": []byte(`{"version": "1.0"}`), "spiece.model": {0, 1, 255}}
	if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Tensors: named, Files: files}); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string, o Options) *Model {
	t.Helper()
	m, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// wantEqual compares byte for byte.
func wantEqual(t testing.TB, a, b *Model) {
	t.Helper()
	p, err := Compare(a, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Equal() || p.Largest != 0 || p.Tensors != len(a.Tensors)+len(a.Pretraining) || p.Tensors == 0 {
		t.Errorf("%d tensors, largest difference %g in %s, different %q, missing %q, unexpected %q", p.Tensors, p.Largest, p.LargestIn, p.Different, p.Missing, p.Unexpected)
	}
}

// TestRoundTrip takes every class from its folder through each kind of file and back, byte for byte.
func TestRoundTrip(t *testing.T) {
	for name, config := range configs(t) {
		dir := t.TempDir()
		folder := filepath.Join(dir, "model")
		writeModel(t, folder, config, nil)
		m := open(t, folder, Options{})
		for file, write := range map[string]func(path string) error{
			"a.pth":         func(path string) error { return m.WriteTorch(path, true) },
			"a.bin":         func(path string) error { return m.WriteTorch(path, false) },
			"a.safetensors": m.WriteSafetensors,
			"shards":        func(path string) error { return m.WriteFolder(path, 5000) },
		} {
			path := filepath.Join(dir, file)
			if err := write(path); err != nil {
				t.Fatalf("%s: %s: %v", name, file, err)
			}
			back, err := m.Reopen(path)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, file, err)
			}
			wantEqual(t, m, back)
			again := filepath.Join(dir, "from-"+file)
			if err := back.WriteFolder(again, 0); err != nil {
				t.Fatal(err)
			}
			if err := back.Close(); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, m, open(t, again, Options{}))
			if file == "a.bin" || file == "a.safetensors" {
				continue
			}
			for _, side := range []string{"config.json", "tokenizer.json", "spiece.model"} {
				want, _ := os.ReadFile(filepath.Join(folder, side))
				if got, err := os.ReadFile(filepath.Join(again, side)); err != nil || string(got) != string(want) {
					t.Errorf("%s: %s of %s: got %q, %v", name, side, file, got, err)
				}
			}
		}
	}
}

// TestOriginalNames wants no name of transformers in LAVIS' and BLIP's files, and each a way back.
func TestOriginalNames(t *testing.T) {
	for name, config := range configs(t) {
		folder := filepath.Join(t.TempDir(), "model")
		writeModel(t, folder, config, nil)
		m := open(t, folder, Options{})
		if m.family.to == nil {
			continue
		}
		all, err := m.originals()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			for _, prefix := range []string{"vision_model", "qformer", "language_", "vision_projection", "text_projection", "embeddings"} {
				if strings.HasPrefix(d.Name, prefix) {
					t.Errorf("%s: %s is in the original's file", name, d.Name)
				}
			}
		}
	}
}

// TestCLIPEncoder converts a BLIP-2 on CLIP, whose projections LAVIS packs.
func TestCLIPEncoder(t *testing.T) {
	config := blip2OPT(t)
	config = []byte(strings.Replace(string(config), `"model_type":"blip_2_vision_model"`, `"model_type":"clip_vision_model"`, 1))
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "model"), config, nil)
	m := open(t, filepath.Join(dir, "model"), Options{})
	path := filepath.Join(dir, "a.pth")
	if err := m.WriteTorch(path, true); err != nil {
		t.Fatal(err)
	}
	tensors, err := checkpoints.OpenTensors(path)
	if err != nil {
		t.Fatal(err)
	}
	defer tensors.Close()
	if shape, ok := tensors.Shape("visual_encoder.transformer.resblocks.1.attn.in_proj_weight"); !ok || !slices.Equal(shape.Dimensions, []int{36, 12}) {
		t.Errorf("in_proj_weight is %s", shape)
	}
	back, err := m.Reopen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	wantEqual(t, m, back)
}

func blip2OPT(t testing.TB) []byte {
	for name, config := range configs(t) {
		if strings.HasSuffix(name, "Blip2ForConditionalGeneration") && strings.Contains(string(config), `"opt"`) {
			return config
		}
	}
	t.Fatal("no such config")
	return nil
}

// TestFrozenParts puts a model together of what LAVIS trained, EVA-CLIP's file, and an OPT.
func TestFrozenParts(t *testing.T) {
	config := blip2OPT(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeModel(t, at("whole"), config, nil)
	whole := open(t, at("whole"), Options{})
	all, err := whole.originals()
	if err != nil {
		t.Fatal(err)
	}
	var trained, eva, opt []checkpoints.Deferred
	for _, d := range all {
		if rest, ok := strings.CutPrefix(d.Name, "visual_encoder."); ok {
			d.Name = rest
			eva = append(eva, d)
		} else if rest, ok := strings.CutPrefix(d.Name, "opt_model."); ok {
			d.Name = strings.TrimPrefix(rest, "model.") // as OPT's model without its head has it
			opt = append(opt, d)
		} else {
			trained = append(trained, d)
		}
	}
	extra := checkpoints.Deferred{Name: "head.weight", Shape: eva[0].Shape, Read: eva[0].Read}
	for name, part := range map[string][]checkpoints.Deferred{"trained.pth": trained, "eva.pth": append(eva, extra)} {
		if err := checkpoints.WriteTorch(at(name), part, name == "eva.pth", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkpoints.WriteFolder(at("opt"), checkpoints.Contents{Deferred: opt, Config: map[string]string{"model_type": "opt"}}); err != nil {
		t.Fatal(err)
	}

	m := open(t, at("trained.pth"), Options{Config: at("whole"), Frozen: []string{at("eva.pth"), at("opt")}})
	wantEqual(t, whole, m)
	if notes := strings.Join(m.Notes, "\n"); !strings.Contains(notes, "not of this model: head.weight") {
		t.Errorf("notes %q", notes)
	}
	wantEqual(t, whole, open(t, at("trained.pth"), Options{Config: at("whole"), Frozen: []string{at("whole")}}))

	_, err = Open(at("trained.pth"), Options{Config: at("whole"), Frozen: []string{at("opt")}})
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Missing) != 28 || missing.Missing[0] != "vision_model.embeddings.class_embedding" || !strings.Contains(err.Error(), "--frozen") {
		t.Errorf("without the visual encoder: got %v", err)
	}
	if _, err := Open(at("whole"), Options{Frozen: []string{at("opt")}}); err == nil || !strings.Contains(err.Error(), "has nothing that is missing") {
		t.Errorf("a part that is not needed: got %v", err)
	}
	if _, err := Open(at("trained.pth"), Options{Frozen: []string{at("opt")}}); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("without a config: got %v", err)
	}
}

func TestStrict(t *testing.T) {
	config := blip2OPT(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeModel(t, at("less"), config, func(name string) bool { return name == "query_tokens" })
	if _, err := Open(at("less"), Options{}); err == nil || !strings.Contains(err.Error(), "1 tensors missing (query_tokens)") {
		t.Errorf("missing: got %v", err)
	}
	other := []byte(strings.Replace(string(config), `"num_query_tokens":5`, `"num_query_tokens":6`, 1))
	if err := os.WriteFile(at("other.json"), other, 0o644); err != nil {
		t.Fatal(err)
	}
	writeModel(t, at("whole"), config, nil)
	if _, err := Open(at("whole"), Options{Config: at("other.json")}); err == nil || !strings.Contains(err.Error(), "query_tokens is [1 5 16], want [1 6 16]") {
		t.Errorf("shape: got %v", err)
	}
	if _, err := Open(at("whole"), Options{Drop: []string{"nothing*"}}); err == nil || !strings.Contains(err.Error(), "nothing*") {
		t.Errorf("nothing to drop: got %v", err)
	}
	if _, err := Open(at("whole"), Options{Drop: []string{"query_*"}}); err == nil || !strings.Contains(err.Error(), "query_tokens") {
		t.Errorf("dropped but needed: got %v", err)
	}
}

// TestPretraining keeps what only training needs apart, and brings it back.
func TestPretraining(t *testing.T) {
	dir := t.TempDir()
	var config []byte
	for name, c := range configs(t) {
		if strings.HasSuffix(name, "BlipForImageTextRetrieval") {
			config = c
		}
	}
	writeModel(t, filepath.Join(dir, "model"), config, nil)
	m := open(t, filepath.Join(dir, "model"), Options{})
	all, err := m.originals()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"temp", "image_queue", "queue_ptr", "vision_proj_m.weight", "visual_encoder_m.blocks.0.norm1.bias", "text_encoder_m.embeddings.LayerNorm.bias"} {
		all = append(all, checkpoints.Deferred{Name: name, Shape: all[0].Shape, Read: all[0].Read})
	}
	path := filepath.Join(dir, "retrieval.pth")
	if err := checkpoints.WriteTorch(path, all, false, nil); err != nil {
		t.Fatal(err)
	}
	trained := open(t, path, Options{Config: filepath.Join(dir, "model")})
	if len(trained.Pretraining) != 6 || len(trained.Tensors) != len(m.Tensors) {
		t.Errorf("%d tensors for training, %d of the class", len(trained.Pretraining), len(trained.Tensors))
	}
	if err := trained.WriteFolder(filepath.Join(dir, "back"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "back", checkpoints.PretrainingFile)); err != nil {
		t.Error(err)
	}
	wantEqual(t, trained, open(t, filepath.Join(dir, "back"), Options{}))
}

func TestDType(t *testing.T) {
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "model"), blip2OPT(t), nil)
	exact := open(t, filepath.Join(dir, "model"), Options{})
	for dtype, name := range map[dtypes.DType]string{dtypes.BFloat16: "bfloat16", dtypes.Float16: "float16"} {
		m := open(t, filepath.Join(dir, "model"), Options{DType: dtype})
		to := filepath.Join(dir, name)
		if err := m.WriteFolder(to, 0); err != nil {
			t.Fatal(err)
		}
		written := open(t, to, Options{})
		wantEqual(t, m, written)
		if !strings.Contains(string(written.Config), fmt.Sprintf(`"dtype": %q`, name)) {
			t.Errorf("config.json does not say %s", name)
		}
		p, err := Compare(exact, written, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.Equal() || p.Largest == 0 || p.Largest > 0.25/256+1e-9 {
			t.Errorf("%s: largest difference %g", name, p.Largest)
		}
	}
}

// TestCompareFinds wants a proof to fail where something differs.
func TestCompareFinds(t *testing.T) {
	model := func(named ...checkpoints.Named) *Model {
		m := &Model{Tensors: map[string]checkpoints.Deferred{}}
		for _, n := range named {
			m.Tensors[n.Name] = inMemory(n.Name, n.Tensor)
		}
		return m
	}
	nan := float32(math.NaN())
	a := model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float32{1, nan, 3})})
	for name, c := range map[string]struct {
		b       *Model
		largest float64
	}{
		"a number":   {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float32{1, nan, 3.5})}), 0.5},
		"NaN":        {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float32{nan, nan, 3})}), math.Inf(1)},
		"NaN's bits": {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float32{1, math.Float32frombits(0x7fc12345), 3})}), 0},
		"type":       {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float64{1, math.NaN(), 3.25})}), 0.25},
		"shape":      {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([][]float32{{1, nan, 3}})}), math.Inf(1)},
		"name":       {model(checkpoints.Named{Name: "v", Tensor: tensors.FromValue([]float32{1, nan, 3})}), 0},
		"more":       {model(checkpoints.Named{Name: "w", Tensor: tensors.FromValue([]float32{1, nan, 3})}, checkpoints.Named{Name: "v", Tensor: tensors.FromValue([]float32{1})}), 0},
	} {
		p, err := Compare(a, c.b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.Equal() || p.Largest != c.largest {
			t.Errorf("%s: equal is %v, largest difference %g, want %g", name, p.Equal(), p.Largest, c.largest)
		}
	}
	if p, err := Compare(a, a, nil); err != nil || !p.Equal() {
		t.Errorf("a model differs from itself: %+v, %v", p, err)
	}
}
