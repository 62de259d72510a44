#include "textflag.h"

// Of BT.601, times 2^16: see crToRGB.
DATA fromCr<>+0(SB)/4, $91881
GLOBL fromCr<>(SB), RODATA, $4
DATA fromCb<>+0(SB)/4, $116130
GLOBL fromCb<>(SB), RODATA, $4
DATA greenCb<>+0(SB)/4, $-22554
GLOBL greenCb<>(SB), RODATA, $4
DATA greenCr<>+0(SB)/4, $-46802
GLOBL greenCr<>(SB), RODATA, $4
DATA half<>+0(SB)/4, $32768
GLOBL half<>(SB), RODATA, $4
DATA middle<>+0(SB)/4, $128
GLOBL middle<>(SB), RODATA, $4
DATA low8<>+0(SB)/4, $255
GLOBL low8<>(SB), RODATA, $4

// Red, green and blue of four pixels, four bytes each -> pixel by pixel.
DATA pixels<>+0(SB)/8, $0x0602090501080400
DATA pixels<>+8(SB)/8, $0x808080800b07030a
DATA pixels<>+16(SB)/8, $0x0602090501080400
DATA pixels<>+24(SB)/8, $0x808080800b07030a
GLOBL pixels<>(SB), RODATA, $32

// func convertAVX2(out, luma *byte, chroma *uint32, blocks int)
TEXT ·convertAVX2(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ luma+8(FP), SI
	MOVQ chroma+16(FP), DX
	MOVQ blocks+24(FP), CX
	VPBROADCASTD half<>(SB), Y8
	VPBROADCASTD low8<>(SB), Y9
	VPBROADCASTD middle<>(SB), Y10
	VPBROADCASTD fromCr<>(SB), Y11
	VPBROADCASTD fromCb<>(SB), Y12
	VPBROADCASTD greenCb<>(SB), Y13
	VPBROADCASTD greenCr<>(SB), Y14
	VMOVDQU pixels<>(SB), Y15

block:
	VPMOVZXBD (SI), Y0
	VMOVDQU (DX), Y1
	VPAND Y9, Y1, Y2
	VPSRLD $16, Y1, Y3
	VPAND Y9, Y3, Y3
	VPSUBD Y10, Y2, Y2 // Cb
	VPSUBD Y10, Y3, Y3 // Cr

	VPMULLD Y11, Y3, Y4
	VPADDD Y8, Y4, Y4
	VPSRAD $16, Y4, Y4
	VPADDD Y0, Y4, Y4 // red

	VPMULLD Y13, Y2, Y5
	VPMULLD Y14, Y3, Y6
	VPADDD Y6, Y5, Y5
	VPADDD Y8, Y5, Y5
	VPSRAD $16, Y5, Y5
	VPADDD Y0, Y5, Y5 // green

	VPMULLD Y12, Y2, Y6
	VPADDD Y8, Y6, Y6
	VPSRAD $16, Y6, Y6
	VPADDD Y0, Y6, Y6 // blue

	VPACKSSDW Y5, Y4, Y4
	VPACKSSDW Y6, Y6, Y6
	VPACKUSWB Y6, Y4, Y4
	VPSHUFB Y15, Y4, Y4
	VMOVDQU X4, (DI)
	VEXTRACTI128 $1, Y4, X5
	VMOVDQU X5, 12(DI)
	ADDQ $8, SI
	ADDQ $32, DX
	ADDQ $24, DI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET
