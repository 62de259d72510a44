package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"goblip/checkpoints"
)

// layout is how the states of a picture lie in a row:
//
//	f32, bf16  [tokens, width] numbers
//	int8       [width] float32 scales, then [tokens, width] int8: number = scale * int8
//
// and behind that, the CRC-32C of the row.
type layout struct {
	kind          string
	tokens, width int
	size          int // bytes, with the checksum
}

const sumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func layoutOf(k *Key) (layout, error) {
	l := layout{kind: k.Type, tokens: k.Tokens, width: k.Width}
	if !slices.Contains(Types, k.Type) {
		return l, fmt.Errorf("type %q is none of %v", k.Type, Types)
	}
	if k.Tokens < 1 || k.Width < 1 || k.Tokens > maxRow/4/k.Width {
		return l, fmt.Errorf("%d tokens of %d numbers", k.Tokens, k.Width)
	}
	n := k.Tokens * k.Width
	switch k.Type {
	case "f32":
		l.size = 4 * n
	case "bf16":
		l.size = 2 * n
	case "int8":
		l.size = 4*k.Width + n
	}
	l.size += sumBytes
	return l, nil
}

// encode writes states [tokens, width] into a row. Numbers must be finite.
func (l layout) encode(states []float32, row []byte) error {
	for i, x := range states {
		if x-x != 0 {
			return fmt.Errorf("token %d, column %d is not finite", i/l.width, i%l.width)
		}
	}
	switch l.kind {
	case "f32":
		for i, x := range states {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(x))
		}
	case "bf16":
		for i, x := range states {
			binary.LittleEndian.PutUint16(row[2*i:], checkpoints.BFloat16(x))
		}
	case "int8":
		l.quantize(states, row)
	}
	end := l.size - sumBytes
	binary.LittleEndian.PutUint32(row[end:], crc32.Checksum(row[:end], castagnoli))
	return nil
}

// quantize scales each column so that its largest number becomes 127. A few columns of a vision
// transformer are far larger than the others, which one scale a token would round to nothing.
func (l layout) quantize(states []float32, row []byte) {
	largest := make([]float32, l.width)
	for i, x := range states {
		largest[i%l.width] = max(largest[i%l.width], x, -x)
	}
	for c, x := range largest {
		binary.LittleEndian.PutUint32(row[4*c:], math.Float32bits(x/127))
	}
	numbers := row[4*l.width:]
	for i, x := range states {
		if most := largest[i%l.width]; most > 0 {
			numbers[i] = byte(int8(math.RoundToEven(float64(x) / float64(most) * 127)))
		} else {
			numbers[i] = 0
		}
	}
}

// prefix is how many bytes of a row hold its first n numbers.
func (l layout) prefix(n int) int {
	switch l.kind {
	case "f32":
		return 4 * n
	case "bf16":
		return 2 * n
	}
	return 4*l.width + n
}

// check compares a whole row with its checksum.
func (l layout) check(row []byte) error {
	end := l.size - sumBytes
	if crc32.Checksum(row[:end], castagnoli) != binary.LittleEndian.Uint32(row[end:]) {
		return errors.New("is damaged: its checksum is wrong")
	}
	return nil
}

// decode reads the first tokens of a row, as many as fit into states.
func (l layout) decode(row []byte, states []float32) {
	switch l.kind {
	case "f32":
		for i := range states {
			states[i] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
		}
	case "bf16":
		for i := range states {
			states[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16)
		}
	case "int8":
		scales := make([]float32, l.width)
		for c := range scales {
			scales[c] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*c:]))
		}
		numbers := row[4*l.width:]
		for at := 0; at < len(states); at += l.width {
			for c, scale := range scales {
				states[at+c] = scale * float32(int8(numbers[at+c]))
			}
		}
	}
}
