package shapes

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"goblip/datasets"
	"goblip/datasets/image"
)

func digest(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func TestGenerateDependsOnConfigOnly(t *testing.T) {
	config := Config{Train: 60, Val: 5, Test: 9, Size: 32, Seed: 3}
	root := t.TempDir()
	calls := 0
	if err := Generate(filepath.Join(root, "a"), config, func(done, total int) {
		calls++
		if done != calls || total != 74 {
			t.Errorf("progress %d of %d at call %d", done, total, calls)
		}
	}); err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if err := Generate(filepath.Join(root, "b"), config, nil); err != nil {
		t.Fatal(err)
	}
	a, b := digest(t, filepath.Join(root, "a")), digest(t, filepath.Join(root, "b"))
	if len(a) != 74+4 || calls != 74 {
		t.Errorf("%d files and %d progress calls, want 78 and 74", len(a), calls)
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("%s depends on the number of processors", name)
		}
	}
	// More training pictures leave the earlier ones alone; another seed does not.
	config.Train = 61
	if err := Generate(filepath.Join(root, "a"), config, nil); err != nil {
		t.Fatal(err)
	}
	if c := digest(t, filepath.Join(root, "a")); c["images/train/000059.png"] != b["images/train/000059.png"] || len(c) != 79 {
		t.Error("a larger corpus changed its first pictures")
	}
	config.Seed = 4
	if err := Generate(filepath.Join(root, "a"), config, nil); err != nil {
		t.Fatal(err)
	}
	if c := digest(t, filepath.Join(root, "a")); c["images/train/000000.png"] == b["images/train/000000.png"] {
		t.Error("the seed does not matter")
	}
	if _, err := os.Stat(filepath.Join(root, "a.partial")); err == nil {
		t.Error("the work folder was left behind")
	}
}

func TestGenerateRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		name, want string
		config     Config
	}{
		{"size", "size: 8", Config{Size: 8}},
		{"test", "test: 99999", Config{Test: 99999}},
		{"train", "train: -1", Config{Train: -1}},
	} {
		if err := Generate(filepath.Join(dir, "x"), tc.config, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.doc"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Generate(dir, Config{Train: 1, Val: 1, Test: 1}, nil); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder of foreign files: error %v", err)
	}
}

func TestRecordsCarryTheirTruth(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shapes")
	if err := Generate(dir, Config{Train: 1, Val: 1, Test: 40, Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	set, err := datasets.Open(filepath.Join(dir, "test.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Records {
		scene, err := Parse(r.Scene)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Captions) != CaptionsPerScene || len(r.Questions) < 3 {
			t.Errorf("%s: %d captions, %d questions", r.ID, len(r.Captions), len(r.Questions))
		}
		for _, caption := range r.Captions {
			if Score(scene, caption).Fraction() != 1 {
				t.Errorf("%s: %q does not fit %+v", r.ID, caption, scene)
			}
		}
	}
	pixels, err := set.LoadPixels(image.Processor{Size: 48}, nil)
	if err != nil || len(pixels) != 40*48*48*3 {
		t.Fatalf("pixels: %d bytes, error %v", len(pixels), err)
	}
}

// The nearest training picture by mean colour must not tell the shape.
func TestMeanColourDoesNotSolveIt(t *testing.T) {
	mean := func(pixels []byte) (m rgb) {
		for i, v := range pixels {
			m[i%3] += float64(v) / float64(len(pixels)/3)
		}
		return m
	}
	draw := func(split, n int) (scenes []Scene, means []rgb) {
		scenes, err := sampleScenes(1, split, n)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range scenes {
			means = append(means, mean(Draw(s, 48, newRand(1, split, i, streamPicture))))
		}
		return scenes, means
	}
	train, trainMeans := draw(splitTrain, 3000)
	test, testMeans := draw(splitVal, 500)
	shape, colour := 0, 0
	for i, m := range testMeans {
		best, nearest := -1, 0.0
		for j, other := range trainMeans {
			d := 0.0
			for k := range m {
				d += (m[k] - other[k]) * (m[k] - other[k])
			}
			if best < 0 || d < nearest {
				best, nearest = j, d
			}
		}
		if train[best].Main.Shape == test[i].Main.Shape {
			shape++
		}
		if train[best].Main.Colour == test[i].Main.Colour {
			colour++
		}
	}
	n := float64(len(test))
	t.Logf("nearest mean colour: shape right %.3f (chance %.3f), colour right %.3f", float64(shape)/n, 1.0/6, float64(colour)/n)
	if float64(shape)/n > 0.25 {
		t.Errorf("mean colour predicts the main shape in %.3f of pictures, want near 1/6", float64(shape)/n)
	}
}

// Every object must be seen: its own colour covers enough of the picture.
func TestObjectsAreVisible(t *testing.T) {
	for i := range 400 {
		rng := newRand(5, splitTest, i, streamAttributes)
		s := sampleScene(rng, anyPairs)
		side := 48.0
		radius, small := side*uniform(rng, 0.20, 0.24), side*uniform(rng, 0.10, 0.12)
		x, y, places := layout(rng, s, side, radius, small)
		if len(places) != s.Group.Count {
			t.Fatalf("%d places for %+v", len(places), s)
		}
		for _, p := range places {
			f := newFigure(s.Group.Shape, p.x, p.y, small, 0)
			inside, whole := 0.0, 0.0
			for px := -20.0; px < side+20; px++ {
				for py := -20.0; py < side+20; py++ {
					alpha, _, _ := f.coverage(px+0.5, py+0.5)
					whole += alpha
					hidden, _, _ := newFigure(s.Main.Shape, x, y, radius, 0).coverage(px+0.5, py+0.5)
					if px >= 0 && px < side && py >= 0 && py < side {
						inside += alpha * (1 - hidden)
					}
				}
			}
			if inside < 0.7*whole {
				t.Errorf("scene %d: only %.2f of a small %s is seen", i, inside/whole, s.Group.Shape)
			}
			if s.Relation == "left" && p.x >= x || s.Relation == "right" && p.x <= x ||
				s.Relation == "above" && p.y >= y || s.Relation == "below" && p.y <= y {
				t.Errorf("scene %d: the group is not %s the main object", i, s.Relation)
			}
		}
	}
}
