package datasets

import (
	"fmt"
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	a, b := Order(1, 0, 1000), Order(1, 0, 1000)
	if !slices.Equal(a, b) {
		t.Error("one epoch has two orders")
	}
	for name, other := range map[string][]int{"epoch": Order(1, 1, 1000), "seed": Order(2, 0, 1000)} {
		if slices.Equal(a, other) {
			t.Errorf("another %s has the same order", name)
		}
	}
	slices.Sort(a)
	for i, v := range a {
		if i != v {
			t.Fatalf("not a permutation: %d at %d", v, i)
		}
	}
}

func TestCaptionIndex(t *testing.T) {
	var counts [5]int
	changed := 0
	for record := range 2000 {
		i := CaptionIndex(1, 0, record, 5)
		counts[i]++
		if i != CaptionIndex(1, 1, record, 5) {
			changed++
		}
	}
	for i, n := range counts {
		if n < 330 || n > 470 { // 400 +- 4 standard deviations
			t.Errorf("caption %d is shown %d times of 2000", i, n)
		}
	}
	if changed < 1500 || changed > 1700 {
		t.Errorf("%d of 2000 captions change with the epoch, want about 1600", changed)
	}
}

func TestSplit(t *testing.T) {
	set := &Set{Name: "s"}
	for i := range 5000 {
		set.Records = append(set.Records, Record{ID: fmt.Sprint(i)})
	}
	rest, held, err := Split(set, 0.1, 1)
	if err != nil || rest.Len()+held.Len() != 5000 || held.Len() < 400 || held.Len() > 600 {
		t.Fatalf("split %d + %d, error %v", rest.Len(), held.Len(), err)
	}
	// A record keeps its side when others go.
	set.Records = set.Records[2500:]
	_, fewer, _ := Split(set, 0.1, 1)
	for i := range fewer.Records {
		if fewer.Records[i].ID != held.Records[held.Len()-fewer.Len()+i].ID {
			t.Fatalf("record %s changed sides", fewer.Records[i].ID)
		}
	}
	for _, fraction := range []float64{-0.1, 1.1} {
		if _, _, err := Split(set, fraction, 1); err == nil {
			t.Errorf("fraction %g was accepted", fraction)
		}
	}
}
