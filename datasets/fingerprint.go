package datasets

import (
	"math/bits"
	"slices"

	"goblip/datasets/image"
)

// fingerprint says what a picture looks like, whatever its size, quality or
// format: which of neighbouring regions are brighter, 64 side by side and 64
// one above the other (dHash), and the mean colour, which tells apart what
// differs in nothing else.
type fingerprint struct {
	across, down uint64
	mean         [3]uint8
}

// fingerprintOf shrinks a picture to 9 x 9 and compares.
func fingerprintOf(img image.RGB) (f fingerprint) {
	small := image.Resize(img, 9, 9, image.Bilinear)
	var sum [3]int
	var light [9][9]int
	for y := range 9 {
		for x := range 9 {
			p := small.Pix[3*(9*y+x):]
			light[y][x] = 299*int(p[0]) + 587*int(p[1]) + 114*int(p[2])
			for c := range 3 {
				sum[c] += int(p[c])
			}
		}
	}
	for c := range 3 {
		f.mean[c] = uint8(sum[c] / 81)
	}
	// A step below noise counts as none, so that flat regions agree.
	const noise = 2000
	for y := range 8 {
		for x := range 8 {
			if light[y][x+1] > light[y][x]+noise {
				f.across |= 1 << (8*y + x)
			}
			if light[y+1][x] > light[y][x]+noise {
				f.down |= 1 << (8*y + x)
			}
		}
	}
	return f
}

// meanColour is how far mean colours may lie apart, in levels a channel.
const meanColour = 6

func (f fingerprint) near(g fingerprint, distance int) bool {
	for c := range 3 {
		if d := int(f.mean[c]) - int(g.mean[c]); d > meanColour || d < -meanColour {
			return false
		}
	}
	return bits.OnesCount64(f.across^g.across)+bits.OnesCount64(f.down^g.down) <= distance
}

// band is one of n parts of the fingerprint's 128 bits: prints that differ in
// fewer than n bits agree in a band.
func (f fingerprint) band(i, n int) (band [2]uint64) {
	for bit := i; bit < 128; bit += n {
		if bit < 64 {
			band[0] |= f.across & (1 << bit)
		} else {
			band[1] |= f.down & (1 << (bit - 64))
		}
	}
	return band
}

// bandWindow bounds how many neighbours with an equal band are compared: flat
// pictures all agree in one.
const bandWindow = 64

// similar pairs every picture with an earlier one that it resembles.
func similar(records []seen, distance int) []pair {
	first := map[int]int{}
	order := make([]int, 0, len(records))
	for i := range records {
		if records[i].decoded {
			order = append(order, i)
		}
	}
	bands := distance + 1
	keys := make([][2]uint64, len(records))
	for band := range bands {
		for _, i := range order {
			keys[i] = records[i].print.band(band, bands)
		}
		slices.SortFunc(order, func(a, b int) int {
			if c := slices.Compare(keys[a][:], keys[b][:]); c != 0 {
				return c
			}
			return a - b
		})
		for k, later := range order {
			for j := k - 1; j >= max(0, k-bandWindow) && keys[order[j]] == keys[later]; j-- {
				earlier := order[j]
				known, ok := first[later]
				if (!ok || earlier < known) && records[earlier].print.near(records[later].print, distance) {
					first[later] = earlier
				}
			}
		}
	}
	pairs := make([]pair, 0, len(first))
	for later, earlier := range first {
		pairs = append(pairs, pair{earlier, later})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return a.later - b.later })
	return pairs
}
