// Package image turns a picture file into the pixels a model sees.
//
// Reading order: decode.go opens foreign files safely, rgb.go and chroma.go
// bring every pixel format to packed RGB bytes, resize.go is Pillow's
// resampling to the last bit, processor.go puts them together.
package image
