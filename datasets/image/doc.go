// Package image turns a picture file into the pixels a model sees, to the bytes
// that Pillow gives: models were trained on those.
//
// Reading order: decode.go opens foreign files safely and knows the formats;
// png.go, pngrows.go, inflate.go and inflatecodes.go, webp.go and webpcolour.go, gif.go, bmp.go
// and the package jpeg below bring each of them to packed RGB bytes and an alpha
// plane; alpha.go does away with transparency, exif.go turns a picture upright.
// resize.go is Pillow's resampling to the last bit, processor.go puts it all
// together.
package image
