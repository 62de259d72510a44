//go:build !amd64

package jpeg

const wide = false

func inverseDCTAVX2(block *[64]int32, out *byte, stride int) { panic("not built") }

func convertAVX2(out, luma *byte, chroma *uint32, blocks int) { panic("not built") }
