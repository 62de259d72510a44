package infer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVisionOfOneBlock: a CLIP whose only block would be left out is told by its setting.
func TestVisionOfOneBlock(t *testing.T) {
	dir := t.TempDir()
	for layers, want := range map[string]string{"1": "num_hidden_layers is 1; BLIP-2 leaves the last block", "0": "vision_config: ", "2": ""} {
		config := `{"model_type": "clip", "vision_config": {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "image_size": 8, "patch_size": 4, "num_hidden_layers": ` + layers + `}}`
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := visionOf(dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s blocks: %v, want %q", layers, err, want)
		}
	}
}
