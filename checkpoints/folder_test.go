package checkpoints

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

type config struct {
	HiddenSize int `json:"hidden_size"`
}

func f32(values ...float32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values))
}

// smallModel is a model with a head that only training needs.
func smallModel() []Named {
	return []Named{
		{"query_tokens", tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 1, 2, 2)},
		{"qformer.layernorm.weight", f32(1, 1)},
		{"qformer.layernorm.bias", f32(0, 0.5)},
		{"cls.predictions.bias", f32(9)},
		{"temp", tensors.FromScalar(float32(0.07))},
	}
}

func isPretraining(name string) bool { return name == "temp" || strings.HasPrefix(name, "cls.") }

func wanted(named []Named) map[string]shapes.Shape {
	want := map[string]shapes.Shape{}
	for _, n := range named {
		want[n.Name] = n.Tensor.Shape()
	}
	return want
}

// writeSmall writes smallModel and returns the open folder.
func writeSmall(t *testing.T) *Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := WriteFolder(dir, Contents{Config: config{32}, Tensors: smallModel(), Pretraining: isPretraining}); err != nil {
		t.Fatal(err)
	}
	return openFolder(t, dir)
}

func openFolder(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFolderRoundTrip(t *testing.T) {
	f := writeSmall(t)
	var c config
	if err := f.Config(&c); err != nil || c.HiddenSize != 32 {
		t.Errorf("config %v, %v", c, err)
	}
	if got := filepath.Base(f.File("temp").Path()); got != PretrainingFile {
		t.Errorf("temp is in %s", got)
	}
	if got := filepath.Base(f.File("query_tokens").Path()); got != ModelFile {
		t.Errorf("query_tokens is in %s", got)
	}
	store := model.NewStore()
	if err := f.Load(store, wanted(smallModel()), nil); err != nil {
		t.Fatal(err)
	}
	if v := store.GetVariable("/model/qformer/layernorm/bias"); v == nil {
		t.Error("no variable /model/qformer/layernorm/bias")
	}
	back, err := StoreTensors(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(back) != len(smallModel()) {
		t.Errorf("%d tensors", len(back))
	}
	for _, n := range smallModel() {
		i := slices.IndexFunc(back, func(b Named) bool { return b.Name == n.Name })
		if i < 0 {
			t.Errorf("%s is not in the store", n.Name)
			continue
		}
		sameTensor(t, n.Name, back[i].Tensor, n.Tensor)
	}
	kept, err := StoreTensors(store, func(name string) string {
		if isPretraining(name) {
			return ""
		}
		return "x." + name
	})
	if err != nil || len(kept) != 3 || !strings.HasPrefix(kept[0].Name, "x.") {
		t.Errorf("renamed: %v, %v", kept, err)
	}
}

func TestLoadMismatch(t *testing.T) {
	f := writeSmall(t)
	want := wanted(smallModel())
	delete(want, "temp")
	want["itm_head.weight"] = shapes.Make(dtypes.Float32, 2, 2)
	want["qformer.layernorm.bias"] = shapes.Make(dtypes.Float32, 3)
	store := model.NewStore()
	err := f.Load(store, want, nil)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) {
		t.Fatalf("error %v", err)
	}
	if !slices.Equal(mismatch.Missing, []string{"itm_head.weight"}) || !slices.Equal(mismatch.Unexpected, []string{"temp"}) ||
		len(mismatch.Shapes) != 1 || mismatch.Shapes[0].Name != "qformer.layernorm.bias" {
		t.Errorf("mismatch %+v", mismatch)
	}
	for _, part := range []string{f.Dir(), "itm_head.weight", "temp", "qformer.layernorm.bias is (Float32)[2], want (Float32)[3]"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %q", err)
	}
	if n := store.NumVariables(); n != 0 {
		t.Errorf("%d variables were made in spite of the error", n)
	}
}

// TestLoadParts loads a part of a folder under another name, and leaves the rest alone.
func TestLoadParts(t *testing.T) {
	f := writeSmall(t)
	store := model.NewStore()
	want := map[string]shapes.Shape{"q.weight": shapes.Make(dtypes.Float32, 2), "q.bias": shapes.Make(dtypes.Float32, 2)}
	names, err := f.LoadWith(store, want, LoadOptions{From: "qformer.layernorm.", To: "q."})
	if err != nil || !slices.Equal(names, []string{"q.bias", "q.weight"}) {
		t.Fatalf("loaded %v, %v", names, err)
	}
	if store.GetVariable("/model/q/weight") == nil {
		t.Error("no variable /model/q/weight")
	}

	all := wanted(smallModel())
	all["new.weight"] = shapes.Make(dtypes.Float32, 1)
	delete(all, "temp")
	options := LoadOptions{
		IgnoreUnexpected: func(name string) bool { return name == "temp" },
		IgnoreMissing:    func(name string) bool { return name == "new.weight" },
	}
	if names, err = f.LoadWith(model.NewStore(), all, options); err != nil || len(names) != 4 {
		t.Errorf("loaded %v, %v", names, err)
	}
	clash := LoadOptions{Rename: func(string) string { return "one" }}
	one := map[string]shapes.Shape{"one": shapes.Make(dtypes.Float32, 1)}
	if _, err = f.LoadWith(store, one, clash); err == nil || !strings.Contains(err.Error(), "would both be one") {
		t.Errorf("two tensors of one name: error %v", err)
	}
}

// TestLoadTwice: what is loaded replaces the variables that are there.
func TestLoadTwice(t *testing.T) {
	f := writeSmall(t)
	store := model.NewStore()
	for range 2 {
		if err := f.Load(store, wanted(smallModel()), nil); err != nil {
			t.Fatal(err)
		}
		v := store.GetVariable("/model/temp")
		sameTensor(t, "temp", v.MustValue(), tensors.FromScalar(float32(0.07)))
		if err := v.SetValue(tensors.FromScalar(float32(5))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadHalfPrecision(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	half := []Named{{"w", tensors.FromFlatDataAndDimensions([]bfloat16.BFloat16{bfloat16.FromFloat32(1.5)}, 1)}}
	if err := WriteFolder(dir, Contents{Config: config{}, Tensors: half}); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, dir)
	want := map[string]shapes.Shape{"w": shapes.Make(dtypes.Float32, 1)}
	var mismatch *MismatchError
	if err := f.Load(model.NewStore(), want, nil); !errors.As(err, &mismatch) {
		t.Errorf("BF16 was loaded as F32 without being asked: %v", err)
	}
	store := model.NewStore()
	if _, err := f.LoadWith(store, want, LoadOptions{ConvertFloats: true}); err != nil {
		t.Fatal(err)
	}
	sameTensor(t, "w", store.GetVariable("/model/w").MustValue(), f32(1.5))
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	all := smallModel()
	for name, part := range map[string][]Named{"a.safetensors": all[:2], "b.safetensors": all[2:]} {
		if err := Write(filepath.Join(dir, name), part, nil); err != nil {
			t.Fatal(err)
		}
	}
	index := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, IndexFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index(`{"metadata":{},"weight_map":{"query_tokens":"a.safetensors","qformer.layernorm.weight":"a.safetensors",
		"qformer.layernorm.bias":"b.safetensors","cls.predictions.bias":"b.safetensors","temp":"b.safetensors"}}`)
	if err := openFolder(t, dir).Load(model.NewStore(), wanted(all), nil); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ name, index, want string }{
		{"outside", `{"weight_map":{"a":"../a.safetensors"}}`, "not the name of a file"},
		{"wrong file", `{"weight_map":{"temp":"a.safetensors"}}`, "tensor temp is not in a.safetensors"},
		{"no file", `{"weight_map":{"temp":"c.safetensors"}}`, "c.safetensors"},
		{"no map", `{}`, "weight_map"},
		{"no JSON", "{\n\n,", IndexFile + ":3"},
	} {
		index(c.index)
		if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFolder(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := OpenFolder(dir); err == nil || !strings.Contains(err.Error(), ModelFile) {
		t.Errorf("no weights: %v", err)
	}
	for text, want := range map[string]string{"{\n\"hidden_size\": 3,\n}": ConfigFile + ":3", `{"hidden_size": "x"}`: "hidden_size"} {
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var c config
		if err := ReadConfig(dir, &c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("config %q: error %v", text, err)
		}
	}
}

// TestWriteFolderReplaces: a model folder is replaced whole, or stays; other folders are refused.
func TestWriteFolderReplaces(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "m")
	old := Contents{Config: config{1}, Tensors: smallModel(), Files: map[string][]byte{"old.txt": []byte("old")}}
	if err := WriteFolder(dir, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(parent, ".m.tmp-123"), 0o755); err != nil { // left by a kill
		t.Fatal(err)
	}
	failed := errors.New("failed half way")
	err := WriteFolder(dir, Contents{Config: config{2}, Fill: func(string) error { return failed }})
	if !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
	var c config
	if err := ReadConfig(dir, &c); err != nil || c.HiddenSize != 1 {
		t.Errorf("after a failure: config %v, %v", c, err)
	}
	fill := func(dir string) error { return os.WriteFile(filepath.Join(dir, "filled.txt"), nil, 0o644) }
	if err := WriteFolder(dir, Contents{Config: config{3}, Tensors: smallModel(), Fill: fill}); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, dir), []string{ConfigFile, "filled.txt", ModelFile}; !slices.Equal(got, want) {
		t.Errorf("folder holds %v, want %v", got, want)
	}
	if got := list(t, parent); !slices.Equal(got, []string{"m"}) {
		t.Errorf("left beside it: %v", got)
	}

	photos := filepath.Join(parent, "photos")
	if err := os.MkdirAll(filepath.Join(photos, "2024"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFolder(photos, old); err == nil || !strings.Contains(err.Error(), photos) {
		t.Errorf("a folder of photos: error %v", err)
	}
	if got := list(t, photos); !slices.Equal(got, []string{"2024"}) {
		t.Errorf("the photos are now %v", got)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}
