//go:build !amd64

package image

const wide = false

func weighAVX2(dst, src *byte, stride int, weights *int32, taps, blocks int) { panic("not built") }
