#include "textflag.h"

DATA half<>+0(SB)/4, $0x00200000 // one half in 22 bits after the point
GLOBL half<>(SB), RODATA, $4

DATA order<>+0(SB)/8, $0x0000000400000000
DATA order<>+8(SB)/8, $0x0000000500000001
DATA order<>+16(SB)/8, $0x0000000600000002
DATA order<>+24(SB)/8, $0x0000000700000003
GLOBL order<>(SB), RODATA, $32

// func weighAVX2(dst, src *byte, stride int, weights *int32, taps, blocks int)
TEXT ·weighAVX2(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ weights+24(FP), BX
	MOVQ taps+32(FP), R8
	MOVQ blocks+40(FP), CX
	VPBROADCASTD half<>(SB), Y8
	VMOVDQU order<>(SB), Y9

block:
	// 32 sums, from one half on.
	VMOVDQA Y8, Y0
	VMOVDQA Y8, Y1
	VMOVDQA Y8, Y2
	VMOVDQA Y8, Y3
	MOVQ SI, R9
	MOVQ BX, R10
	MOVQ R8, R11

tap:
	VPBROADCASTD (R10), Y4
	VPMOVZXBD (R9), Y5
	VPMOVZXBD 8(R9), Y6
	VPMULLD Y4, Y5, Y5
	VPMULLD Y4, Y6, Y6
	VPADDD Y5, Y0, Y0
	VPADDD Y6, Y1, Y1
	VPMOVZXBD 16(R9), Y5
	VPMOVZXBD 24(R9), Y6
	VPMULLD Y4, Y5, Y5
	VPMULLD Y4, Y6, Y6
	VPADDD Y5, Y2, Y2
	VPADDD Y6, Y3, Y3
	ADDQ DX, R9
	ADDQ $4, R10
	DECQ R11
	JNZ tap

	// Their whole parts, within 0..255. Packing works on halves of a register: order undoes that.
	VPSRAD $22, Y0, Y0
	VPSRAD $22, Y1, Y1
	VPSRAD $22, Y2, Y2
	VPSRAD $22, Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VPERMD Y0, Y9, Y0
	VMOVDQU Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ block
	VZEROUPPER
	RET
