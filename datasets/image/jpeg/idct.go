package jpeg

// inverseDCT is libjpeg's accurate integer transform (Loeffler, Ligtenberg and
// Moschytz, 12 multiplications a line): columns first, with 2 more bits kept
// between the passes, every rounding in the same place.
//
// block [64], dequantized -> 8 x 8 samples at out.
func inverseDCT(block *[64]int32, out []byte, stride int) {
	if wide {
		_ = out[7*stride+7]
		inverseDCTAVX2(block, &out[0], stride)
		return
	}
	// Multipliers times 2^13.
	const (
		f0298 = 2446
		f0390 = 3196
		f0541 = 4433
		f0765 = 6270
		f0899 = 7373
		f1175 = 9633
		f1501 = 12299
		f1847 = 15137
		f1961 = 16069
		f2053 = 16819
		f2562 = 20995
		f3072 = 25172
	)
	var work [64]int32
	for c := range 8 {
		in, w := block[c:c+57:c+57], work[c:c+57:c+57]
		i0, i1, i2, i3, i4, i5, i6, i7 := in[0], in[8], in[16], in[24], in[32], in[40], in[48], in[56]
		if i1|i2|i3|i4|i5|i6|i7 == 0 {
			v := (i0<<13 + 1<<10) >> 11 // i0<<2, but for what goes around in damaged files
			w[0], w[8], w[16], w[24], w[32], w[40], w[48], w[56] = v, v, v, v, v, v, v, v
			continue
		}
		z1 := (i2 + i6) * f0541
		e2, e3 := z1-i6*f1847, z1+i2*f0765
		e0, e1 := (i0+i4)<<13, (i0-i4)<<13
		const half = 1 << 10
		t10, t13, t11, t12 := e0+e3+half, e0-e3+half, e1+e2+half, e1-e2+half

		z1, z2, z3, z4 := i7+i1, i5+i3, i7+i3, i5+i1
		z5 := (z3 + z4) * f1175
		z1, z2 = -z1*f0899, -z2*f2562
		z3, z4 = z5-z3*f1961, z5-z4*f0390
		o0 := i7*f0298 + z1 + z3
		o1 := i5*f2053 + z2 + z4
		o2 := i3*f3072 + z2 + z3
		o3 := i1*f1501 + z1 + z4

		w[0], w[56] = (t10+o3)>>11, (t10-o3)>>11
		w[8], w[48] = (t11+o2)>>11, (t11-o2)>>11
		w[16], w[40] = (t12+o1)>>11, (t12-o1)>>11
		w[24], w[32] = (t13+o0)>>11, (t13-o0)>>11
	}
	for r := range 8 {
		w, o := (*[8]int32)(work[r*8:]), (*[8]byte)(out[r*stride:])
		i0, i1, i2, i3, i4, i5, i6, i7 := w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
		z1 := (i2 + i6) * f0541
		e2, e3 := z1-i6*f1847, z1+i2*f0765
		e0, e1 := (i0+i4)<<13, (i0-i4)<<13
		const half = 1<<17 + 128<<18 // the level shift of samples too
		t10, t13, t11, t12 := e0+e3+half, e0-e3+half, e1+e2+half, e1-e2+half

		z1, z2, z3, z4 := i7+i1, i5+i3, i7+i3, i5+i1
		z5 := (z3 + z4) * f1175
		z1, z2 = -z1*f0899, -z2*f2562
		z3, z4 = z5-z3*f1961, z5-z4*f0390
		o0 := i7*f0298 + z1 + z3
		o1 := i5*f2053 + z2 + z4
		o2 := i3*f3072 + z2 + z3
		o3 := i1*f1501 + z1 + z4

		o[0], o[7] = clamp((t10+o3)>>18), clamp((t10-o3)>>18)
		o[1], o[6] = clamp((t11+o2)>>18), clamp((t11-o2)>>18)
		o[2], o[5] = clamp((t12+o1)>>18), clamp((t12-o1)>>18)
		o[3], o[4] = clamp((t13+o0)>>18), clamp((t13-o0)>>18)
	}
}

// fillBlock is inverseDCT of a block whose only coefficient is dc.
func fillBlock(dc int32, out []byte, stride int) {
	v := clamp((dc<<2 + 1<<4 + 128<<5) >> 5)
	for r := range 8 {
		*(*[8]byte)(out[r*stride:]) = [8]byte{v, v, v, v, v, v, v, v}
	}
}

func clamp(v int32) byte {
	if uint32(v) > 255 {
		return byte(^v >> 31) // 0 below, 255 above
	}
	return byte(v)
}
