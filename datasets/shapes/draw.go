package shapes

import (
	"math"
	"math/rand/v2"
)

// canvas is a square picture under construction.
type canvas struct {
	size   int // pixels
	pixels []rgb
}

// Draw paints a scene at size x size pixels -> [size, size, 3] bytes. The same
// seed gives the same picture; another seed gives another picture of the scene.
func Draw(scene Scene, size int, rng *rand.Rand) []byte {
	c := &canvas{size, make([]rgb, size*size)}
	side := float64(size)
	c.background(rng)
	for range 2 + rng.IntN(4) {
		c.clutter(rng)
	}

	radius := side * uniform(rng, 0.26, 0.30)
	small := side * uniform(rng, 0.13, 0.145)
	x, y, places := layout(rng, scene, side, radius, small)
	mainFigure := newFigure(scene.Main.Shape, x, y, radius, tilt(rng, scene.Main.Shape))
	mainPaint := paint(rng, scene.Main, side)
	angle, colour := tilt(rng, scene.Group.Shape), shade(rng, scene.Group.Colour)
	groupInFront := rng.IntN(2) == 0
	if groupInFront {
		c.fill(mainFigure, mainPaint)
	}
	for _, at := range places {
		f := newFigure(scene.Group.Shape, at.x, at.y, small, angle)
		c.fill(f, func(x, y float64) rgb { return colour })
	}
	if !groupInFront {
		c.fill(mainFigure, mainPaint)
	}
	return c.bytes(rng)
}

// layout places the main object's centre and the small ones'. It works in a
// frame whose first axis points from the main object to the group.
func layout(rng *rand.Rand, scene Scene, side, radius, small float64) (x, y float64, places []point) {
	reach := radius * extents[scene.Main.Shape]
	smallReach := small * extents[scene.Group.Shape]
	// How far apart the two are: from a fifth of a small one hidden to a gap.
	apart := reach + smallReach + uniform(rng, -0.40, 0.45)*smallReach
	if scene.Main.Shape == "triangle" || scene.Main.Shape == "star" {
		apart -= 0.25 * reach // their corners rarely point at the group
	}
	// Centres run along the axis; up to a tenth of the main object is cut.
	mainAt := uniform(rng, side*0.97-apart-smallReach-reach*0.75, reach*0.85)
	mainAt = max(mainAt, reach*0.8)
	groupAt := min(mainAt+apart, side-smallReach*0.95)
	mainAcross := uniform(rng, reach*0.85, side-reach*0.85)

	n := float64(scene.Group.Count)
	step := max(smallReach, small) * uniform(rng, 2.1, 2.3) // they never touch
	width := (n-1)*step + 2*smallReach
	middle := mainAcross + uniform(rng, -0.15, 0.15)*side
	middle = min(max(middle, width/2), side-width/2)
	for i := range scene.Group.Count {
		along := groupAt + uniform(rng, -0.25, 0.25)*smallReach
		across := middle + (float64(i)-(n-1)/2)*step
		places = append(places, point{along, across})
	}
	turn := func(p point) point {
		switch scene.Relation {
		case "left":
			return point{side - p.x, p.y}
		case "above":
			return point{p.y, side - p.x}
		case "below":
			return point{p.y, p.x}
		}
		return p // right
	}
	for i, p := range places {
		places[i] = turn(p)
	}
	centre := turn(point{mainAt, mainAcross})
	return centre.x, centre.y, places
}

// tilt is a rotation that leaves a shape what it is.
func tilt(rng *rand.Rand, shape string) float64 {
	if shape == "star" {
		return uniform(rng, 0, 2*math.Pi)
	}
	return uniform(rng, -1, 1) * 15 * math.Pi / 180
}

// paint is the colour of the main object at a place in its own frame.
func paint(rng *rand.Rand, m Main, side float64) func(x, y float64) rgb {
	base := shade(rng, m.Colour)
	tone := secondTone(rng, m.Colour, base)
	period := side * uniform(rng, 0.15, 0.18)
	phase, angle := rng.Float64(), rng.Float64()*math.Pi
	sin, cos := math.Sincos(angle)
	switch m.Texture {
	case "striped":
		return func(x, y float64) rgb {
			// distance to the middle of the stripe, in pixels
			_, part := math.Modf((x*cos+y*sin)/period + phase + 64)
			return base.mix(tone, edge(period*0.22-math.Abs(part-0.5)*period))
		}
	case "dotted":
		radius := period * 0.27
		return func(x, y float64) rgb {
			u, v := (x*cos+y*sin)/period+phase+64, (y*cos-x*sin)/period+phase+64
			_, u = math.Modf(u)
			_, v = math.Modf(v)
			return base.mix(tone, edge(radius-math.Hypot(u-0.5, v-0.5)*period))
		}
	}
	return func(x, y float64) rgb { return base }
}

// edge turns a signed distance in pixels into coverage.
func edge(d float64) float64 { return min(max(d+0.5, 0), 1) }

// background is a tinted grey with a soft gradient.
func (c *canvas) background(rng *rand.Rand) {
	grey := uniform(rng, 0.34, 0.56)
	var base rgb
	for i := range base {
		base[i] = grey + uniform(rng, -0.07, 0.07)
	}
	sin, cos := math.Sincos(rng.Float64() * 2 * math.Pi)
	slope := uniform(rng, 0, 0.14) / float64(c.size)
	half := float64(c.size) / 2
	for i := range c.pixels {
		x, y := float64(i%c.size)-half, float64(i/c.size)-half
		lift := (x*cos + y*sin) * slope
		c.pixels[i] = rgb{base[0] + lift, base[1] + lift, base[2] + lift}
	}
}

// clutter is a thin grey line or a speck that no caption mentions.
func (c *canvas) clutter(rng *rand.Rand) {
	side := float64(c.size)
	tone := uniform(rng, 0.2, 0.72)
	x, y, angle := rng.Float64()*side, rng.Float64()*side, rng.Float64()*2*math.Pi
	length, thick := side*uniform(rng, 0.1, 0.45), side*uniform(rng, 0.006, 0.012)
	if rng.IntN(2) == 0 {
		length, thick = side*0.01, side*uniform(rng, 0.012, 0.02)
	}
	f := figure{x: x, y: y, radius: length + thick + 1, sin: math.Sin(angle), cos: math.Cos(angle)}
	f.distance = func(x, y float64) float64 {
		return math.Hypot(max(math.Abs(x)-length/2, 0), y) - thick
	}
	c.fill(f, func(x, y float64) rgb { return rgb{tone, tone, tone} })
}

// fill blends a figure over the picture.
func (c *canvas) fill(f figure, colour func(x, y float64) rgb) {
	reach := f.radius + 1
	last := float64(c.size - 1)
	for py := int(max(f.y-reach, 0)); py <= int(min(f.y+reach, last)); py++ {
		for px := int(max(f.x-reach, 0)); px <= int(min(f.x+reach, last)); px++ {
			alpha, x, y := f.coverage(float64(px)+0.5, float64(py)+0.5)
			if alpha > 0 {
				p := &c.pixels[py*c.size+px]
				*p = p.mix(colour(x, y), alpha)
			}
		}
	}
}

// bytes adds light and noise and rounds.
func (c *canvas) bytes(rng *rand.Rand) []byte {
	light := uniform(rng, 0.9, 1.06)
	noise := uniform(rng, 0.01, 0.035) * math.Sqrt(3)
	out := make([]byte, 0, len(c.pixels)*3)
	for _, p := range c.pixels {
		// One draw a pixel, 21 bits a channel; uniform noise costs a tenth of
		// Gaussian noise and looks the same.
		bits := rng.Uint64()
		for _, v := range p {
			n := float64(bits&(1<<21-1))/(1<<20) - 1
			bits >>= 21
			out = append(out, byte(min(max(v*light+n*noise, 0), 1)*255+0.5))
		}
	}
	return out
}
