package jpeg

// upsampler gives the rows of one component, or of two with the same sampling,
// at the picture's resolution, as libjpeg's "fancy upsampling" does: factors of
// two are interpolated, others repeat. A sample of the second component lies 16
// bits above the first one's, so one operation serves both; sums stay below 2^16.
type upsampler struct {
	planes            []*component
	hx, vx            int // picture pixels to a sample
	near, next        []uint32
	nearRow, nextRow  int // what these two hold
	sums, interleaved []uint32
}

const (
	lanes = 1<<16 | 1 // a number in both
	low8  = 255 * lanes
)

func newUpsampler(f *frame, planes ...*component) *upsampler {
	c := planes[0]
	u := &upsampler{planes: planes, hx: f.hMax / c.h, vx: f.vMax / c.v, nearRow: -1, nextRow: -1}
	u.near, u.next, u.sums = make([]uint32, c.width), make([]uint32, c.width), make([]uint32, c.width)
	u.interleaved = make([]uint32, c.width*u.hx)
	return u
}

// load packs a row of samples.
func (u *upsampler) load(to []uint32, y int) {
	first := u.planes[0]
	for i, v := range first.samples[y*first.stride:][:len(to)] {
		to[i] = uint32(v)
	}
	if len(u.planes) > 1 {
		second := u.planes[1]
		for i, v := range second.samples[y*second.stride:][:len(to)] {
			to[i] |= uint32(v) << 16
		}
	}
}

// rows loads the nearest row of samples and the second nearest.
func (u *upsampler) rows(near, next int) {
	if u.nearRow != near && u.nextRow == near { // one row further, they change places
		u.near, u.next, u.nearRow, u.nextRow = u.next, u.near, u.nextRow, u.nearRow
	}
	if u.nearRow != near {
		u.load(u.near, near)
		u.nearRow = near
	}
	if u.nextRow != next {
		u.load(u.next, next)
		u.nextRow = next
	}
}

// row is row y of the picture; it is valid until the next call.
func (u *upsampler) row(y int) []uint32 {
	near := y / u.vx
	if u.vx != 2 {
		u.rows(near, near)
	} else { // there are half as many
		u.rows(near, min(max(near-1+2*(y&1), 0), u.planes[0].height-1))
	}
	// libjpeg interpolates along a row only if it has more than two samples.
	smooth := u.hx == 2 && len(u.near) > 2
	switch {
	case u.hx == 1 && u.vx == 2:
		bias := uint32(1+y&1) * lanes
		for i, v := range u.near {
			u.interleaved[i] = (3*v + u.next[i] + bias) >> 2 & low8
		}
	case u.hx == 1:
		return u.near
	case smooth && u.vx == 1:
		interpolate(u.near, u.interleaved, 1*lanes, 2*lanes, 2)
	case smooth && u.vx == 2:
		next := u.next[:len(u.near)]
		for i, v := range u.near {
			u.sums[i] = 3*v + next[i]
		}
		interpolate(u.sums, u.interleaved, 8*lanes, 7*lanes, 4)
	default:
		for i, v := range u.near {
			for k := range u.hx {
				u.interleaved[i*u.hx+k] = v
			}
		}
	}
	return u.interleaved
}

// interpolate makes two pixels of each sample: 3/4 of it and 1/4 of its
// neighbour. biasLeft and biasRight take turns, so that rounding does not drift.
func interpolate(in, out []uint32, biasLeft, biasRight uint32, shift uint) {
	shift &= 31
	out = out[:2*len(in)]
	last, this := in[0], in[0]
	for i, next := range in[1:] {
		out[2*i] = (3*this + last + biasLeft) >> shift & low8
		out[2*i+1] = (3*this + next + biasRight) >> shift & low8
		last, this = this, next
	}
	n := len(out)
	out[n-2] = (3*this + last + biasLeft) >> shift & low8
	out[n-1] = (3*this + this + biasRight) >> shift & low8
}
