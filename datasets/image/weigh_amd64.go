package image

import "golang.org/x/sys/cpu"

// wide says whether the processor has the instructions that weighAVX2 is made of.
var wide = cpu.X86.HasAVX2

// weighAVX2 is weigh for blocks times weighBlock bytes; there are taps weights, one at least. It reads
// blocks*weighBlock bytes at src, src+stride and so on.
//
//go:noescape
func weighAVX2(dst, src *byte, stride int, weights *int32, taps, blocks int)
