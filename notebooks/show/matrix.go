package show

import "fmt"

// Matrix draws values as fields from white (low) to blue (high), each with its number. Rows and columns are
// their labels; marked fields get a frame.
func Matrix(rows, columns []string, values [][]float32, marked func(row, column int) bool) string {
	const cell, left, letters = 44.0, 230.0, 34
	top := 20.0
	for _, c := range columns {
		top = max(top, 12+float64(min(len(c), letters))*4.4)
	}
	low, high := values[0][0], values[0][0]
	for _, row := range values {
		for _, v := range row {
			low, high = min(low, v), max(high, v)
		}
	}
	span := max(high-low, 1e-12)
	d := &drawing{}
	for i, c := range columns {
		d.slanted(left+(float64(i)+0.4)*cell, top-6, 11, soft, shortened(c, letters))
	}
	d.grow(left+float64(len(columns))*cell+float64(letters)*4.2, 0)
	for i, row := range values {
		y := top + float64(i)*cell*0.6
		d.text(left-8, y+cell*0.38, 11, "end", ink, shortened(rows[i], letters+4))
		for j, v := range row {
			x, share := left+float64(j)*cell, float64((v-low)/span)
			d.rect(x, y, cell-1, cell*0.6-1, mixed(share))
			number := ink
			if share > 0.55 {
				number = "#fff"
			}
			d.text(x+cell/2-0.5, y+cell*0.38, 11, "middle", number, fmt.Sprintf("%.2f", v))
		}
	}
	for i := range values {
		for j := range values[i] {
			if marked != nil && marked(i, j) {
				d.frame(left+float64(j)*cell, top+float64(i)*cell*0.6, cell-1, cell*0.6-1, green)
			}
		}
	}
	return d.svg()
}

// Mask is who sees whom in one pass of a model.
type Mask struct {
	Title   string
	Rows    []string // who looks
	Columns []string // at whom
	Sees    [][]bool
}

// Masks draws masks side by side: a filled field means that the token of the row sees that of the column.
func Masks(masks []Mask) string {
	const cell, labels, gap = 18.0, 62.0, 24.0
	d := &drawing{}
	left := gap / 2
	for _, m := range masks {
		d.text(left, 18, 13, "start", ink, m.Title)
		x0, y0 := left+labels, 34+labels*0.75
		for j, c := range m.Columns {
			d.slanted(x0+(float64(j)+0.5)*cell, y0-4, 10.5, soft, shortened(c, 10))
		}
		for i, r := range m.Rows {
			y := y0 + float64(i)*cell
			d.text(x0-6, y+cell*0.7, 10.5, "end", soft, shortened(r, 10))
			for j, sees := range m.Sees[i] {
				fill := line
				if sees {
					fill = blue
				}
				d.rect(x0+float64(j)*cell, y, cell-2, cell-2, fill)
			}
		}
		left = x0 + float64(len(m.Columns))*cell + gap + 20
		d.grow(left, 0)
	}
	return d.svg()
}
