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

	// Of things that a mixture's records have, as questions: how many each source has, and its share.
	parts []datasets.Part

	// Of a set of pictures: its own order, which may be a mixture's, and which records are one
	// picture (datasets.Set.Identities). Those are kept apart: each would be a negative of the other.
	set        *datasets.Set
	identities []int
}

func newOrder(seed uint64, n, batch int) *order {
	return &order{seed: seed, n: n, batch: batch, epoch: -1}
}

// visit is newOrder for pictures.
func visit(set *datasets.Set, seed uint64, batch int) *order {
	o := newOrder(seed, set.Len(), batch)
	o.set, o.identities = set, set.Identities()
	return o
}

// visitEach is visit for things that a set's records have, as questions: of names the record of each, in
// the set's order. Two may well be of one picture.
func visitEach(set *datasets.Set, of []int, seed uint64, batch int) *order {
	o := newOrder(seed, len(of), batch)
	first, share := 0, 0.0 // the part's first record; of what all parts have that have anything
	for _, part := range set.Parts {
		records := part.Records
		part.Records = 0
		for _, record := range of {
			if record >= first && record < first+records {
				part.Records++
			}
		}
		if first += records; part.Records > 0 {
			o.parts, share = append(o.parts, part), share+part.Share
		}
	}
	for k := range o.parts {
		o.parts[k].Share /= share
	}
	return o
}

// identity is the number of the picture that a record shows.
func (o *order) identity(record int) int {
	if o.identities == nil {
		return record
	}
	return o.identities[record]
}

// rows of micro-batch i; a last batch that would be short is dropped.
func (o *order) rows(i int) (rows []int, epoch int) {
	perEpoch := o.n / o.batch
	epoch = i / perEpoch
	if epoch != o.epoch {
		o.epoch = epoch
		if o.set != nil {
			o.permutation = o.set.Order(o.seed, epoch)
		} else {
			o.permutation = datasets.MixedOrder(o.parts, o.seed, epoch, o.n)
		}
		if o.alike > 1 && o.classes != nil {
			o.group()
		}
		if o.identities != nil {
			o.separate()
		}
	}
	at := i % perEpoch * o.batch
	rows = o.permutation[at : at+o.batch]
	if o.set != nil {
		rows = o.set.Usable(rows)
	}
	return rows, epoch
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

// separate changes places so that no batch shows one picture twice, where that can be done: the
// second takes the place of the next record whose picture the batch does not have.
func (o *order) separate() {
	p := o.permutation
	for at := 0; at+o.batch <= len(p); at += o.batch {
		inside := map[int]bool{}
		for i := at; i < at+o.batch; i++ {
			if inside[o.identities[p[i]]] {
				for j := i + 1; j < len(p); j++ {
					if !inside[o.identities[p[j]]] {
						p[i], p[j] = p[j], p[i]
						break
					}
				}
			}
			inside[o.identities[p[i]]] = true
		}
	}
}
