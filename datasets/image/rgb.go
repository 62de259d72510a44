package image

import (
	"fmt"
	stdimage "image"
	"image/color"
	"slices"
)

// Alpha says what becomes of transparency.
type Alpha int

const (
	// AlphaDrop keeps the colour stored under a transparent pixel, often
	// black, as Pillow's convert("RGB") does: what BLIP was trained on.
	AlphaDrop Alpha = iota
	// AlphaWhite lays the picture on white, as people see it and as later processors do.
	AlphaWhite
)

var alphaNames = [...]string{AlphaDrop: "drop", AlphaWhite: "white"}

// String is the name of the choice.
func (a Alpha) String() string { return alphaNames[a] }

// ParseAlpha reads what String writes.
func ParseAlpha(name string) (Alpha, error) {
	if i := slices.Index(alphaNames[:], name); i >= 0 {
		return Alpha(i), nil
	}
	return 0, fmt.Errorf("alpha %q is not white or drop", name)
}

// toRGB brings any decoded picture to packed RGB.
func toRGB(img stdimage.Image, format string, alpha Alpha) RGB {
	opaque, ok := img.(interface{ Opaque() bool })
	if alpha == AlphaWhite && !(ok && opaque.Opaque()) {
		return onWhite(img, toRGB(img, format, AlphaDrop))
	}
	rule := jpegRule
	if format == "webp" {
		rule = webpRule
	}
	switch img := img.(type) {
	case *stdimage.YCbCr:
		return fromYCbCr(img, rule)
	case *stdimage.NYCbCrA:
		return fromYCbCr(&img.YCbCr, rule)
	}
	bounds := img.Bounds()
	w, h := bounds.Dx(), bounds.Dy()
	out := RGB{Pix: make([]byte, w*h*3), Width: w, Height: h}
	at := pixelReader(img)
	i := 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = at(x, y)
			i += 3
		}
	}
	return out
}

// onWhite blends the straight colours in out with white by the alpha of img,
// in Pillow's fixed point (alpha_composite).
func onWhite(img stdimage.Image, out RGB) RGB {
	bounds := img.Bounds()
	i := 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			a := int(straight(img.At(x, y)).A)
			for c := range 3 {
				sum := (int(out.Pix[i+c])*a + 255*(255-a) + 128) << 7
				out.Pix[i+c] = byte((sum>>8 + sum) >> 15)
			}
			i += 3
		}
	}
	return out
}

// pixelReader returns the fastest way to read one kind of picture.
func pixelReader(img stdimage.Image) func(x, y int) (r, g, b byte) {
	switch img := img.(type) {
	case *stdimage.NRGBA:
		return func(x, y int) (byte, byte, byte) {
			i := img.PixOffset(x, y)
			return img.Pix[i], img.Pix[i+1], img.Pix[i+2]
		}
	case *stdimage.RGBA: // decoders use it for opaque pictures
		return func(x, y int) (byte, byte, byte) {
			c := color.NRGBAModel.Convert(img.RGBAAt(x, y)).(color.NRGBA)
			return c.R, c.G, c.B
		}
	case *stdimage.NRGBA64: // 16 bits: the high byte
		return func(x, y int) (byte, byte, byte) {
			i := img.PixOffset(x, y)
			return img.Pix[i], img.Pix[i+2], img.Pix[i+4]
		}
	case *stdimage.Gray:
		return func(x, y int) (byte, byte, byte) {
			v := img.Pix[img.PixOffset(x, y)]
			return v, v, v
		}
	case *stdimage.Paletted:
		table := make([][3]byte, len(img.Palette))
		for i, c := range img.Palette {
			n := straight(c)
			table[i] = [3]byte{n.R, n.G, n.B}
		}
		return func(x, y int) (byte, byte, byte) {
			i := int(img.Pix[img.PixOffset(x, y)])
			if i >= len(table) { // a damaged file may point past its palette
				return 0, 0, 0
			}
			c := table[i]
			return c[0], c[1], c[2]
		}
	default:
		return func(x, y int) (byte, byte, byte) {
			n := straight(img.At(x, y))
			return n.R, n.G, n.B
		}
	}
}

// straight is c without premultiplied alpha. A colour that already is straight
// is taken as it is: the standard conversion would blacken it at alpha 0.
func straight(c color.Color) color.NRGBA {
	switch c := c.(type) {
	case color.NRGBA:
		return c
	case color.NRGBA64:
		return color.NRGBA{R: byte(c.R >> 8), G: byte(c.G >> 8), B: byte(c.B >> 8), A: byte(c.A >> 8)}
	default:
		return color.NRGBAModel.Convert(c).(color.NRGBA)
	}
}
