package jpeg

import (
	"errors"
	"fmt"
	"sync"
)

// scanHeader is which coefficients of which components a scan brings.
type scanHeader struct {
	components []*component
	first      int // spectral band, in zigzag order; 0..63 unless progressive
	last       int
	high, low  int // successive approximation: bits known before, bits still missing after
}

func (d *decoder) readScanHeader() (*scanHeader, error) {
	body, err := d.body()
	if err != nil {
		return nil, err
	}
	if len(body) < 1 || body[0] < 1 || body[0] > 4 || len(body) != 4+2*int(body[0]) {
		return nil, errors.New("scan header of a wrong length")
	}
	n := int(body[0])
	s := &scanHeader{}
	for i := range n {
		id, tables := body[1+2*i], body[2+2*i]
		var c *component
		for k := range d.components {
			if d.components[k].id == id {
				c = &d.components[k]
			}
		}
		if c == nil {
			return nil, fmt.Errorf("scan of an unknown component %d", id)
		}
		for _, other := range s.components {
			if other == c {
				return nil, fmt.Errorf("scan has component %d twice", id)
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return nil, fmt.Errorf("scan with Huffman tables %d and %d", tables>>4, tables&15)
		}
		c.dc, c.ac, c.predDC = d.dc[tables>>4], d.ac[tables&15], 0
		s.components = append(s.components, c)
	}
	spec := body[1+2*n:]
	s.first, s.last, s.high, s.low = int(spec[0]), int(spec[1]), int(spec[2]>>4), int(spec[2]&15)
	if !d.progressive {
		s.first, s.last, s.high, s.low = 0, 63, 0, 0 // as libjpeg, whatever the file says
	}
	dcOnly := s.first == 0
	switch {
	case s.last > 63 || s.first > s.last || s.high > 13 || s.low > 13 || (s.high > 0 && s.high != s.low+1):
		return nil, fmt.Errorf("scan of coefficients %d..%d, bits %d..%d", s.first, s.last, s.high, s.low)
	case d.progressive && dcOnly && s.last != 0:
		return nil, errors.New("scan mixes DC and AC coefficients")
	case d.progressive && !dcOnly && n > 1:
		return nil, errors.New("scan of AC coefficients of several components")
	}
	for _, c := range s.components {
		// A refinement of DC is bare bits.
		if (dcOnly && s.high == 0 && c.dc == nil) || (s.last > 0 && c.ac == nil) {
			return nil, fmt.Errorf("component %d: its Huffman table is missing", c.id)
		}
		if c.quant == nil {
			if c.quant = d.quant[c.quantIndex]; c.quant == nil {
				return nil, fmt.Errorf("component %d: its quantization table is missing", c.id)
			}
		}
	}
	return s, nil
}

// scan reads one scan, whose marker has been read.
func (d *decoder) scan() error {
	s, err := d.readScanHeader()
	if err != nil {
		return err
	}
	if d.components[0].samples == nil {
		d.direct = !d.progressive && len(s.components) == len(d.components)
		d.allocate()
	}
	d.eobRun = 0
	d.nextInterval()
	decode := d.blockDecoder(s)
	if len(s.components) == 1 {
		c := s.components[0] // its own blocks, row by row
		return d.scanUnits(ceilDiv(c.width, 8), ceilDiv(c.height, 8), func(x, y int) error {
			return decode(c, x, y)
		})
	}
	return d.scanUnits(d.mcusWide, d.mcusHigh, func(x, y int) error {
		for _, c := range s.components {
			for v := range c.v {
				for h := range c.h {
					if err := decode(c, x*c.h+h, y*c.v+v); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// scanUnits reads wide x high MCUs and the restart markers between them.
func (d *decoder) scanUnits(wide, high int, unit func(x, y int) error) error {
	n := 0
	for y := range high {
		for x := range wide {
			if d.interval > 0 && n > 0 && n%d.interval == 0 {
				if err := d.restart(n/d.interval - 1); err != nil {
					return err
				}
			}
			if err := unit(x, y); err != nil {
				return err
			}
			if d.bits.overrun() {
				if d.pos >= len(d.data) {
					return errTruncated
				}
				return errors.New("coded data ends too early or is damaged")
			}
			n++
		}
	}
	return nil
}

// scratch keeps the planes of finished pictures for the next ones: clean memory
// costs as much as a tenth of decoding, and planes are written in full.
var scratch sync.Pool // of *[]byte

func (d *decoder) allocate() {
	total := 0
	for _, c := range d.components {
		total += c.stride * c.blocksHigh * 8
	}
	if buf, ok := scratch.Get().(*[]byte); ok && cap(*buf) >= total {
		d.planes = (*buf)[:total]
	} else {
		d.planes = make([]byte, total)
	}
	rest := d.planes
	for i := range d.components {
		c := &d.components[i]
		size := c.stride * c.blocksHigh * 8
		c.samples, rest = rest[:size:size], rest[size:]
		if !d.direct {
			c.coefficients = make([]int16, c.blocksWide*c.blocksHigh*64)
		}
	}
}

// release gives the planes back once they are pixels.
func (d *decoder) release() {
	if d.planes != nil {
		scratch.Put(&d.planes)
	}
}

// blockDecoder is how a block of this scan is read.
func (d *decoder) blockDecoder(s *scanHeader) func(c *component, x, y int) error {
	stored := func(c *component, x, y int) *[64]int16 {
		return (*[64]int16)(c.coefficients[(y*c.blocksWide+x)*64:])
	}
	if !d.progressive {
		var block [64]int32
		if d.direct {
			return func(c *component, x, y int) error {
				out := c.samples[y*8*c.stride+x*8:]
				last, err := d.sequential(c, &block, c.quant)
				if err != nil {
					return err
				}
				if last == 0 {
					fillBlock(block[0], out, c.stride)
				} else {
					inverseDCT(&block, out, c.stride)
				}
				clear(block[:])
				return nil
			}
		}
		return func(c *component, x, y int) error {
			_, err := d.sequential(c, &block, &ones)
			to := stored(c, x, y)
			for k, v := range block {
				to[k] = int16(v)
			}
			clear(block[:])
			return err
		}
	}
	switch {
	case s.first == 0 && s.high == 0:
		return func(c *component, x, y int) error { return d.firstDC(c, stored(c, x, y), s.low) }
	case s.first == 0:
		return func(c *component, x, y int) error {
			stored(c, x, y)[0] |= int16(d.bits.take(1) << s.low)
			return nil
		}
	case s.high == 0:
		return func(c *component, x, y int) error { return d.firstAC(c, stored(c, x, y), s) }
	default:
		return func(c *component, x, y int) error { return d.refineAC(c, stored(c, x, y), s) }
	}
}

// nextDC decodes the difference of a DC coefficient and returns the coefficient.
func (d *decoder) nextDC(c *component) (int32, error) {
	size := int(d.bits.symbol(c.dc))
	c.predDC += extend(d.bits.take(size), size)
	if c.predDC < -1<<20 || c.predDC > 1<<20 {
		return 0, errBadCoefficients
	}
	return c.predDC, nil
}

var errBadCoefficients = errors.New("coefficients out of range: the coded data is damaged")

// ones leaves coefficients as they are; finish multiplies those that were stored.
var ones = func() (table [64]uint16) {
	for k := range table {
		table[k] = 1
	}
	return table
}()

// sequential decodes a whole block of coefficients, times quant; last is the
// zigzag place of the last one that is not zero. block must be zero before.
func (d *decoder) sequential(c *component, block *[64]int32, quant *[64]uint16) (last int, err error) {
	value, err := d.nextDC(c)
	if err != nil {
		return 0, err
	}
	table := c.ac
	block[0] = value * int32(quant[0])
	// The bit reader's state in registers: this loop is half of decoding time.
	acc, n := d.bits.acc, d.bits.n
	for k := 1; k < 64; {
		if n < 32 {
			d.bits.acc, d.bits.n = acc, n
			d.bits.fill()
			acc, n = d.bits.acc, d.bits.n
		}
		var value int32
		if e := table.coefficient[acc>>(64-lookupBits)]; e != 0 {
			k += int(e >> 8 & 15)
			size := uint(e & 255)
			acc <<= size
			n -= int(size)
			value = e >> 16
		} else {
			entry := table.lookup[acc>>(64-lookupBits)]
			symbol, length := byte(entry>>8), int(entry&255)
			if length == 0 {
				symbol, length = table.long(uint32(acc >> 48))
			}
			acc <<= uint(length)
			n -= length
			run, size := int(symbol>>4), int(symbol&15)
			if size == 0 {
				if run != 15 {
					break // end of block
				}
				k += 16
				continue
			}
			k += run
			value = extend(int32(acc>>1>>(63-uint(size))), size)
			acc <<= uint(size)
			n -= size
		}
		if k > 63 {
			return 0, errBadCoefficients
		}
		at := zigzag[k]
		block[at&63] = value * int32(quant[at&63])
		last = k
		k++
	}
	d.bits.acc, d.bits.n = acc, n
	return last, nil
}
