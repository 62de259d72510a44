package datasets

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Everything random about reading data is a function of (seed, epoch, record):
// a resumed run, or one with more readers, sees the same data in the same order.

// mix hashes its words into one, by SplitMix64's finalizer.
func mix(words ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, w := range words {
		h += w + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// Rand is a random generator named by its words (a seed, a purpose, an index):
// equal words give equal numbers, whatever was drawn before or elsewhere.
func Rand(words ...uint64) *rand.Rand {
	h := mix(words...)
	return rand.New(rand.NewPCG(h, mix(h)))
}

// Streams of random numbers that must not depend on each other.
const (
	streamOrder = iota + 1
	streamCaption
	streamSplit
	streamNoise
	streamMixture
	streamAugment
)

// Order is the permutation of 0..n-1 in which an epoch visits its records.
func Order(seed uint64, epoch, n int) []int {
	return Rand(seed, streamOrder, uint64(epoch)).Perm(n)
}

// AugmentRand is where a record's changes in an epoch are drawn from.
func AugmentRand(seed uint64, epoch, record int) *rand.Rand {
	return Rand(seed, streamAugment, uint64(epoch), uint64(record))
}

// CaptionIndex says which of a record's n captions an epoch shows. n must be positive.
func CaptionIndex(seed uint64, epoch, record, n int) int {
	// The bias of the remainder is below n / 2^64.
	return int(mix(seed, streamCaption, uint64(epoch), uint64(record)) % uint64(n))
}

// Split divides a set by a hash of each record's ID: about fraction of the
// records go into the second set. A record keeps its side when others are
// added or removed, and records of one ID stay together.
func Split(set *Set, fraction float64, seed uint64) (rest, held *Set, err error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, fmt.Errorf("split fraction %g is out of range 0..1", fraction)
	}
	rest, held = &Set{Name: set.Name}, &Set{Name: set.Name}
	for _, record := range set.Records {
		name := fnv.New64a()
		name.Write([]byte(record.ID))
		u := float64(mix(seed, streamSplit, name.Sum64())>>11) / math.Exp2(53)
		if u < fraction {
			held.Records = append(held.Records, record)
		} else {
			rest.Records = append(rest.Records, record)
		}
	}
	return rest, held, nil
}
