package recipes

import (
	"fmt"
	"hash/fnv"

	"goblip/datasets"
	"goblip/datasets/text"
	"goblip/train/runlog"

	"github.com/gomlx/gomlx/core/tensors"
)

// encodeCaptions tokenizes all captions, cut to limit tokens: ids of caption c of record r at [r][c].
func encodeCaptions(set *datasets.Set, t text.Tokenizer, limit int) (ids [][][]int32, longest int, err error) {
	for _, r := range set.Records {
		if len(r.Captions) == 0 {
			return nil, 0, fmt.Errorf("%s: picture %s has no caption", r.Origin, r.Image)
		}
		var of [][]int32
		for _, c := range r.Captions {
			one := text.EncodeMax(t, c, limit)
			longest = max(longest, len(one))
			of = append(of, one)
		}
		ids = append(ids, of)
	}
	return ids, longest, nil
}

// captionLength is the padded length of a set's captions: the longest, rounded up, within limit.
func captionLength(set *datasets.Set, t text.Tokenizer, limit int) (int, error) {
	_, longest, err := encodeCaptions(set, t, limit)
	return min(roundUp(longest, 2), limit), err
}

// roundUp pads lengths to few values, so that few graphs are compiled.
func roundUp(n, to int) int { return (n + to - 1) / to * to }

// bucket is the length that a batch of texts is padded to: the shortest of TextBuckets lengths, equally
// far apart, that holds all of them; limit is the longest.
func (c *Common) bucket(rows [][]int32, limit int) int {
	return c.buckets([]int{limit}, rows)[0]
}

// buckets is bucket for several kinds of text, each with its limit: all take the same one of their
// TextBuckets lengths, so that there are no more programs than that.
func (c *Common) buckets(limits []int, kinds ...[][]int32) []int {
	for i, n := 1, max(c.TextBuckets, 1); i < n; i++ {
		lengths, fit := make([]int, len(limits)), true
		for k, limit := range limits {
			lengths[k] = min(roundUp(max(limit*i/n, 4), 2), limit)
			for _, row := range kinds[k] {
				fit = fit && len(row) <= lengths[k]
			}
		}
		if fit {
			return lengths
		}
	}
	return limits
}

// padded makes a tensor of rows of ids and their mask, padded on the right.
func padded(rows [][]int32, length int, pad int32) (ids, mask *tensors.Tensor) {
	flat, seen := text.Pad(rows, length, pad, false)
	return tensors.FromFlatDataAndDimensions(flat, len(rows), length), tensors.FromFlatDataAndDimensions(seen, len(rows), length)
}

// pickCaptions chooses the caption that each record shows in an epoch.
func pickCaptions(captions [][][]int32, rows []int, seed uint64, epoch int) [][]int32 {
	out := make([][]int32, len(rows))
	for i, r := range rows {
		out[i] = captions[r][datasets.CaptionIndex(seed, epoch, r, len(captions[r]))]
	}
	return out
}

// fingerprint tells two data sets apart, wherever they lie: a hash of everything that is read from
// them but the pixels, and choices that questions offer.
func fingerprint(set *datasets.Set) string {
	h := fnv.New64a()
	for _, r := range set.Records {
		fmt.Fprintf(h, "%q %q %s\n", r.ID, r.Captions, r.Asked())
	}
	return fmt.Sprintf("%d records %016x", set.Len(), h.Sum64())
}

// progress is a bar, or a silent one.
func progress(name string, total int, quiet bool) *runlog.Bar {
	if quiet {
		return nil
	}
	return runlog.Progress(name, total)
}
