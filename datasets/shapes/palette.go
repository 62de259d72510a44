package shapes

import (
	"math"
	"math/rand/v2"
)

// rgb is a colour with channels of 0..1, in the (non-linear) space of PNG.
type rgb [3]float64

func (c rgb) mix(d rgb, t float64) rgb {
	for i := range c {
		c[i] += (d[i] - c[i]) * t
	}
	return c
}

func (c rgb) scale(f float64) rgb { return rgb{c[0] * f, c[1] * f, c[2] * f} }

// hues in degrees; the gaps are at least three times the jitter.
var hues = map[string]float64{"red": 0, "yellow": 54, "green": 125, "blue": 222, "purple": 288}

const hueJitter = 9 // degrees, to both sides

// shade draws one of the many looks of a named colour.
func shade(rng *rand.Rand, colour string) rgb {
	if colour == "white" {
		return hsv(rng.Float64()*360, rng.Float64()*0.06, uniform(rng, 0.9, 1))
	}
	hue := hues[colour] + uniform(rng, -hueJitter, hueJitter)
	low := 0.68
	if colour == "yellow" { // a dark yellow is olive, which no one calls yellow
		low = 0.85
	}
	return hsv(hue, uniform(rng, 0.72, 1), uniform(rng, low, 1))
}

// secondTone is the colour of stripes and dots on a shape of the given colour.
func secondTone(rng *rand.Rand, colour string, base rgb) rgb {
	if colour == "white" { // half of white is the grey of the background
		return base.scale(uniform(rng, 0.12, 0.24))
	}
	if colour == "yellow" || rng.IntN(2) == 0 {
		return base.scale(uniform(rng, 0.42, 0.55))
	}
	return base.mix(rgb{1, 1, 1}, uniform(rng, 0.5, 0.62))
}

func uniform(rng *rand.Rand, low, high float64) float64 { return low + rng.Float64()*(high-low) }

func hsv(hue, saturation, value float64) rgb {
	var out rgb
	for i, offset := range [3]float64{5, 3, 1} {
		k := math.Mod(offset+hue/60+6, 6)
		out[i] = value * (1 - saturation*max(0, min(k, 4-k, 1)))
	}
	return out
}
