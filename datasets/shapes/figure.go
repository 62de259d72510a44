package shapes

import "math"

// figure is one drawn shape: a signed distance (negative inside) around a
// centre, in pixels, so that coverage of edge pixels is analytic.
type figure struct {
	x, y, radius float64 // radius is the farthest the shape may reach
	sin, cos     float64 // of its rotation
	distance     func(x, y float64) float64
}

// extents bring the shapes to about equal area at equal nominal radius, or
// their area, and so a picture's mean colour, would tell them apart.
var extents = map[string]float64{
	"circle": 0.92, "square": 0.82, "triangle": 1.22, "star": 1.25, "cross": 1.05, "ring": 1.04,
}

// newFigure places a shape of a nominal radius. angle in radians.
func newFigure(shape string, x, y, radius, angle float64) figure {
	r := radius * extents[shape]
	f := figure{x: x, y: y, radius: r, sin: math.Sin(angle), cos: math.Cos(angle)}
	switch shape {
	case "circle":
		f.distance = func(x, y float64) float64 { return math.Sqrt(x*x+y*y) - r }
	case "ring":
		middle, half := r*0.75, r*0.25
		f.distance = func(x, y float64) float64 { return math.Abs(math.Sqrt(x*x+y*y)-middle) - half }
	case "square":
		f.radius = r * math.Sqrt2
		f.distance = polygon([]point{{-r, -r}, {r, -r}, {r, r}, {-r, r}})
	case "triangle":
		f.distance = polygon(regular(3, r, r))
	case "star":
		f.distance = polygon(regular(5, r, r*0.45))
	case "cross":
		f.radius = r * 1.07
		w := r * 0.36
		f.distance = polygon([]point{
			{-w, -r}, {w, -r}, {w, -w}, {r, -w}, {r, w}, {w, w},
			{w, r}, {-w, r}, {-w, w}, {-r, w}, {-r, -w}, {-w, -w},
		})
	}
	return f
}

// coverage is the part of a pixel that lies inside, 0..1, and the pixel's
// place in the shape's own rotated frame.
func (f figure) coverage(px, py float64) (alpha, x, y float64) {
	dx, dy := px-f.x, py-f.y
	x, y = f.cos*dx+f.sin*dy, f.cos*dy-f.sin*dx
	return min(max(0.5-f.distance(x, y), 0), 1), x, y
}

type point struct{ x, y float64 }

// regular has n corners at radius outer and, if inner differs, n notches at
// radius inner; the first corner points up.
func regular(n int, outer, inner float64) []point {
	steps, corners := n, []point{}
	if inner != outer {
		steps = 2 * n
	}
	for i := range steps {
		r := outer
		if inner != outer && i%2 == 1 {
			r = inner
		}
		a := 2 * math.Pi * float64(i) / float64(steps)
		corners = append(corners, point{r * math.Sin(a), -r * math.Cos(a)})
	}
	return corners
}

// polygon is the signed distance to a simple polygon: the nearest edge, with
// the sign of the even-odd rule.
func polygon(corners []point) func(x, y float64) float64 {
	return func(x, y float64) float64 {
		nearest, inside := math.Inf(1), false
		a := corners[len(corners)-1]
		for _, b := range corners {
			ex, ey, px, py := b.x-a.x, b.y-a.y, x-a.x, y-a.y
			t := min(max((px*ex+py*ey)/(ex*ex+ey*ey), 0), 1)
			dx, dy := px-t*ex, py-t*ey
			nearest = min(nearest, dx*dx+dy*dy)
			if (a.y > y) != (b.y > y) && px < py*ex/ey {
				inside = !inside
			}
			a = b
		}
		if inside {
			return -math.Sqrt(nearest)
		}
		return math.Sqrt(nearest)
	}
}
