package infer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/internal/golden"
	"goblip/models/blip2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestImageProcessor reads back what training writes, and what other programs write.
func TestImageProcessor(t *testing.T) {
	own := func(alpha image.Alpha) string {
		data, err := PreprocessorConfig(&Pictures{Side: 24, Processor: image.Processor{Size: 24, Alpha: alpha}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, test := range []struct {
		name, file string
		want       image.Alpha
		wrong      string
	}{
		{"none", "", image.AlphaWhite, ""},
		{"of transformers", `{"image_processor_type": "BlipImageProcessor", "do_convert_rgb": true}`, image.AlphaWhite, ""},
		{"white", own(image.AlphaWhite), image.AlphaWhite, ""},
		{"drop", own(image.AlphaDrop), image.AlphaDrop, ""},
		{"unknown alpha", `{"alpha": "black"}`, 0, `alpha "black" is not white or drop`},
		{"damaged", `{"alpha": `, 0, "unexpected end"},
		{"of another class", `{"image_processor_type": "ViTImageProcessor"}`, 0, `image_processor_type "ViTImageProcessor" is not known`},
		{"of another size", `{"size": 32}`, 0, "pictures become 32 x 32 pixels, the model's image tower takes 24 x 24"},
		{"not square", `{"size": {"height": 24, "width": 32}}`, 0, "size: 32 x 24 pixels, but the model's image tower takes squares"},
		{"of no shape", `{"size": {"longest_edge": 24}}`, 0, "is not a number, {height, width} or {shortest_edge}"},
		{"of a crop", `{"crop_size": {"height": 20, "width": 20}, "do_center_crop": true}`, 0, "pictures become 20 x 20 pixels"},
		{"of a crop with one side", `{"crop_size": {"height": 20}}`, 0, "crop_size"},
		{"field", `{"do_flip_channel_order": true}`, 0, `field "do_flip_channel_order" (true) is not known`},
		{"field that is off", `{"do_flip_channel_order": false, "offset": null}`, image.AlphaWhite, ""},
		{"padding", `{"do_pad": true, "pad_size": {"height": 30, "width": 30}}`, 0, `field "pad_size"`},
		{"no padding", `{"do_pad": false, "pad_size": {"height": 30, "width": 30}}`, image.AlphaWhite, ""},
		{"filter", `{"resample": 6}`, 0, "resample 6 is not one of Pillow's filters"},
		{"filter by name", `{"resample": "bicubic"}`, 0, "resample: "},
		{"std", `{"image_std": [0, 1, 1]}`, 0, "image_std has a zero"},
		{"mean of two channels", `{"image_mean": [0, 1]}`, 0, "image_mean [0, 1] is not a number or three of them"},
		{"factor", `{"rescale_factor": 0}`, 0, "rescale_factor is 0"},
		{"colours", `{"do_convert_rgb": false}`, 0, "do_convert_rgb is false"},
		{"array", `[1]`, 0, "cannot unmarshal array"},
	} {
		dir := filepath.Join(t.TempDir(), "model")
		cfg := blip2.Default()
		cfg.Vision.ImageSize, cfg.Vision.PatchSize = 24, 12
		files := map[string][]byte{PreprocessorFile: []byte(test.file)}
		if test.file == "" {
			files = nil
		}
		if err := checkpoints.WriteFolder(dir, checkpoints.Contents{Config: &cfg, Files: files}); err != nil {
			t.Fatal(err)
		}
		got, err := ImageProcessor(dir)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) || !strings.Contains(err.Error(), PreprocessorFile) {
				t.Errorf("%s: error %v", test.name, err)
			}
			continue
		}
		if err != nil || got.Alpha != test.want || got.Size != 24 {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
	for _, want := range []image.Processor{
		{Size: 24, Alpha: image.AlphaWhite, Filter: image.Bicubic},
		{Size: 30, Crop: 24, Fit: image.FitShorter, Filter: image.Lanczos},
		{Size: 30, Crop: 24, Fit: image.FitBoth, Filter: image.Bilinear, Mean: [3]float64{0.5, 0.25, 0}, Std: [3]float64{1, 0.5, 0.125}},
		{Size: 24, Fit: image.FitNone, Filter: image.Nearest},
	} {
		data, err := PreprocessorConfig(&Pictures{Side: 24, Processor: want})
		var fields map[string]json.RawMessage
		if err := errors.Join(err, json.Unmarshal(data, &fields)); err != nil {
			t.Fatal(err)
		}
		got, err := readProcessor(fields, 24)
		if want.Fit == image.FitUsual {
			want.Fit = image.FitBoth
		}
		if err != nil || got.Filter.Name != want.Filter.Name {
			t.Errorf("%s: got %+v, %v", data, got, err)
		}
		got.Filter, want.Filter = image.Filter{}, image.Filter{} // functions do not compare
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", data, got, want)
		}
	}
	var file map[string]any
	if err := json.Unmarshal([]byte(own(image.AlphaWhite)), &file); err != nil || file["resample"] != 3.0 {
		t.Errorf("%v, %v", file, err)
	}
	if _, err := ImageProcessor(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// TestProcessorsEqualTransformers follows processor files of all kinds; scripts/golden_processors.py
// wrote what transformers makes of them. So does the graph that normalizes on the device.
func TestProcessorsEqualTransformers(t *testing.T) {
	const root = "testdata/processors"
	file, err := checkpoints.Open(filepath.Join(root, "expected.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compared := 0
	for _, name := range file.Names() {
		dir, picture, _ := strings.Cut(name, ".")
		p, err := ImageProcessor(filepath.Join(root, dir))
		if err != nil {
			t.Error(err)
			continue
		}
		u8, err := p.Load(filepath.Join(root, picture))
		if err != nil {
			t.Fatal(err)
		}
		value, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		want, got := tensors.MustCopyFlatData[float32](value), make([]float32, len(u8))
		p.PixelValues(u8, got)
		onDevice := tensors.MustCopyFlatData[float32](graph.MustExecOnce(golden.Go(t), func(x *graph.Node) *graph.Node { return PixelValues(p, x) },
			tensors.FromFlatDataAndDimensions(u8, 1, p.Side(), p.Side(), 3)))
		if len(want) != len(got) {
			t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
		}
		largest := 1.0
		for _, w := range want {
			largest = max(largest, math.Abs(float64(w)))
		}
		for i, w := range want {
			if d := max(math.Abs(float64(got[i]-w)), math.Abs(float64(onDevice[i]-w))); d > 1e-6*largest {
				t.Errorf("%s: number %d is %g and on the device %g, want %g", name, i, got[i], onDevice[i], w)
				break
			}
		}
		compared++
	}
	if entries, err := os.ReadDir(root); err != nil || compared != 2*(len(entries)-3) {
		t.Errorf("%d pictures compared, %d files, %v", compared, len(entries), err)
	}
}

// TestProcessorRefusesPictures wants a picture to be refused that the processor leaves in another size.
func TestProcessorRefusesPictures(t *testing.T) {
	for _, fields := range []string{`{"size": {"shortest_edge": 24}}`, `{"do_resize": false}`} {
		var parsed map[string]json.RawMessage
		if err := json.Unmarshal([]byte(fields), &parsed); err != nil {
			t.Fatal(err)
		}
		p, err := readProcessor(parsed, 24)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Load("testdata/processors/wide.png"); err == nil || !strings.Contains(err.Error(), "wide.png: a picture of 61 x 33 pixels becomes") {
			t.Errorf("%s: %v", fields, err)
		}
	}
}
