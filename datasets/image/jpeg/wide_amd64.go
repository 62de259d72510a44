package jpeg

import "golang.org/x/sys/cpu"

// wide says whether the processor has the instructions that the functions below are made of.
var wide = cpu.X86.HasAVX2

// inverseDCTAVX2 is inverseDCT, eight lines at once.
//
//go:noescape
func inverseDCTAVX2(block *[64]int32, out *byte, stride int)

// convertAVX2 is convertYCbCr for blocks times eight pixels; it writes four bytes more than those have.
//
//go:noescape
func convertAVX2(out, luma *byte, chroma *uint32, blocks int)
