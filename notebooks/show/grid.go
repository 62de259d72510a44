package show

// Card is a picture with words under it.
type Card struct {
	Pixels []byte // [side, side, 3]
	Side   int
	Lines  []Line
}

// Line is one line of words, wrapped where it is long.
type Line struct {
	Text string
	Mark Mark
}

// Mark colours words.
type Mark int

// Kinds of words.
const (
	Plain Mark = iota
	Strong
	Right
	Wrong
)

func (m Mark) colour() string { return [...]string{soft, ink, green, red}[m] }

// Grid lays cards in rows of so many.
func Grid(perRow int, cards []Card) string {
	const size, gap, letter, height = 144.0, 18.0, 12.0, 15.0
	d := &drawing{}
	top, bottom := gap/2, 0.0
	for i, c := range cards {
		if i > 0 && i%perRow == 0 {
			top = bottom + gap
		}
		left := gap/2 + float64(i%perRow)*(size+gap)
		d.picture(left, top, size, c.Pixels, c.Side)
		y := top + size + 4
		for _, l := range c.Lines {
			for _, words := range wrapped(l.Text, 25) {
				y += height
				d.text(left, y, letter, "start", l.Mark.colour(), words)
			}
		}
		bottom = max(bottom, y)
	}
	return d.svg()
}
