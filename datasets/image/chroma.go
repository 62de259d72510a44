package image

import (
	stdimage "image"
)

// JPEG and WebP store colour at half resolution. The decoders below upsample
// it as libjpeg-turbo and libwebp do, to whose pixels the published models were
// trained: the standard library repeats each colour sample (up to 36 levels
// off), and takes WebP's limited range for full range (9 levels off on average).

// colourRule is how one format turns samples into a colour.
type colourRule struct {
	// blend interpolates a colour sample at a pixel's place from the nearest
	// sample and the next ones along x, along y and across. odd is x&1.
	blend func(near, alongX, alongY, across, odd int) int
	toRGB func(y, cb, cr int) (r, g, b byte)
}

var jpegRule = colourRule{
	blend: func(near, alongX, alongY, across, odd int) int {
		// Weights 9, 3, 3, 1 of 16; the rounding alternates from column to column.
		return (9*near + 3*alongX + 3*alongY + across + 8 - odd) >> 4
	},
	toRGB: func(y, cb, cr int) (r, g, b byte) { // BT.601 full range, 16-bit fixed point
		cb, cr = cb-128, cr-128
		return clampByte(y + (91881*cr+1<<15)>>16),
			clampByte(y + (1<<15-22554*cb-46802*cr)>>16),
			clampByte(y + (116130*cb+1<<15)>>16)
	},
}

var webpRule = colourRule{
	blend: func(near, alongX, alongY, across, _ int) int {
		return ((near+across+3*(alongX+alongY)+8)>>3 + near) >> 1
	},
	toRGB: func(y, cb, cr int) (r, g, b byte) { // BT.601 limited range, 14-bit fixed point
		y = (y * 19077) >> 8
		return clampByte((y + (cr*26149)>>8 - 14234) >> 6),
			clampByte((y - (cb*6419)>>8 - (cr*13320)>>8 + 8708) >> 6),
			clampByte((y + (cb*33050)>>8 - 17685) >> 6)
	},
}

func clampByte(v int) byte { return byte(min(max(v, 0), 255)) }

// fromYCbCr converts a picture whose colour may be subsampled.
func fromYCbCr(img *stdimage.YCbCr, rule colourRule) RGB {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := RGB{Pix: make([]byte, w*h*3), Width: w, Height: h}
	i := 0
	for y := range h {
		luma := img.Y[y*img.YStride:][:w]
		for x, l := range luma {
			cb, cr := chromaAt(img, x, y, rule)
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = rule.toRGB(int(l), cb, cr)
			i += 3
		}
	}
	return out
}

// chromaAt is the colour at a pixel of a picture whose rectangle starts at 0.
func chromaAt(img *stdimage.YCbCr, x, y int, rule colourRule) (cb, cr int) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	switch img.SubsampleRatio {
	case stdimage.YCbCrSubsampleRatio420:
		nearX, nextX := neighbours(x, (w+1)/2)
		nearY, nextY := neighbours(y, (h+1)/2)
		near, alongX := nearY*img.CStride+nearX, nearY*img.CStride+nextX
		alongY, across := nextY*img.CStride+nearX, nextY*img.CStride+nextX
		blend := func(p []byte) int {
			return rule.blend(int(p[near]), int(p[alongX]), int(p[alongY]), int(p[across]), x&1)
		}
		return blend(img.Cb), blend(img.Cr)
	case stdimage.YCbCrSubsampleRatio422:
		nearX, nextX := neighbours(x, (w+1)/2)
		near, next := y*img.CStride+nearX, y*img.CStride+nextX
		blend := func(p []byte) int { return (3*int(p[near]) + int(p[next]) + 1 + x&1) >> 2 }
		return blend(img.Cb), blend(img.Cr)
	default: // full resolution, and rare ratios without interpolation
		i := img.COffset(x+img.Rect.Min.X, y+img.Rect.Min.Y)
		return int(img.Cb[i]), int(img.Cr[i])
	}
}

// neighbours are the nearest of n half-resolution samples and the next nearest;
// beyond the border the last one repeats.
func neighbours(x, n int) (near, next int) {
	near = x / 2
	next = near - 1 + 2*(x&1)
	return near, min(max(next, 0), n-1)
}
