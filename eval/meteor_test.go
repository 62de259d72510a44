package eval

import (
	"math"
	"testing"
)

// TestMeteor compares the score of 72 images and of all with the reference program's, from its statistics.
func TestMeteor(t *testing.T) {
	var c struct {
		Overall float64
		Images  []struct {
			Kind, Stats string
			Score       float64
		}
	}
	readGzip(t, "testdata/meteor_stats.json.gz", &c)
	var stats []MeteorStats
	for _, image := range c.Images {
		s, err := ParseMeteorStats(image.Stats)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Score(); math.Abs(got-image.Score) > 1e-9 {
			t.Errorf("%s: %v, want %v", image.Kind, got, image.Score)
		}
		stats = append(stats, s)
	}
	if got := MeteorMetric(stats).Of(nil); len(stats) != 72 || math.Abs(got-c.Overall) > 1e-9 {
		t.Errorf("%d images: %v, want %v", len(stats), got, c.Overall)
	}
	for _, bad := range []string{"", "1 2 3", "a b c d e f g h i j k l m n o p q r s t u v w", "-1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23"} {
		if _, err := ParseMeteorStats(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
