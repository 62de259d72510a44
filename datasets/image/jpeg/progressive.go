package jpeg

// Progressive scans (T.81, annex G): each brings some coefficients, or one more
// bit of them. eobRun counts the blocks whose rest of the band is zero.

func (d *decoder) firstDC(c *component, block *[64]int16, low int) error {
	value, err := d.nextDC(c)
	block[0] = int16(value << low)
	return err
}

// firstAC reads the leading bits of a band.
func (d *decoder) firstAC(c *component, block *[64]int16, s *scanHeader) error {
	if d.eobRun > 0 {
		d.eobRun--
		return nil
	}
	for k := s.first; k <= s.last; k++ {
		symbol := d.bits.symbol(c.ac)
		run, size := int(symbol>>4), int(symbol&15)
		if size == 0 {
			if run < 15 {
				d.eobRun = 1<<run + int(d.bits.take(run)) - 1
				return nil
			}
			k += 15
			continue
		}
		k += run
		if k > 63 {
			return errBadCoefficients
		}
		block[zigzag[k]] = int16(extend(d.bits.take(size), size) << s.low)
	}
	return nil
}

// refineAC reads one more bit of a band: of coefficients that were not zero, in
// passing, and of those that become 1 or -1.
func (d *decoder) refineAC(c *component, block *[64]int16, s *scanHeader) error {
	bit := int16(1 << s.low)
	k := s.first
	if d.eobRun == 0 {
		for k <= s.last {
			symbol := d.bits.symbol(c.ac)
			run, size := int(symbol>>4), symbol&15
			var value int16
			switch {
			case size == 0 && run < 15:
				d.eobRun = 1<<run + int(d.bits.take(run))
			case size == 1:
				if value = -bit; d.bits.take(1) == 1 {
					value = bit
				}
			case size > 1:
				return errBadCoefficients
			}
			if d.eobRun > 0 {
				break
			}
			// Pass over run zeros to the place of the new coefficient.
			k = d.refine(block, k, s.last, run, bit)
			if k > s.last {
				if value != 0 {
					return errBadCoefficients
				}
				break
			}
			block[zigzag[k]] = value
			k++
		}
	}
	if d.eobRun > 0 {
		d.eobRun--
		d.refine(block, k, s.last, 64, bit)
	}
	return nil
}

// refine reads a bit for each coefficient from k on that is not zero, until it
// has passed the given number of zeros and stands on the next one.
func (d *decoder) refine(block *[64]int16, k, last, zeros int, bit int16) int {
	for ; k <= last; k++ {
		at := zigzag[k]
		v := block[at]
		if v == 0 {
			if zeros == 0 {
				return k
			}
			zeros--
			continue
		}
		if d.bits.take(1) == 1 && v&bit == 0 {
			if v > 0 {
				block[at] += bit
			} else {
				block[at] -= bit
			}
		}
	}
	return k
}
