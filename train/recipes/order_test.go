package recipes

import (
	"math"
	"slices"
	"testing"

	"goblip/datasets"
)

// TestVisitEach wants the questions of a mixture's sources as often as it asks, each source gone through in
// whole before it repeats, and the order of a set without sources.
func TestVisitEach(t *testing.T) {
	set := &datasets.Set{Records: make([]datasets.Record, 10), Parts: []datasets.Part{{Records: 4, Share: 0.6}, {Records: 1, Share: 0.2}, {Records: 5, Share: 0.2}}}
	of := []int{0, 0, 0, 1, 1, 2, 3, 3, 5, 6, 6, 9} // 8 of the first, none of the second, 4 of the third
	o := visitEach(set, of, 3, 4)
	seen := make([]int, len(of))
	for i := range 6 { // two epochs of 9 and 3
		rows, _ := o.rows(i)
		for _, row := range rows {
			seen[row]++
		}
	}
	first, third := 0, 0
	for k, n := range seen {
		if k < 8 {
			if first += n; n < 2 || n > 3 {
				t.Errorf("question %d of the first source was asked %d times in 18 of 8", k, n)
			}
		} else if third += n; n < 1 || n > 2 {
			t.Errorf("question %d of the third source was asked %d times in 6 of 4", k, n)
		}
	}
	if first != 18 || third != 6 {
		t.Errorf("%d and %d questions, want 18 and 6", first, third)
	}
	again, want := visitEach(&datasets.Set{Records: set.Records}, of, 3, 4), newOrder(3, len(of), 4)
	for i := range 6 {
		a, _ := again.rows(i)
		if b, _ := want.rows(i); !slices.Equal(a, b) {
			t.Errorf("without sources: %v, want %v", a, b)
		}
	}
}

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
