package infer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"goblip/checkpoints"
	"goblip/internal/golden"
	"goblip/models/blip2"

	"github.com/gomlx/gomlx/ml/model"
)

// TestEncodingStops wants the end of a context to end encoding with its error, without a part of a shard.
func TestEncodingStops(t *testing.T) {
	backend, store := golden.Go(t), model.NewStore()
	folder, err := checkpoints.OpenFolder(tinyFolder(t, blip2.RetrievalClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	cfg, err := LoadVision(backend, store, folder)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Finalize()
	pictures := noise(200)
	ctx, stop := context.WithCancel(t.Context())
	seen := 0
	if _, err := Encode(ctx, backend, store, &cfg, pictures, func(done, _ int) {
		seen = done
		stop()
	}); !errors.Is(err, context.Canceled) || seen == 0 || seen == 200 {
		t.Errorf("stopped after %d pictures: %v", seen, err)
	}
	dir := t.TempDir()
	for i := range pictures.Set.Records { // bytes that can be hashed
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
			t.Fatal(err)
		}
		pictures.Set.Records[i].Image = path
	}
	o := FeatureCacheOptions{Dir: filepath.Join(dir, "cache"), Type: "f32"}
	for _, phase := range []string{"hashing pictures", "encoding pictures"} {
		ctx, stop := context.WithCancel(t.Context())
		o.Progress = func(what string, _ int) (func(done, total int), func()) {
			return func(int, int) {
				if what == phase {
					stop()
				}
			}, func() {}
		}
		if _, err := CacheFeatures(ctx, backend, store, &cfg, pictures, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", phase, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(o.Dir, "*", "*shard*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	o.Progress = nil
	if f, err := CacheFeatures(t.Context(), backend, store, &cfg, pictures, o); err != nil || f.Len() != 200 {
		t.Errorf("the next call: %v", err)
	}
}
