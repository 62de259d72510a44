package show

import (
	"fmt"
	"math"
)

// Row is a picture and what attention does on it.
type Row struct {
	Pixels []byte // [side, side, 3]
	Side   int
	Label  string      // under the picture
	Looks  [][]float32 // a column each: the weights of the patches, [patches] or, with a class token, [1+patches]
}

// Heat draws rows of a picture and its attention maps side by side; columns are the headings of Looks. Each
// map has the picture under it: what is looked at stays, the rest grows dark. The share that the class token
// takes, which has no place in the picture, stands below.
func Heat(columns []string, rows []Row) (string, error) {
	const size, gap, top = 112.0, 12.0, 26.0
	d := &drawing{}
	d.text(gap/2, top-8, 12, "start", soft, "picture")
	for i, c := range columns {
		d.text(gap/2+float64(i+1)*(size+gap), top-8, 12, "start", soft, c)
	}
	y := top
	for _, r := range rows {
		d.picture(gap/2, y, size, r.Pixels, r.Side)
		labels := wrapped(r.Label, 19)
		for i, words := range labels {
			d.text(gap/2, y+size+14+13*float64(i), 11, "start", ink, words)
		}
		for i, weights := range r.Looks {
			patches, class, err := split(weights)
			if err != nil {
				return "", err
			}
			x := gap/2 + float64(i+1)*(size+gap)
			d.picture(x, y, size, lit(r.Pixels, r.Side, patches), r.Side)
			if class >= 0 {
				d.text(x, y+size+14, 11, "start", soft, fmt.Sprintf("class token %.0f %%", 100*class))
			}
		}
		y += size + 14 + 13*float64(max(len(labels), 1)) + gap/2
	}
	return d.svg(), nil
}

// split takes the class token off weights of a square of patches; class is -1 where there is none.
func split(weights []float32) (patches []float32, class float64, err error) {
	square := func(n int) bool { side := int(math.Sqrt(float64(n)) + 0.5); return n > 0 && side*side == n }
	switch n := len(weights); {
	case square(n):
		return weights, -1, nil
	case square(n - 1):
		return weights[1:], float64(weights[0]), nil
	}
	return nil, 0, fmt.Errorf("show: %d weights are not those of a square of patches", len(weights))
}

// lit is the picture where patches light it: the strongest patch leaves it as it is, a weight of 0 leaves an eighth.
// Between the middles of patches light changes evenly.
func lit(pixels []byte, side int, patches []float32) []byte {
	n := int(math.Sqrt(float64(len(patches))) + 0.5)
	strongest := float32(0)
	for _, w := range patches {
		strongest = max(strongest, w)
	}
	if strongest == 0 {
		strongest = 1
	}
	// at is the weight at a place measured in patches, 0 to n.
	at := func(x, y float64) float64 {
		x, y = min(max(x-0.5, 0), float64(n-1)), min(max(y-0.5, 0), float64(n-1))
		column, row := min(int(x), max(n-2, 0)), min(int(y), max(n-2, 0))
		right, below := min(column+1, n-1), min(row+1, n-1)
		dx, dy := x-float64(column), y-float64(row)
		w := func(r, c int) float64 { return float64(patches[r*n+c] / strongest) }
		return (1-dy)*((1-dx)*w(row, column)+dx*w(row, right)) + dy*((1-dx)*w(below, column)+dx*w(below, right))
	}
	out := make([]byte, len(pixels))
	for i := range side * side {
		scale := float64(n) / float64(side)
		light := 0.125 + 0.875*at((float64(i%side)+0.5)*scale, (float64(i/side)+0.5)*scale)
		for c := range 3 {
			out[3*i+c] = byte(float64(pixels[3*i+c])*light + 0.5)
		}
	}
	return out
}
