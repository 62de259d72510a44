package recipes

import "testing"

// TestBucket pads to the shortest length that holds a batch, of as many lengths as were asked for.
func TestBucket(t *testing.T) {
	for _, c := range []struct{ buckets, longest, limit, want int }{
		{0, 3, 32, 32}, {1, 3, 32, 32}, {2, 16, 32, 16}, {2, 17, 32, 32}, {3, 10, 32, 10}, {3, 11, 32, 22}, {3, 23, 32, 32}, {8, 1, 6, 4}, {4, 6, 6, 6},
	} {
		s := Common{TextBuckets: c.buckets}
		if got := s.bucket([][]int32{make([]int32, c.longest), nil}, c.limit); got != c.want {
			t.Errorf("%d lengths up to %d: a text of %d is padded to %d, want %d", c.buckets, c.limit, c.longest, got, c.want)
		}
	}
}
