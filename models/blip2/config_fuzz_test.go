package blip2

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzConfig reads any config.json: what is read is written and read again as the same, and is judged
// without a panic.
func FuzzConfig(f *testing.F) {
	seeds, err := filepath.Glob(filepath.Join("..", "..", "internal", "golden", "testdata", "*", "model*", "config.json"))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, path := range seeds {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"text_config": {"model_type": "t5", "feed_forward_proj": "gated-", "num_decoder_layers": null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var cfg, again Config
		if json.Unmarshal(raw, &cfg) != nil {
			return
		}
		_ = cfg.Validate() // either is right: they must return
		_ = cfg.ValidateLLM()
		written, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("wrote %s: %v", written, err)
		}
		if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(written, rewritten) {
			t.Errorf("wrote %s, then %s (%v)", written, rewritten, err)
		}
	})
}
