package datasets

import (
	"fmt"
	"slices"
)

// Kinds of noise, as Record.Noise names them.
const (
	NoiseSwapped     = "other picture"   // the caption of another picture
	NoiseAttribute   = "wrong attribute" // one or two words are wrong
	NoiseBoilerplate = "boilerplate"     // says nothing of the picture
	NoiseTruncated   = "truncated"       // cut off
)

// Swap gives a share of the records the captions of others, and says so in their Noise. Every chosen record
// gets captions of which it had none; the number of each caption in the set stays.
func Swap(records []Record, share float64, seed uint64) ([]Record, error) {
	if !(share >= 0 && share <= 1) {
		return nil, fmt.Errorf("share %g is out of range 0..1", share)
	}
	out := slices.Clone(records)
	rng := Rand(seed, streamNoise)
	chosen := rng.Perm(len(records))[:int(share*float64(len(records))+0.5)]
	for i := range out {
		out[i].Noise = make([]string, len(out[i].Captions))
	}
	// A cycle over the chosen ones; whoever would get a caption that is right for it too trades places.
	from := slices.Clone(chosen)
	for k := range from {
		from[k] = chosen[(k+1)%len(chosen)]
	}
	for k, i := range chosen {
		if shareCaption(records[i], records[from[k]]) {
			for range 100 {
				j := rng.IntN(len(chosen))
				if !shareCaption(records[i], records[from[j]]) && !shareCaption(records[chosen[j]], records[from[k]]) {
					from[k], from[j] = from[j], from[k]
					break
				}
			}
		}
		if shareCaption(records[i], records[from[k]]) {
			return nil, fmt.Errorf("record %q: no other record has captions that it lacks", records[i].ID)
		}
	}
	for k, i := range chosen {
		out[i].Captions = records[from[k]].Captions
		out[i].Noise = slices.Repeat([]string{NoiseSwapped}, len(out[i].Captions))
	}
	return out, nil
}

func shareCaption(a, b Record) bool {
	return slices.ContainsFunc(a.Captions, func(c string) bool { return slices.Contains(b.Captions, c) })
}
