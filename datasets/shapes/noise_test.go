package shapes

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"goblip/datasets"
)

// TestNoiseOfScene wants every caption of a scene to be right of it, and what was changed to be found.
func TestNoiseOfScene(t *testing.T) {
	scene := Scene{Main{"red", "circle", "striped"}, Group{"blue", "star", 2}, "left", false}
	for i := range 200 {
		for _, c := range Captions(scene, newRand(1, splitTrain, i, streamCaptions)) {
			if got := scene.Noise(c); got != "" {
				t.Errorf("%q: %s", c, got)
			}
		}
	}
	for text, want := range map[string]string{
		"a striped red circle with two blue stars on the left":   "",
		"a striped red circle with two blue stars on the right":  datasets.NoiseAttribute,
		"a striped red circle with three blue stars on the left": datasets.NoiseAttribute,
		"a red circle with two blue stars on the left":           datasets.NoiseAttribute, // unsaid is plain
		"a striped red circle with two":                          datasets.NoiseTruncated,
		"a large striped":                                        datasets.NoiseTruncated,
		"click to enlarge":                                       datasets.NoiseBoilerplate,
		"":                                                       datasets.NoiseBoilerplate,
	} {
		if got := scene.Noise(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestWebFlavour generates a noisy corpus: shares as asked, truth kept, and the same pictures as without noise.
func TestWebFlavour(t *testing.T) {
	const n = 1500
	config := Config{Train: n, Val: 2, Test: 2, Size: 24, Seed: 5, Noise: 0.4, Human: 7}
	noisy, plain := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if err := Generate(noisy, config, nil); err != nil {
		t.Fatal(err)
	}
	web, err := datasets.Open(filepath.Join(noisy, "web.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	human, err := datasets.Open(filepath.Join(noisy, "human.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if web.Len() != n || human.Len() != 7 {
		t.Fatalf("%d and %d records", web.Len(), human.Len())
	}
	counts := map[string]int{}
	for i, r := range web.Records {
		scene, err := Parse(r.Scene)
		if err != nil || len(r.Captions) != 1 || len(r.Noise) != 1 {
			t.Fatal(r, err)
		}
		kind := scene.Noise(r.Captions[0])
		want := r.Noise[0]
		if want == datasets.NoiseSwapped {
			want = datasets.NoiseAttribute // which is what is wrong with it
		}
		if kind != want {
			t.Errorf("record %d says %q of %q, which is %q of %+v", i, want, r.Captions[0], kind, scene)
		}
		counts[r.Noise[0]]++
	}
	near := func(kind string, share float64) {
		if got := float64(counts[kind]) / n; math.Abs(got-share) > 4*math.Sqrt(share*(1-share)/n) {
			t.Errorf("%q: %.3f, want %.3f", kind, got, share)
		}
	}
	near("", 0.6)
	for _, k := range noiseKinds {
		near(k.kind, 0.4*k.share)
	}
	for _, r := range human.Records {
		scene, err := Parse(r.Scene)
		if err != nil || len(r.Noise) > 0 || scene.Noise(r.Captions[0]) != "" {
			t.Errorf("human record %+v: %v", r, err)
		}
	}
	config.Noise, config.Human = 0, 0
	if err := Generate(plain, config, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"train.jsonl", "test.jsonl", "images/train/000017.png"} {
		a, errA := os.ReadFile(filepath.Join(noisy, name))
		b, errB := os.ReadFile(filepath.Join(plain, name))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s differs with noise: %v %v", name, errA, errB)
		}
	}
	// A corpus that was made noisy loses those files when it is made plain.
	if err := Generate(noisy, config, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(noisy, "web.jsonl")); err == nil {
		t.Error("web.jsonl is still there")
	}
	var m marker
	data, err := os.ReadFile(filepath.Join(plain, markerFile))
	if err != nil || json.Unmarshal(data, &m) != nil || string(data) != "{\"corpus\":\"shapes\",\"version\":1,\"train\":1500,\"val\":2,\"test\":2,\"size\":24,\"seed\":5}\n" {
		t.Errorf("marker of a plain corpus: %s %v", data, err)
	}
}
