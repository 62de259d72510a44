package jpeg

// upsampler gives the rows of a component at the picture's resolution, as
// libjpeg's "fancy upsampling" does: factors of two are interpolated, others repeat.
type upsampler struct {
	*component
	hx, vx int // picture pixels to a sample
	buf    []byte
	sums   []int32
}

func newUpsampler(c *component, f *frame) *upsampler {
	u := &upsampler{component: c, hx: f.hMax / c.h, vx: f.vMax / c.v}
	if u.hx*u.vx > 1 {
		u.buf = make([]byte, c.width*u.hx)
		u.sums = make([]int32, c.width)
	}
	return u
}

func (u *upsampler) line(y int) []byte { return u.samples[y*u.stride:][:u.width] }

// row is row y of the picture; it is valid until the next call.
func (u *upsampler) row(y int) []byte {
	near := y / u.vx
	// libjpeg interpolates along a row only if it has more than two samples.
	smooth := u.hx == 2 && u.width > 2
	switch {
	case u.hx == 1 && u.vx == 1:
		return u.line(y)
	case u.hx == 1 && u.vx == 2:
		bias := int32(1 + y&1)
		next := u.line(u.nextRow(y))
		for i, v := range u.line(near) {
			u.buf[i] = byte((3*int32(v) + int32(next[i]) + bias) >> 2)
		}
	case smooth && u.vx == 1:
		for i, v := range u.line(near) {
			u.sums[i] = int32(v)
		}
		interpolate(u.sums, u.buf, 1, 2, 2)
	case smooth && u.vx == 2:
		next := u.line(u.nextRow(y))
		for i, v := range u.line(near) {
			u.sums[i] = 3*int32(v) + int32(next[i])
		}
		interpolate(u.sums, u.buf, 8, 7, 4)
	default:
		for i, v := range u.line(near) {
			for k := range u.hx {
				u.buf[i*u.hx+k] = v
			}
		}
	}
	return u.buf
}

// nextRow is the second nearest row of samples, where there are half as many.
func (u *upsampler) nextRow(y int) int {
	return min(max(y/2-1+2*(y&1), 0), u.height-1)
}

// interpolate makes two pixels of each sample: 3/4 of it and 1/4 of its
// neighbour. biasLeft and biasRight take turns, so that rounding does not drift.
func interpolate(in []int32, out []byte, biasLeft, biasRight int32, shift uint) {
	shift &= 7
	last := in[0]
	this := in[0]
	out = out[:2*len(in)]
	for i, next := range in[1:] {
		out[2*i] = byte((3*this + last + biasLeft) >> shift)
		out[2*i+1] = byte((3*this + next + biasRight) >> shift)
		last, this = this, next
	}
	n := len(out)
	out[n-2] = byte((3*this + last + biasLeft) >> shift)
	out[n-1] = byte((3*this + this + biasRight) >> shift)
}
