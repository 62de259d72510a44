package image

import (
	"encoding/binary"
	"errors"
)

// An inflater for data that is in memory and whose size is known, both true of
// pictures: two to three times as fast as compress/flate, which reads a stream.

var errDeflate = errors.New("compressed data is damaged")

// inflater reads bits from the right.
type inflater struct {
	in  []byte
	pos int
	acc uint64
	n   uint // valid bits of acc

	literal, distance codeTable
}

// fill makes at least 56 bits ready, with zeros past the end.
func (f *inflater) fill() {
	if f.pos+8 <= len(f.in) {
		f.acc |= binary.LittleEndian.Uint64(f.in[f.pos:]) << f.n
		f.pos += int(63-f.n) >> 3
		f.n |= 56
		return
	}
	for f.n <= 56 {
		if f.pos < len(f.in) {
			f.acc |= uint64(f.in[f.pos]) << f.n
		}
		f.pos++
		f.n += 8
	}
}

// overrun reports whether more bits were taken than there were.
func (f *inflater) overrun() bool { return f.pos*8-int(f.n) > len(f.in)*8 }

func (f *inflater) take(n uint) int {
	if f.n < n {
		f.fill()
	}
	v := int(f.acc & (1<<n - 1))
	f.acc >>= n
	f.n -= n
	return v
}

// inflateZlib fills out from a zlib stream; what the stream has beyond is left unread.
func inflateZlib(in, out []byte) error {
	if len(in) < 2 {
		return errTruncated
	}
	if in[0]&15 != 8 || in[0]>>4 > 7 || binary.BigEndian.Uint16(in)%31 != 0 || in[1]&0x20 != 0 {
		return errDeflate
	}
	f := &inflater{in: in[2:]}
	at := 0
	for at < len(out) {
		final, kind := f.take(1), f.take(2)
		var err error
		switch kind {
		case 0:
			at, err = f.stored(out, at)
		case 1:
			if err = f.fixedCodes(); err == nil {
				at, err = f.block(out, at)
			}
		case 2:
			if err = f.dynamicCodes(); err == nil {
				at, err = f.block(out, at)
			}
		default:
			err = errDeflate
		}
		if f.overrun() {
			return errTruncated
		}
		if err != nil {
			return err
		}
		if final == 1 && at < len(out) {
			return errTruncated
		}
	}
	return nil
}

func (f *inflater) stored(out []byte, at int) (int, error) {
	f.take(f.n & 7) // to a byte's border
	size, complement := f.take(16), f.take(16)
	if size != ^complement&0xffff {
		return at, errDeflate
	}
	f.pos -= int(f.n / 8) // give back what was read ahead
	f.acc, f.n = 0, 0
	if f.pos > len(f.in) {
		return at, errTruncated
	}
	n := copy(out[at:min(at+size, len(out))], f.in[f.pos:])
	if at+n < len(out) && n < size {
		return at, errTruncated
	}
	f.pos += n
	return at + n, nil
}

func (f *inflater) fixedCodes() error {
	var lengths [288]byte
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	if err := f.literal.build(lengths[:], literalEntries[:], literalBits); err != nil {
		return err
	}
	var five [32]byte
	for i := range five {
		five[i] = 5
	}
	return f.distance.build(five[:], distanceEntries[:], distanceBits)
}

// lengthOrder is in which order a dynamic block gives the lengths of the code of lengths.
var lengthOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthSymbols are the entries of that code, whose symbols are read as they are.
var lengthSymbols = func() (entries [19]uint32) {
	for i := range entries {
		entries[i] = kindLiteral | uint32(i)<<16
	}
	return
}()

func (f *inflater) dynamicCodes() error {
	literals, distances, n := f.take(5)+257, f.take(5)+1, f.take(4)+4
	if literals > 286 || distances > 30 {
		return errDeflate
	}
	var lengths [19]byte
	for _, at := range lengthOrder[:n] {
		lengths[at] = byte(f.take(3))
	}
	if err := f.literal.build(lengths[:], lengthSymbols[:], 7); err != nil {
		return err
	}
	var all [286 + 30]byte
	for i := 0; i < literals+distances; {
		if f.n < 7+7 {
			f.fill()
		}
		entry := f.literal.entries[f.acc&127]
		if entry == 0 || f.overrun() {
			return errDeflate
		}
		f.take(uint(entry & 15))
		symbol := entry >> 16
		if symbol < 16 {
			all[i] = byte(symbol)
			i++
			continue
		}
		var value byte
		repeat := 0
		switch symbol {
		case 16:
			if i == 0 {
				return errDeflate
			}
			value, repeat = all[i-1], 3+f.take(2)
		case 17:
			repeat = 3 + f.take(3)
		default:
			repeat = 11 + f.take(7)
		}
		if i+repeat > literals+distances {
			return errDeflate
		}
		for range repeat {
			all[i] = value
			i++
		}
	}
	if all[256] == 0 {
		return errDeflate // the block could not end
	}
	if err := f.literal.build(all[:literals], literalEntries[:], literalBits); err != nil {
		return err
	}
	return f.distance.build(all[literals:literals+distances], distanceEntries[:], distanceBits)
}

// block decodes literals and matches until the block ends or out is full.
func (f *inflater) block(out []byte, at int) (int, error) {
	literal, distance := f.literal.entries, f.distance.entries
	acc, n := f.acc, f.n // in registers
	for at < len(out) {
		if n < 48 { // enough for a length and its distance
			f.acc, f.n = acc, n
			f.fill()
			acc, n = f.acc, f.n
			if f.pos > len(f.in)+8 {
				return at, errTruncated
			}
		}
		e := literal[acc&(1<<literalBits-1)]
		if e&kindMask == kindSub {
			acc >>= literalBits
			n -= literalBits
			e = literal[e>>16+uint32(acc)&(1<<(e>>4&15)-1)]
		}
		acc >>= e & 15
		n -= uint(e & 15)
		switch e & kindMask {
		case kindLiteral:
			out[at] = byte(e >> 16)
			at++
			continue
		case kindEnd:
			f.acc, f.n = acc, n
			return at, nil
		case 0:
			return at, errDeflate
		}
		extra := e >> 4 & 15
		length := int(e>>16) + int(acc&(1<<extra-1))
		acc >>= extra
		n -= uint(extra)

		e = distance[acc&(1<<distanceBits-1)]
		if e&kindMask == kindSub {
			acc >>= distanceBits
			n -= distanceBits
			e = distance[e>>16+uint32(acc)&(1<<(e>>4&15)-1)]
		}
		if e&kindMask != kindBase {
			return at, errDeflate
		}
		acc >>= e & 15
		n -= uint(e & 15)
		extra = e >> 4 & 15
		back := int(e>>16) + int(acc&(1<<extra-1))
		acc >>= extra
		n -= uint(extra)
		if back > at {
			return at, errDeflate
		}
		length = min(length, len(out)-at)
		if back >= length {
			copy(out[at:at+length], out[at-back:])
		} else {
			for i := range length {
				out[at+i] = out[at+i-back]
			}
		}
		at += length
	}
	f.acc, f.n = acc, n
	return at, nil
}
