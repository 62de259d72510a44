package ptb

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// Rules look at a text's shape: one byte a character, ASCII characters as they are and all others by their class, so
// that a rule is a pattern over bytes. The classes lie among the control characters, which texts are cleaned of.
const (
	letter       = '\x01' // a letter that may start a word
	mark         = '\x02' // continues a word but does not start one
	digit        = '\x03'
	softHyphen   = '\x04' // continues a word and is taken out of it
	dropped      = '\x05' // belongs to no token
	symbol       = '\x06' // a token of its own
	space        = '\x0e' // white space other than ' ' and the no-break space
	fraction     = '\x17' // the slash of fractions
	noBreakSpace = '\x16'
	small        = '\x0f' // a raised or lowered digit
	quote        = '\x10' // a quotation mark other than ASCII's
	single       = '\x15' // one that is also written for an apostrophe
	dash         = '\x11' // a long dash, written --
	hyphen       = '\x12' // a hyphen other than ASCII's: joins words, and is nothing alone
	apostrophe   = '\x13' // ’
	ellipsis     = '\x14' // …
)

// classTable is measured on the reference program: runs of characters from U+0080 on, each a class and the length of
// the run in hexadecimal.
//
//go:embed classes.txt
var classTable string

var classNames = map[byte]byte{'.': dropped, 'L': letter, 'M': mark, 'D': digit, 'S': symbol, '_': space, 's': small,
	'Q': quote, 'q': single, '-': dash, 'h': hyphen, 'A': apostrophe, 'H': softHyphen, 'E': ellipsis}

// classes are those of the characters from U+0080 to U+FFFF.
var classes = sync.OnceValue(func() []byte {
	table := make([]byte, 0, 1<<16-0x80)
	for _, run := range strings.Fields(classTable) {
		n, err := strconv.ParseUint(run[1:], 16, 16)
		if err != nil || classNames[run[0]] == 0 {
			panic("ptb: broken table of character classes: " + run)
		}
		for range n {
			table = append(table, classNames[run[0]])
		}
	}
	return table
})

// shapeOf is the class of a character.
func shapeOf(c rune) byte {
	switch {
	case c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r':
		return space
	case c == '\u00a0':
		return noBreakSpace
	case c == '\u2044':
		return fraction
	case c < ' ' || c == 0x7f:
		return dropped
	case c < 0x80:
		return byte(c)
	case c < 1<<16:
		return classes()[c-0x80]
	}
	return dropped // the reference program sees two halves
}

func isSpace(shape byte) bool { return shape == ' ' || shape == space || shape == noBreakSpace }

// isBreak tells white space that no token holds.
func isBreak(shape byte) bool { return shape == ' ' || shape == space }
