package jpeg

// YCbCr to RGB (BT.601, full range) in libjpeg's 16-bit fixed point.
var crToR, cbToB, crToG, cbToG [256]int32

// clampTable is byte(v) within 0..255, by v&1023, for -256 <= v < 768.
var clampTable [1024]byte

func init() {
	for i := range int32(256) {
		x := i - 128
		crToR[i] = (91881*x + 1<<15) >> 16
		cbToB[i] = (116130*x + 1<<15) >> 16
		crToG[i] = -46802 * x
		cbToG[i] = -22554*x + 1<<15
	}
	for i := range int32(1024) {
		clampTable[i] = clamp(i)
		if i >= 768 {
			clampTable[i] = 0
		}
	}
}

// transformed reports whether the first three components are YCbCr, by libjpeg's rules.
func (d *decoder) transformed() bool {
	c := d.components
	switch len(c) {
	case 3:
		switch {
		case d.jfif:
			return true
		case d.adobe:
			return d.adobeTransform != 0
		default:
			return c[0].id != 'R' || c[1].id != 'G' || c[2].id != 'B'
		}
	case 4:
		return d.adobe && d.adobeTransform != 0
	}
	return false
}

// toRGB makes pixels of the samples -> [height, width, 3].
func (d *decoder) toRGB() []byte {
	w := d.width
	pix := make([]byte, w*d.height*3)
	rows := make([]*upsampler, len(d.components))
	for i := range rows {
		rows[i] = newUpsampler(&d.components[i], &d.frame)
	}
	transformed := d.transformed()
	for y := range d.height {
		out := pix[y*w*3:][:w*3]
		first := rows[0].row(y)[:w]
		if len(rows) == 1 {
			for x, v := range first {
				out[3*x], out[3*x+1], out[3*x+2] = v, v, v
			}
			continue
		}
		second, third := rows[1].row(y)[:w], rows[2].row(y)[:w]
		if transformed {
			convertYCbCr(out, first, second, third)
		} else {
			for x, v := range first {
				out[3*x], out[3*x+1], out[3*x+2] = v, second[x], third[x]
			}
		}
		if len(rows) == 4 {
			underBlack(out, rows[3].row(y)[:w], transformed)
		}
	}
	return pix
}

func convertYCbCr(out, y, cb, cr []byte) {
	cb, cr = cb[:len(y)], cr[:len(y)]
	for x, luma := range y {
		l, b, r := int32(luma), cb[x], cr[x]
		o := out[:3:3]
		o[0] = clampTable[(l+crToR[r])&1023]
		o[1] = clampTable[(l+(cbToG[b]+crToG[r])>>16)&1023]
		o[2] = clampTable[(l+cbToB[b])&1023]
		out = out[3:]
	}
}

// underBlack turns inks into light. Files keep inks inverted, as Adobe does, and
// Pillow takes all files so; a YCCK file's YCbCr gives plain inks' complement.
func underBlack(out, black []byte, transformed bool) {
	for x, k := range black {
		rest := int32(k) // light that black ink lets through
		o := out[3*x : 3*x+3 : 3*x+3]
		for c, v := range o {
			if transformed {
				v = 255 - v
			}
			o[c] = scale(int32(v), rest)
		}
	}
}

// scale is Pillow's v*rest/255 of its conversion from CMYK.
func scale(v, rest int32) byte {
	t := (255-v)*rest + 128
	return clamp(rest - (t>>8+t)>>8)
}
