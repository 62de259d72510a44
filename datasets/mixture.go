package datasets

import (
	"fmt"
	"math"
	"sort"
	"strings"
)

// Part is one source of a mixture.
type Part struct {
	Name    string
	Records int
	Share   float64 // of what is drawn
}

// OpenMixture reads several sources as one set. With a weight at any of them
// (#weight=2; 1 where there is none) sources are drawn by their weights;
// otherwise by their size to the power 1/temperature: 1 draws each record as
// often as any other, 2 by the square root of the sizes, infinity all sources
// alike.
func OpenMixture(names []string, temperature float64, o Options) (*Set, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("no data")
	}
	if !(temperature > 0) {
		return nil, fmt.Errorf("temperature %g is not positive", temperature)
	}
	set := &Set{Name: strings.Join(names, " ")}
	weights := make([]float64, len(names))
	weighted := false
	for i, name := range names {
		one, err := OpenWith(name, o)
		if err != nil {
			return nil, err
		}
		spec, err := ParseSpec(name)
		if err != nil {
			return nil, err
		}
		weights[i], weighted = spec.Weight, weighted || spec.Weight > 0
		set.Records = append(set.Records, one.Records...)
		set.Skipped += one.Skipped
		set.Parts = append(set.Parts, Part{Name: name, Records: one.Len()})
	}
	if len(names) == 1 {
		set.Parts = nil
		return set, nil
	}
	total := 0.0
	for i, p := range set.Parts {
		if !weighted {
			weights[i] = math.Pow(float64(p.Records), 1/temperature)
		} else if weights[i] == 0 {
			weights[i] = 1
		}
		total += weights[i]
	}
	for i := range set.Parts {
		set.Parts[i].Share = weights[i] / total
	}
	return set, nil
}

// Order is the order in which an epoch visits the records. A mixture visits as
// many as it has, each source as often as its share says: it goes through a
// source's records in an order of its own, and goes on there in the next epoch.
func (s *Set) Order(seed uint64, epoch int) []int { return MixedOrder(s.Parts, seed, epoch, s.Len()) }

// MixedOrder is Set.Order of n things in parts that lie behind each other, each of which has one or more;
// no parts: Order.
func MixedOrder(parts []Part, seed uint64, epoch, n int) []int {
	if len(parts) == 0 {
		return Order(seed, epoch, n)
	}
	quotas := quotas(parts, n)
	out := make([]int, 0, n)
	first := 0
	for k, part := range parts {
		var order []int
		round := -1
		for j := range quotas[k] {
			// What was drawn of this source before says where to go on.
			drawn := epoch*quotas[k] + j
			if now := drawn / part.Records; now != round {
				round = now
				order = Rand(seed, streamMixture, uint64(k), uint64(round)).Perm(part.Records)
			}
			out = append(out, first+order[drawn%part.Records])
		}
		first += part.Records
	}
	Rand(seed, streamOrder, uint64(epoch)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// quotas divides n draws by the parts' shares, the largest remainders rounded up.
func quotas(parts []Part, n int) []int {
	out := make([]int, len(parts))
	rest := make([]float64, len(parts))
	order := make([]int, len(parts))
	left := n
	for k, p := range parts {
		exact := p.Share * float64(n)
		out[k] = int(exact)
		rest[k], order[k] = exact-float64(out[k]), k
		left -= out[k]
	}
	sort.SliceStable(order, func(a, b int) bool { return rest[order[a]] > rest[order[b]] })
	for _, k := range order[:max(left, 0)] {
		out[k]++
	}
	return out
}
