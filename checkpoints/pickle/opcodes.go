package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// The instructions, named as in Python's pickletools.
const (
	opMark           = '('
	opStop           = '.'
	opPop            = '0'
	opPopMark        = '1'
	opDup            = '2'
	opFloat          = 'F'
	opInt            = 'I'
	opBinInt         = 'J'
	opBinInt1        = 'K'
	opLong           = 'L'
	opBinInt2        = 'M'
	opNone           = 'N'
	opPersID         = 'P'
	opBinPersID      = 'Q'
	opReduce         = 'R'
	opString         = 'S'
	opBinString      = 'T'
	opShortBinString = 'U'
	opUnicode        = 'V'
	opBinUnicode     = 'X'
	opAppend         = 'a'
	opBuild          = 'b'
	opGlobal         = 'c'
	opDict           = 'd'
	opEmptyDict      = '}'
	opAppends        = 'e'
	opGet            = 'g'
	opBinGet         = 'h'
	opInst           = 'i'
	opLongBinGet     = 'j'
	opList           = 'l'
	opEmptyList      = ']'
	opObj            = 'o'
	opPut            = 'p'
	opBinPut         = 'q'
	opLongBinPut     = 'r'
	opSetItem        = 's'
	opTuple          = 't'
	opEmptyTuple     = ')'
	opSetItems       = 'u'
	opBinFloat       = 'G'
	opBinBytes       = 'B'
	opShortBinBytes  = 'C'

	opProto           = 0x80
	opNewObj          = 0x81
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opLong4           = 0x8b
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
)

const maxProtocol = 5

// maxIntegerBytes bounds whole numbers: parsing their decimal form takes more than linear time.
const maxIntegerBytes = 1024

// step executes one instruction.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		version, err := m.byte()
		if err == nil && version > maxProtocol {
			err = fmt.Errorf("protocol %d is not known", version)
		}
		return err
	case opFrame:
		_, err := m.number(8)
		return err
	case opMark:
		return m.push(mark{})
	case opPop:
		if len(m.stack) == 0 {
			return errStack
		}
		m.stack = m.stack[:len(m.stack)-1]
		return nil
	case opPopMark:
		_, err := m.popMark()
		return err
	case opDup:
		value, err := m.top()
		if err != nil {
			return err
		}
		return m.push(value)
	case opPut, opBinPut, opLongBinPut, opMemoize, opGet, opBinGet, opLongBinGet:
		return m.remember(op)
	case opNone:
		return m.push(nil)
	case opNewTrue, opNewFalse:
		return m.push(op == opNewTrue)
	case opInt, opBinInt, opBinInt1, opBinInt2, opLong, opLong1, opLong4, opFloat, opBinFloat:
		return m.literal(op)
	case opString, opBinString, opShortBinString, opUnicode, opBinUnicode, opShortBinUnicode, opBinUnicode8:
		return m.text(op)
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		data, err := m.counted(map[byte]int{opBinBytes: 4, opShortBinBytes: 1, opBinBytes8: 8, opByteArray8: 8}[op])
		if err != nil {
			return err
		}
		return m.push(data)
	case opEmptyTuple, opTuple1, opTuple2, opTuple3, opTuple, opEmptyList, opList, opEmptyDict, opDict, opEmptySet, opFrozenSet:
		return m.container(op)
	case opAppend, opAppends, opAddItems, opSetItem, opSetItems:
		return m.fill(op)
	case opGlobal, opStackGlobal, opInst, opObj, opReduce, opNewObj, opNewObjEx, opBuild, opPersID, opBinPersID:
		return m.construct(op)
	}
	return fmt.Errorf("instruction %#x is not known or not allowed", op)
}

// remember moves values between the stack and the memo.
func (m *machine) remember(op byte) error {
	switch op {
	case opMemoize:
		return m.put(int64(len(m.memo)))
	case opPut, opGet:
		line, err := m.line()
		if err != nil {
			return err
		}
		index, err := strconv.ParseUint(line, 10, 32)
		if err != nil {
			return fmt.Errorf("%.20q is no index", line)
		}
		if op == opPut {
			return m.put(int64(index))
		}
		return m.get(int64(index))
	}
	size := 1
	if op == opLongBinPut || op == opLongBinGet {
		size = 4
	}
	index, err := m.number(size)
	if err != nil {
		return err
	}
	if op == opBinPut || op == opLongBinPut {
		return m.put(int64(index))
	}
	return m.get(int64(index))
}

// literal pushes a number.
func (m *machine) literal(op byte) error {
	switch op {
	case opBinInt, opBinInt1, opBinInt2:
		n, err := m.number(map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2}[op])
		if err != nil {
			return err
		}
		if op == opBinInt {
			return m.push(int64(int32(n)))
		}
		return m.push(int64(n))
	case opLong1, opLong4:
		size, err := m.number(map[byte]int{opLong1: 1, opLong4: 4}[op])
		if err == nil && size > maxIntegerBytes {
			err = fmt.Errorf("a whole number of %d bytes: %w", size, errLong)
		}
		if err != nil {
			return err
		}
		data, err := m.read(size)
		if err != nil {
			return err
		}
		return m.push(integer(data))
	case opBinFloat:
		data, err := m.read(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(data)))
	}
	line, err := m.line()
	switch {
	case err != nil:
		return err
	case op == opInt && line == "00":
		return m.push(false)
	case op == opInt && line == "01":
		return m.push(true)
	case op == opFloat:
		value, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%.20q is no number", line)
		}
		return m.push(value)
	case len(line) > maxIntegerBytes:
		return fmt.Errorf("a whole number of %d digits: %w", len(line), errLong)
	}
	n, ok := new(big.Int).SetString(strings.TrimSuffix(strings.TrimSpace(line), "L"), 10)
	if !ok {
		return fmt.Errorf("%.20q is no whole number", line)
	}
	if n.IsInt64() {
		return m.push(n.Int64())
	}
	return m.push(n)
}

// text pushes a string.
func (m *machine) text(op byte) error {
	switch op {
	case opString, opUnicode:
		line, err := m.line()
		if err != nil {
			return err
		}
		if op == opString {
			if len(line) < 2 || line[0] != line[len(line)-1] || line[0] != '\'' && line[0] != '"' {
				return errors.New("a string without quotes")
			}
			line = line[1 : len(line)-1]
		}
		return m.push(unescape(line))
	}
	data, err := m.counted(map[byte]int{opBinString: 4, opShortBinString: 1, opBinUnicode: 4, opShortBinUnicode: 1, opBinUnicode8: 8}[op])
	if err != nil {
		return err
	}
	return m.push(string(data))
}

// unescape resolves the escapes of a string of protocol 0, whose bytes are Latin-1; what looks like
// an escape and is none stays.
func unescape(s string) string {
	var out strings.Builder
	for s != "" {
		r, rest := rune(s[0]), s[1:]
		if s[0] == '\\' {
			if c, _, after, err := strconv.UnquoteChar(s, 0); err == nil {
				r, rest = c, after
			}
		}
		out.WriteRune(r)
		s = rest
	}
	return out.String()
}
