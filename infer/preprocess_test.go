package infer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"goblip/checkpoints"
	"goblip/datasets/image"
	"goblip/models/blip2"
)

// TestImageProcessor reads back what training writes, and what other programs write.
func TestImageProcessor(t *testing.T) {
	own := func(alpha image.Alpha) string {
		data, err := PreprocessorConfig(&Pictures{Side: 24, Alpha: alpha})
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
		{"unknown", `{"alpha": "black"}`, 0, `alpha "black" is not white or drop`},
		{"damaged", `{"alpha": `, 0, "unexpected end"},
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
	var file map[string]any
	if err := json.Unmarshal([]byte(own(image.AlphaWhite)), &file); err != nil || file["resample"] != 3.0 {
		t.Errorf("%v, %v", file, err)
	}
	if _, err := ImageProcessor(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
