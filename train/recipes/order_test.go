package recipes

import (
	"math"
	"slices"
	"testing"
)

func TestOrderVisitsEachRecordOnce(t *testing.T) {
	for _, alike := range []int{1, 4} {
		o := newOrder(7, 24, 8)
		o.alike = alike
		for i := range 24 { // eight directions, three records each
			angle := float64(i%8) * math.Pi / 4
			o.classes = append(o.classes, []float32{float32(math.Cos(angle)), float32(math.Sin(angle))})
		}
		var seen []int
		for i := range 3 {
			rows, epoch := o.rows(i)
			if epoch != 0 {
				t.Fatalf("micro-batch %d is of epoch %d", i, epoch)
			}
			seen = append(seen, rows...)
		}
		if alike > 1 {
			for at := 0; at < 24; at += 4 {
				if seen[at]%8 != seen[at+1]%8 && at < 8 {
					t.Errorf("group %v does not start with two that are alike", seen[at:at+4])
				}
			}
		}
		slices.Sort(seen)
		for i, r := range seen {
			if i != r {
				t.Fatalf("alike %d: epoch 0 visits %v", alike, seen)
			}
		}
		again := newOrder(7, 24, 8)
		again.alike, again.classes = alike, o.classes
		a, _ := o.rows(4)
		a = slices.Clone(a)
		if b, _ := again.rows(4); !slices.Equal(a, b) {
			t.Errorf("alike %d: a resumed run sees %v, want %v", alike, b, a)
		}
	}
}
