package infer

import (
	"math"
	"slices"
	"testing"

	"goblip/internal/golden"
	"goblip/models/blip"
	"goblip/models/blip2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// TestLooks: weights sum to 1, a picture's do not depend on its neighbours, and a text changes them.
func TestLooks(t *testing.T) {
	r, err := OpenRetriever(golden.Go(t), tinyFolder(t, blip2.RetrievalClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Finalize()
	built, look := 0, r.look
	r.look = func(scope *model.Scope, states, ids, mask *graph.Node) blip2.Output {
		built++
		return look(scope, states, ids, mask)
	}
	pictures := noise(3)
	texts := []string{"a red circle", "two small blue squares on the left of a circle", "circle"}
	looks := func(p *Pictures, texts []string) *Looks {
		t.Helper()
		states, err := r.States(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := r.Looks(states, texts)
		if err != nil {
			t.Fatal(err)
		}
		if l.Layers != 1 || l.Heads != 2 || l.Queries != 3 || l.Patches != 5 {
			t.Fatalf("%d layers, %d heads, %d queries, %d patches; want 1, 2, 3, 5", l.Layers, l.Heads, l.Queries, l.Patches)
		}
		return l
	}
	alone, beside := looks(pictures, nil), looks(pictures, texts)
	for i := range 3 {
		one, oneBeside := looks(pictures.only(i), nil), looks(pictures.only(i), texts[i:i+1])
		for query := range 3 {
			sum := float32(0)
			for _, w := range alone.Of(i, 0, query) {
				sum += w
			}
			if math.Abs(float64(sum)-1) > 1e-5 {
				t.Errorf("picture %d, query %d: the weights sum to %g", i, query, sum)
			}
			near := func(a, b float32) int {
				if math.Abs(float64(a-b)) < 1e-5 {
					return 0
				}
				return 1
			}
			for head := range 2 {
				if slices.CompareFunc(alone.Head(i, 0, head, query), one.Head(0, 0, head, query), near) != 0 ||
					slices.CompareFunc(beside.Head(i, 0, head, query), oneBeside.Head(0, 0, head, query), near) != 0 {
					t.Errorf("picture %d, query %d looks elsewhere when it is alone", i, query)
				}
				if slices.CompareFunc(alone.Head(i, 0, head, query), beside.Head(i, 0, head, query), near) == 0 {
					t.Errorf("picture %d, query %d: a text changes nothing", i, query)
				}
			}
		}
	}
	states, err := r.States(pictures, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Looks(states, texts[:2]); err == nil {
		t.Error("two texts for three pictures: no error")
	}
	before := built
	looks(pictures, nil)
	looks(pictures, texts)
	if built != before {
		t.Errorf("%d graphs were built anew for inputs of the same shapes", built-before)
	}
}

// TestLooksNeedQueries: a BLIP has none.
func TestLooksNeedQueries(t *testing.T) {
	r, err := OpenRetriever(golden.Go(t), tinyFolder(t, blip.RetrievalClass).write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Finalize()
	states, err := r.States(noise(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Looks(states, nil); err == nil {
		t.Error("no error")
	}
}
