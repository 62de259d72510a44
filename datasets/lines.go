package datasets

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"goblip/datasets/blob"
)

// MaxLineBytes bounds one line of a text source, and one element of a JSON one.
const MaxLineBytes = 1 << 20

// blockRecords is how many records share one entry of a lineIndex: ten million
// lines are indexed in 10 MB, and reading one means scanning a few kilobytes.
const blockRecords = 16

// lineIndex says where the records of a text file begin.
type lineIndex struct {
	file    blob.Blob
	records int
	blocks  []lineBlock // of every blockRecords-th record
}

type lineBlock struct {
	offset int64
	line   int // number of the record's first line, from 1
}

func (x *lineIndex) add(offset int64, line int) {
	if x.records%blockRecords == 0 {
		x.blocks = append(x.blocks, lineBlock{offset, line})
	}
	x.records++
}

// block opens the file at the block of record i, says where that is, and which of its records i is.
func (x *lineIndex) block(i int) (r io.Reader, b lineBlock, skip int) {
	b = x.blocks[i/blockRecords]
	end := x.file.Size()
	if next := i/blockRecords + 1; next < len(x.blocks) {
		end = x.blocks[next].offset
	}
	return io.NewSectionReader(x.file, b.offset, end-b.offset), b, i % blockRecords
}

// indexLines finds the lines that are not blank.
func indexLines(file blob.Blob) (*lineIndex, error) {
	x := &lineIndex{file: file}
	l := newLiner(blob.NewWindow(file), 0, 1, 64<<10)
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return x, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		if len(text) > 0 {
			if x.records >= maxIndexed {
				return nil, fmt.Errorf("%s: more than %d records", file.Name(), maxIndexed)
			}
			x.add(l.start, l.line)
		}
	}
}

// maxIndexed bounds how many records a source may have that is not read into memory.
const maxIndexed = 1 << 31

// line reads line number i of those that are not blank.
func (x *lineIndex) line(i int) (text []byte, number int, err error) {
	r, b, skip := x.block(i)
	l := newLiner(r, b.offset, b.line, 4<<10)
	for {
		text, err := l.next()
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", x.file.Name(), noEOF(err))
		}
		if len(text) == 0 {
			continue
		}
		if skip == 0 {
			return text, l.line, nil
		}
		skip--
	}
}

// noEOF is for reads of what an index says is there.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("changed while it was read")
	}
	return err
}

// liner gives a text's lines, trimmed, with where they start.
type liner struct {
	r     *bufio.Reader
	at    int64 // of the next line
	long  []byte
	start int64 // of the last line given
	line  int   // its number
}

// newLiner reads from offset at, where line number line begins, by pieces of size bytes.
func newLiner(r io.Reader, at int64, line, size int) *liner {
	return &liner{r: bufio.NewReaderSize(r, size), at: at, line: line - 1}
}

// next returns the next line without surrounding blanks, empty ones too; it is
// valid until the call after. A file's byte order mark is left out.
func (l *liner) next() ([]byte, error) {
	text, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], text...)
		for errors.Is(err, bufio.ErrBufferFull) && len(l.long) <= MaxLineBytes {
			text, err = l.r.ReadSlice('\n')
			l.long = append(l.long, text...)
		}
		text = l.long
	}
	l.line++
	if len(text) > MaxLineBytes {
		return nil, fmt.Errorf("line %d is longer than %d bytes", l.line, MaxLineBytes)
	}
	if err != nil && !(errors.Is(err, io.EOF) && len(text) > 0) {
		return nil, err
	}
	l.start, l.at = l.at, l.at+int64(len(text))
	if l.start == 0 {
		text = bytes.TrimPrefix(text, byteOrderMark)
	}
	return bytes.TrimSpace(text), nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")
