package recipes

import (
	"goblip/datasets"
)

// order visits a set's records in a new order each epoch: micro-batch i -> its records and its epoch.
type order struct {
	seed        uint64
	n, batch    int
	epoch       int
	permutation []int

	// With alike > 1 the records of an epoch come in groups of that many which resemble each other
	// by classes, unit vectors of all records.
	alike   int
	classes [][]float32
}

func newOrder(seed uint64, n, batch int) *order {
	return &order{seed: seed, n: n, batch: batch, epoch: -1}
}

// rows of micro-batch i; a last batch that would be short is dropped.
func (o *order) rows(i int) (rows []int, epoch int) {
	perEpoch := o.n / o.batch
	epoch = i / perEpoch
	if epoch != o.epoch {
		o.permutation, o.epoch = datasets.Order(o.seed, epoch, o.n), epoch
		if o.alike > 1 && o.classes != nil {
			o.group()
		}
	}
	at := i % perEpoch * o.batch
	return o.permutation[at : at+o.batch], epoch
}

// groupWindow is how many records are searched for those alike: enough to find close ones, few
// enough for the search to cost little beside a step.
const groupWindow = 1024

// group reorders the permutation, window by window: the first record left over takes those most
// like it, and the groups are then dealt out so that neighbours in a window do not share a batch.
func (o *order) group() {
	var groups [][]int
	for at := 0; at < len(o.permutation); at += groupWindow {
		left := append([]int(nil), o.permutation[at:min(at+groupWindow, len(o.permutation))]...)
		for len(left) > 0 {
			group := []int{left[0]}
			left = left[1:]
			for len(group) < o.alike && len(left) > 0 {
				best, most := 0, float32(-2)
				for j, record := range left {
					if s := dot(o.classes[group[0]], o.classes[record]); s > most {
						best, most = j, s
					}
				}
				group = append(group, left[best])
				left[best] = left[len(left)-1]
				left = left[:len(left)-1]
			}
			groups = append(groups, group)
		}
	}
	out := make([]int, 0, len(o.permutation))
	for _, g := range datasets.Order(o.seed+1, o.epoch, len(groups)) {
		out = append(out, groups[g]...)
	}
	o.permutation = out
}

func dot(a, b []float32) float32 {
	var sum float32
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
